"""Whether an indicator or a warning-list entry can be one at all, whoever says so."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import get_args

from aegis_agents.intel.documents import Document
from aegis_agents.intel.indicators import Indicator, IndicatorKind, read_indicator
from aegis_agents.intel.trust.policy import Reason, ScreenPolicy
from aegis_agents.intel.trust.wellknown import domain, harmless

KINDS: tuple[IndicatorKind, ...] = get_args(IndicatorKind)
_WARN = "warn:"


_OBJECT_ID = re.compile(r"(?:[a-z][a-z0-9-]{1,60}--)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An indicator may also be known by the STIX object or MISP event that named it, which no look-up of a value finds."""


def indicators_of(document: Document) -> list[Indicator]:
    """The indicators under whose keys a document is found."""
    return [i for a in document.aliases if (i := read_key(a)) is not None]


def read_key(key: str) -> Indicator | None:
    """The indicator of a key ("ip:203.0.113.7"), None if it is none or is not in its one form."""
    kind, colon, value = key.partition(":")
    if not colon or kind not in KINDS:
        return None
    found = read_indicator(value)
    return found if found is not None and found.key == key else None


def implausible(
    document: Document, warned: Callable[[Indicator], str | None], policy: ScreenPolicy
) -> tuple[Reason, str] | None:
    """What speaks against an indicator or a warning-list entry, None if nothing does."""
    if document.corpus == "warning":
        wide = next((w for a in document.aliases if (w := _too_wide_warning(a, policy))), None)
        return None if wide is None else ("warning list", wide)
    keys = indicators_of(document)
    if not keys or len(keys) != sum(_OBJECT_ID.fullmatch(a) is None for a in document.aliases):
        return "indicator", f"{document.id}: an alias is no indicator in its one form"
    for indicator in keys:
        if why := _bounds(indicator, policy) or harmless(indicator):
            return "indicator", f"{indicator.key} {why}"
        if name := warned(indicator):
            return "warning list", f"{indicator.key} is on {name}"
    return None


def stands_in(document: Document) -> tuple[Reason, str] | None:
    """Aliases with which a document of another corpus would be found in place of an indicator or a warning."""
    for alias in document.aliases:
        if alias.startswith(_WARN) or read_key(alias) is not None:
            return "alias", f"{document.corpus} {document.id} calls itself {alias[:100]}"
    return None


def _bounds(indicator: Indicator, policy: ScreenPolicy) -> str | None:
    if indicator.kind == "net":
        network = ipaddress.ip_network(indicator.value)
        widest = policy.widest_v4 if network.version == 4 else policy.widest_v6
        return f"is wider than /{widest}" if network.prefixlen < widest else None
    if indicator.kind == "url" and len(indicator.value) > policy.longest_url:
        return f"is longer than {policy.longest_url} characters"
    return None


def _too_wide_warning(alias: str, policy: ScreenPolicy) -> str | None:
    """A warning list may not silence half the internet: "warn:net:0.0.0.0/0", "warn:domain:com"."""
    scope, _, value = alias.removeprefix(_WARN).partition(":")
    if scope == "net":
        try:
            network = ipaddress.ip_network(value)
        except ValueError:
            return f"{alias[:100]} is no network"
        widest = policy.widest_warning_v4 if network.version == 4 else policy.widest_warning_v6
        wide = network.prefixlen < widest and network.is_global and not network.is_multicast
        return f"{alias} is wider than /{widest}" if wide else None
    if scope == "domain":
        suffix = "." not in value or (domain(value) or "").endswith("public suffix")
        return f"{alias[:100]} is a public suffix" if suffix else None
    return None
