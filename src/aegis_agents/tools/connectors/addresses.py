"""Addresses and domain names as targets: parsed, never pasted, and some never blocked.

Whoever writes an alert chooses a target's text. What reaches a system is the parsed form.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

from aegis_agents.errors import ConnectorError, SettingsError
from aegis_agents.records import EntityKind, Target

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_MAPPED_BITS: Final = 96
_SHOWN: Final = 80


def shown(text: str) -> str:
    """A target's text for a message: ASCII, on one line, short."""
    return ascii(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def value_of(target: Target, *kinds: EntityKind) -> str:
    """The target's text, if the target is of one of `kinds`. Raises ConnectorError."""
    if target.kind not in kinds:
        raise ConnectorError(f"a target of the kind {target.kind} is not taken here, only {' or '.join(kinds)}")
    return target.value


def networks(given: Sequence[str], field: str) -> tuple[Network, ...]:
    """Addresses and networks from the setting `field`. Raises SettingsError naming it."""
    try:
        return tuple(_plain(ipaddress.ip_network(one, strict=False)) for one in given)
    except ValueError as error:
        raise SettingsError(f"{field}: {error}") from error


def _plain(network: Network) -> Network:
    """::ffff:192.0.2.0/120 is 192.0.2.0/24, as address_of() has it."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def address_of(target: Target) -> Address:
    """The address that travels: ::ffff:192.0.2.1 is 192.0.2.1. Raises ConnectorError."""
    text = value_of(target, "ip")
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ConnectorError(f"{shown(text)} is no address") from error
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ConnectorError(f"{shown(text)} names an interface: only plain addresses are blocked")
        return address.ipv4_mapped or address
    return address


def blockable(target: Target, never: Sequence[Network], field: str) -> Address:
    """An address that may be blocked.

    Raises ConnectorError for loopback, unspecified, multicast, link-local and broadcast ones, and
    for those that `never`, the value of the setting `field`, holds.
    """
    address = address_of(target)
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        raise ConnectorError(f"{address} is never blocked: it is loopback, unspecified, multicast or link-local")
    if address == _BROADCAST:
        raise ConnectorError(f"{address} is never blocked: it is everybody's")
    for network in never:
        if address.version == network.version and address in network:
            raise ConnectorError(f"{address} is never blocked: {field} holds {network}")
    return address


def domain_of(target: Target) -> str:
    """A domain name of at least two labels (RFC 1035): lower case, without the final dot.

    Raises ConnectorError for what is none, wildcards and addresses included, and for names outside
    ASCII: several of those stand for one name, and only its "xn--" form says which (RFC 5890).
    """
    text = value_of(target, "domain")
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    fits = text.isascii() and len(labels) > 1 and len(name) < 254 and not labels[-1].isdigit()
    if not fits or not all(_LABEL.fullmatch(label) for label in labels):
        raise ConnectorError(f"{shown(text)} is no domain name")
    return name
