"""Values that are no sign of an attack wherever they are seen: facts that hold without any warning list.

What everybody uses (`shared_infrastructure`), what is of one network only, digests of the empty file.
"""

from __future__ import annotations

import hashlib
import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from aegis_agents.intel.indicators import Indicator
from aegis_agents.shared_infrastructure import DELIVERY, PROVIDERS, RESOLVERS, SERVICES, delivery_network

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_EXAMPLES = tuple(
    ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
"""For documentation (RFC 5737, RFC 3849): nobody meets them, so they do no harm, and examples need them."""

SHARED_HOSTS = SERVICES | PROVIDERS
"""Of these names themselves, not of what customers put below them."""

_SECOND_LEVEL = frozenset(
    ("co", "com", "net", "org", "edu", "gov", "gob", "gouv", "mil", "ac", "go", "or", "ne", "nom", "sch", "id")
)
_EMPTY_FILE = frozenset(hashlib.new(name, b"", usedforsecurity=False).hexdigest() for name in ("md5", "sha1", "sha256"))


def harmless(indicator: Indicator) -> str | None:
    """Why a value is never an indicator, None if nothing is known that would say so."""
    kind, value = indicator
    if kind == "url":
        return _url(value)
    if kind == "ip":
        return _address(value)
    if kind == "net":
        return _network(ipaddress.ip_network(value))
    if kind == "domain":
        return domain(value)
    if kind in ("md5", "sha1", "sha256"):
        if value in _EMPTY_FILE:
            return "is the digest of the empty file"
        return "is no digest of any file" if len(set(value)) == 1 else None
    return None


def domain(name: str) -> str | None:
    """Why a domain is nobody's own, None if it may be somebody's."""
    labels = name.split(".")
    if name.removeprefix("www.") in SHARED_HOSTS:
        return "is a provider's name that everybody uses"
    if len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL:
        return "is a public suffix"
    if labels[-1] in ("local", "localhost", "internal", "lan", "home", "arpa"):
        return "is a name of local use"
    return None


@lru_cache(maxsize=4096)
def _address(value: str) -> str | None:
    address = ipaddress.ip_address(value)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return _address(str(address.ipv4_mapped))  # "::ffff:8.8.8.8", as servers of both versions log it
    if any(address in n for n in _EXAMPLES):
        return None
    if not address.is_global or address.is_multicast:
        return "is a private, reserved or multicast address"
    if address in RESOLVERS:
        return "is a public resolver"
    inside = delivery_network(address)
    return f"is in a content delivery network ({inside})" if inside else None


def _network(network: Network) -> str | None:
    if any(network.version == n.version and network.subnet_of(n) for n in _EXAMPLES):  # type: ignore[arg-type]
        return None
    if not network.is_global or network.is_multicast:
        return "is a private, reserved or multicast network"
    for resolver in RESOLVERS:
        if resolver in network:
            return f"holds the public resolver {resolver}"
    for other in DELIVERY:
        if other.version == network.version and other.overlaps(network):
            return f"overlaps a content delivery network ({other})"
    return None


def _url(value: str) -> str | None:
    """A URL is its host's where it names nothing on it; what lies on a shared host may well be hostile."""
    parts = urlsplit(value)
    host = parts.hostname or ""
    bare = parts.path in ("", "/") and not parts.query
    try:
        why = _address(str(ipaddress.ip_address(host)))
    except ValueError:
        return domain(host) if bare else None
    return why if bare or why is None or "delivery" not in why else None
