"""Addresses and names that must not be blocked whatever an alert says."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

_NETWORKS: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.168.0.0/16", "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip
# Documentation networks (RFC 5737) are left out on purpose: they are routed nowhere and name nobody,
# but `ipaddress.is_private` counts them as private.

_RESOLVERS: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "1.0.0.1", "1.1.1.1", "8.8.4.4", "8.8.8.8", "9.9.9.9", "149.112.112.112", "208.67.220.220",
        "208.67.222.222", "2001:4860:4860::8844", "2001:4860:4860::8888", "2606:4700:4700::1001",
        "2606:4700:4700::1111", "2620:fe::9", "2620:fe::fe",
    )
)  # fmt: skip

_SHARED_NAMES: Final = frozenset(
    {
        "amazonaws.com", "apple.com", "azure.com", "cloudflare-dns.com", "cloudflare.com", "cloudfront.net",
        "dns.google", "dns.quad9.net", "doh.opendns.com", "github.com", "google.com", "googleapis.com",
        "gstatic.com", "icloud.com", "live.com", "microsoft.com", "microsoftonline.com", "office.com",
        "office365.com", "one.one.one.one", "windows.com", "windows.net", "windowsupdate.com",
    }
)  # fmt: skip

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """The address, IPv4 also where it is mapped into IPv6; None when it is none."""
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").split("%", 1)[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def is_internal(address: Address) -> bool:
    """Whether it is private, local, multicast or reserved: no firewall at the edge should be asked to block it."""
    return any(address in network for network in _NETWORKS if network.version == address.version)


def is_public_resolver(address: Address) -> bool:
    """Whether it is a resolver that half the world uses."""
    return address in _RESOLVERS


def is_shared_name(domain: str) -> bool:
    """Whether blocking the name would block far more than an attacker: a top-level name, or a service everyone uses."""
    name = domain.strip().rstrip(".").casefold()
    return "." not in name or name in _SHARED_NAMES
