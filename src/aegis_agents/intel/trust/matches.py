"""From the indicators of an alert to what feeds say of them: current, not warned of, in two look-ups."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aegis_agents.intel.indicators import Indicator
from aegis_agents.intel.trust.age import AgePolicy, indicator_of, is_current
from aegis_agents.intel.trust.warnings import Lookup, domains_above, host_of, warned, warning_keys
from aegis_agents.intel.trust.wellknown import domain, harmless
from aegis_agents.records import Passage

_V4 = range(16, 33)
_V6 = (32, 36, 40, 44, 48, 52, 56, 60, 64, 80, 96, 112, 120, 124, 126, 127, 128)
"""Lengths of prefixes under which networks are looked up; those of IPv6 are the usual ones, not all."""


class Match(NamedTuple):
    """An indicator of the alert and a passage that lists it, or the network, domain or host that it lies in."""

    indicator: Indicator
    passage: Passage


def matches(
    indicators: Sequence[Indicator],
    lookup: Lookup,
    now: dt.datetime,
    policy: AgePolicy = AgePolicy(),  # noqa: B008 - a frozen record
    *,
    max_age_days: Mapping[str, int] | None = None,
    listed_at: Mapping[str, dt.datetime] | None = None,
) -> list[Match]:
    """What current indicators of feeds say of an alert's own.

    An address is found in listed networks, a domain below listed domains, a URL by its host too. Values
    that warning lists or the built-in facts call harmless are left out, on either side, however many list
    them: a list that was synced after the indicator holds as well.
    """
    asked = {i: indicator_keys(i) for i in dict.fromkeys(indicators) if harmless(i) is None}
    if not asked:
        return []
    found: dict[str, list[Passage]] = {}
    for passage in lookup(list(dict.fromkeys(k for keys in asked.values() for k in keys)), ("indicator",)):
        listed = indicator_of(passage)
        current = is_current(passage, now, policy, max_age_days=max_age_days, listed_at=listed_at)
        if listed is not None and current and harmless(listed) is None:
            found.setdefault(listed.key, []).append(passage)
    if not found:
        return []
    hits = [Match(i, p) for i, keys in asked.items() for key in keys for p in found.get(key, ())]
    touched = list(dict.fromkeys([m.indicator for m in hits] + [i for m in hits if (i := indicator_of(m.passage))]))
    if not lookup(list(dict.fromkeys(k for i in touched for k in warning_keys(i))), ("warning",)):
        return hits
    silent = {i for i in touched if warned(i, lookup) is not None}
    return [m for m in hits if m.indicator not in silent and indicator_of(m.passage) not in silent]


def indicator_keys(indicator: Indicator) -> list[str]:
    """The aliases of indicators that would cover one: its own first."""
    kind, value = indicator
    keys = [indicator.key]
    if kind == "url":
        host = host_of(value)
        keys += indicator_keys(host) if harmless(host) is None else []
    elif kind == "domain":
        keys += [f"domain:{name}" for name in domains_above(value)[1:] if "." in name and domain(name) is None]
    elif kind == "ip":
        address = ipaddress.ip_address(value)
        lengths = _V4 if address.version == 4 else _V6
        keys += [f"net:{ipaddress.ip_network((address, length), strict=False)}" for length in lengths]
    return keys
