"""Which addresses a feed may be fetched from: public ones, or where the user says so, the organisation's own.

A name is resolved once and the connection goes to the very addresses that were checked, so that a name
which answers differently the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Literal

from aegis_agents.errors import IntelError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""From a host and a port to its addresses, as text. Raises OSError if there are none."""

Reach = Literal["public", "internal", "never"]

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all that has been allocated so far
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_TUNNELS = tuple(ipaddress.IPv6Network(n) for n in ("2001::/32", "2002::/16"))  # Teredo, 6to4: any IPv4 inside
_NOT_PUBLIC_4 = tuple(ipaddress.IPv4Network(n) for n in ("192.88.99.0/24",))  # 6to4 relays, RFC 7526
_INSIDE_6 = tuple(ipaddress.IPv6Network(n) for n in ("fc00::/7", "::1/128"))
# Virtual machines get their credentials from these: Azure's is in public space, AWS's in unique-local space.
_METADATA = frozenset(ipaddress.ip_address(a) for a in ("169.254.169.254", "168.63.129.16", "100.100.100.200",
                                                        "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))  # fmt: skip


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, from the system's resolver (and bounded in time by it alone)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def reach(address: Address) -> Reach:
    """Who can be behind an address: anybody, only the organisation, or nobody that has a feed.

    An IPv4 address inside an IPv6 one (mapped, NAT64) counts as itself. Link-local, metadata, multicast,
    unspecified, reserved and tunnel (Teredo, 6to4) addresses are never a feed's.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return reach(address.ipv4_mapped)
        if address in _NAT64:
            return reach(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return "never"
    if isinstance(address, ipaddress.IPv4Address):
        if address.is_reserved or address in ipaddress.IPv4Network("0.0.0.0/8"):
            return "never"
        return "public" if address.is_global and not any(address in n for n in _NOT_PUBLIC_4) else "internal"
    if any(address in n for n in _INSIDE_6):
        return "internal"
    if address not in _GLOBAL_UNICAST or any(address in n for n in _TUNNELS):
        return "never"
    return "public" if address.is_global else "internal"


def checked(name: str, host: str, port: int, *, internal: bool, resolve: Resolve = resolve) -> list[str]:
    """The addresses of a host that a feed may be fetched from.

    If any is not allowed, none is used: a name with a public and a private address is not an honest one.
    Raises IntelError naming feed, host and address; OSError if the name can't be resolved.
    """
    addresses = [ipaddress.ip_address(text) for text in resolve(host, port)]
    if not addresses:
        raise OSError(f"{host} has no address")
    for address in addresses:
        can = reach(address)
        if can == "never" or (can == "internal" and not internal):
            why = "is no address that a feed can have" if can == "never" else "is not public"
            fix = "" if can == "never" else "; set internal = true if the feed is inside your organisation"
            raise IntelError(f"feed {name}: url: {host} is at {address}, which {why} (check the url{fix})")
    return [str(address) for address in addresses]
