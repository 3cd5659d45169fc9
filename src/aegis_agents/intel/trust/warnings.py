"""Warning lists: values that no indicator may be, because everybody meets them (resolvers, CDNs, large sites)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from aegis_agents.intel.documents import Corpus
from aegis_agents.intel.indicators import Indicator
from aegis_agents.records import Passage

Lookup = Callable[[Sequence[str], Sequence[Corpus]], Sequence[Passage]]
"""Exact look-up of many aliases at once in some corpora (`Intel.lookup`)."""

WARNS_FROM = 0.6
"""Trust of a list that may warn: with a list of his own an attacker could silence what others report of him."""


def warned(indicator: Indicator, lookup: Lookup, *, warns_from: float = WARNS_FROM) -> str | None:
    """The name of the warning list that an indicator is on, None if on none; one look-up.

    A domain is on it with itself ("warn:exact:") or with any domain above it ("warn:domain:"), an address or
    network with any network around it ("warn:net:"), a digest or an e-mail address with itself. A URL is on
    it by its host if it names nothing on that host: what lies on a large site may well be hostile.
    """
    found = [p for p in lookup(warning_keys(indicator), ("warning",)) if p.trust >= warns_from]
    return max(found, key=lambda p: (p.trust, p.title)).title if found else None


def warning_keys(indicator: Indicator) -> list[str]:
    """The aliases of the entries that would warn of an indicator."""
    kind, value = indicator
    keys = [f"warn:exact:{indicator.key}"]
    if kind == "url":
        parts = urlsplit(value)
        if parts.path in ("", "/") and not parts.query and parts.hostname:
            keys += warning_keys(host_of(value))
    elif kind == "domain":
        keys += [f"warn:domain:{name}" for name in domains_above(value)]
    elif kind in ("ip", "net"):
        keys += [f"warn:net:{network}" for network in networks_around(value)]
    return keys


def host_of(url: str) -> Indicator:
    """The host of a URL in its one form, as an indicator."""
    host = urlsplit(url).hostname or ""
    try:
        return Indicator("ip", str(ipaddress.ip_address(host)))
    except ValueError:
        return Indicator("domain", host)


def domains_above(name: str) -> list[str]:
    """A domain and every domain above it, down to its last label."""
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


def networks_around(value: str) -> list[str]:
    """Every network that holds an address or network, from itself (an address as /32 or /128) to everything."""
    network = ipaddress.ip_network(value)
    address, bits = network.network_address, network.max_prefixlen
    # By shifting: `supernet` takes twice as long (93 µs), and a list may have 300,000 addresses.
    cut = ((length, int(address) >> bits - length << bits - length) for length in range(network.prefixlen, -1, -1))
    return [f"{type(address)(number)}/{length}" for length, number in cut]
