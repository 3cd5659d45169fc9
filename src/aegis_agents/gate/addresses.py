"""Addresses and names that must not be blocked whatever an alert says."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from aegis_agents.gate.spelling import domains
from aegis_agents.shared_infrastructure import PROVIDERS, RESOLVERS, SERVICES, Address, delivery_network

_NETWORKS: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3", "::/127", "64:ff9b:1::/48", "100::/64", "fc00::/7",
        "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
# Documentation networks (RFC 5737) are left out on purpose: they are routed nowhere and name nobody,
# but `ipaddress.is_private` counts them as private.

_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): an IPv4 address in the last 32 bits."""
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
"""IPv4-compatible (RFC 4291): the same, long out of use and still read."""

_REGISTRIES: Final = frozenset({"ac", "co", "com", "edu", "go", "gob", "gov", "gv", "ne", "net", "nhs", "or", "org"})
"""Second-level names under which a country's names are registered, as in co.uk."""

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


def network(text: str) -> Network:
    """The network, IPv4 also where it is mapped into IPv6, as `parse` reads addresses. Raises ValueError."""
    found = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96 and found.network_address.ipv4_mapped:
        return ipaddress.ip_network((found.network_address.ipv4_mapped, found.prefixlen - 96))
    return found


@lru_cache(maxsize=4096)
def meant(address: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 addresses that it stands for: translated (NAT64), tunnelled (6to4, Teredo)."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    held = [address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 0xFFFF):
        held.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (address, *(item for item in held if item is not None))


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """Whether it, or what it stands for, lies in any of the networks."""
    forms = meant(address)
    return any(form in network for network in networks for form in forms if form.version == network.version)


def is_internal(address: Address) -> bool:
    """Whether it is private, local, multicast or reserved: no firewall at the edge should be asked to block it."""
    return is_within(address, _NETWORKS)


def is_public_resolver(address: Address) -> bool:
    """Whether it is a resolver that half the world uses."""
    return not RESOLVERS.isdisjoint(meant(address))


def provider_of(kind: str, value: str) -> str | None:
    """What everybody uses that an address or a name is part of, though not everybody depends on it; None for nothing."""
    if kind == "domain":
        return next((n for name in domains(value) if (n := name.removeprefix("www.")) in PROVIDERS), None)
    address = parse(value) if kind == "ip" else None
    if address is None:
        return None
    return next((network for form in meant(address) if (network := delivery_network(form)) is not None), None)


def is_shared_name(domain: str) -> bool:
    """Whether blocking the name would block far more than an attacker: a name under which others are registered, or a
    service everyone uses."""
    return any(_is_shared(name) for name in domains(domain))


def _is_shared(name: str) -> bool:
    labels = name.removeprefix("www.").split(".")
    registry = len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _REGISTRIES
    return len(labels) < 2 or registry or ".".join(labels) in SERVICES
