"""What all sources together say of one indicator, and how far that goes: the same for agents, people and notebooks.

A value that nobody reports is unknown, not harmless. One that is on a warning list, or is known to be shared (a
resolver, a CDN), is never established, whoever reports it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import AwareDatetime

from aegis_agents.errors import InputError
from aegis_agents.intel.indicators import Indicator, read_indicator
from aegis_agents.records import Passage
from aegis_agents.records.base import Record
from aegis_agents.tools.lookup_answers import MAX_TEXT, short

if TYPE_CHECKING:
    from aegis_agents.intel import Intel

Clock = Callable[[], dt.datetime]
"""Tells the time, with its zone."""

Status = Literal["warned", "established", "reported", "outdated", "unknown"]
"""warned: no report of it counts. established: enough independent or highly trusted sources, still current.
reported: some, not enough. outdated: none that is current. unknown: nobody says anything."""

MAX_SOURCES = 20
"""Sources that a report lists, the most telling first; all of them count."""

_NOTES: dict[Status, str] = {
    "warned": "no report of it counts, for the reason under warnings; blocking it may harm many",
    "established": "reported as harmful by enough independent or highly trusted sources, and still current",
    "reported": "reported as harmful, by too few independent or trusted sources to count on its own",
    "outdated": "was reported as harmful; every report is too old to count",
    "unknown": "no synced source reports it; that does not mean that it is harmless",
}


class FeedTimes(NamedTuple):
    """What ages are measured by: days that a feed's indicators count, where that differs from the usual, and when
    its whole list was last read; both by feed (see `intel.trust.age.is_current`)."""

    max_age_days: Mapping[str, int] = {}
    listed_at: Mapping[str, dt.datetime] = {}


class IndicatorSource(Record):
    """One report: who says it, how far they are trusted, what they say, and whether it is still current.

    `indicator` is what the report is of: the value itself, or what it lies in (a URL's host, a domain above, a
    network around). `last_seen` is when its publisher last saw it, `cut` the characters of `text` left out.
    `current` is by age, `counts` whether it also takes part in the quorum: warned values do not.
    """

    indicator: str
    feed: str
    owner: str
    trust: float
    tlp: str
    title: str
    text: str
    cut: int
    last_seen: AwareDatetime | None
    fetched_at: AwareDatetime | None
    valid_until: AwareDatetime | None
    current: bool
    counts: bool
    signer: str


class IndicatorReport(Record):
    """Everything known of a value.

    `warnings` say why it, or what it lies in, is no indicator: names of warning lists and built-in facts.
    `owners` are the independent voices that count, `log_odds` what they may add to a verdict, `quorum` says both in
    words. `left_out` is how many sources are not listed. `passages` are those behind the listed ones, whole.
    """

    asked: str
    kind: str
    value: str
    status: Status
    note: str
    established: bool
    owners: tuple[str, ...]
    log_odds: float
    quorum: str
    warnings: tuple[str, ...]
    sources: tuple[IndicatorSource, ...]
    left_out: int
    snapshot: str
    passages: tuple[Passage, ...]


def utc_now() -> dt.datetime:
    """The time by this machine's clock."""
    return dt.datetime.now(dt.UTC)


def report_indicator(
    intel: Intel,
    value: str,
    *,
    now: dt.datetime,
    times: FeedTimes = FeedTimes(),  # noqa: B008 - never changed
) -> IndicatorReport:
    """Look a value up, defanged or not, in everything that `intel` shows its reader, by the rules that agents go by.

    `now` is the time that ages are measured at. Raises InputError if the value is no indicator.
    """
    from aegis_agents.intel.trust import is_current, matches, weigh
    from aegis_agents.intel.trust.matches import indicator_keys

    indicator = read_indicator(value)
    if indicator is None:
        raise InputError(
            f"{short(value, 80)!r} is no IP address, network, domain, URL, e-mail address or hash",
            field="value", fix="give one value; defanged ones are taken",
        )  # fmt: skip
    ages = times._asdict()
    found = intel.lookup(indicator_keys(indicator), ("indicator",))
    current = {p.id for p in found if is_current(p, now, **ages)}
    counted = [m.passage for m in matches([indicator], intel.lookup, now, **ages)]
    counts = {p.id for p in counted}
    quorum = weigh(counted, now=now, **ages)
    warnings = _warnings(intel, indicator, [p for p in found if p.id in current - counts])
    status: Status = "unknown"
    if quorum.established:
        status = "established"
    elif counted:
        status = "reported"
    elif warnings:
        status = "warned"
    elif found:
        status = "outdated"
    ranked = sorted(found, key=lambda p: (p.id not in counts, p.id not in current, -p.trust, p.owner, p.feed, p.id))
    listed = ranked[:MAX_SOURCES]
    return IndicatorReport(
        asked=short(value), kind=indicator.kind, value=indicator.value, status=status, note=_NOTES[status],
        established=quorum.established, owners=quorum.owners, log_odds=quorum.log_odds,
        quorum=quorum.note if counted else "", warnings=warnings,
        sources=tuple(_source(p, current=p.id in current, counts=p.id in counts) for p in listed),
        left_out=len(ranked) - len(listed), snapshot=intel.snapshot_id, passages=tuple(listed),
    )  # fmt: skip


def _warnings(intel: Intel, indicator: Indicator, silent: list[Passage]) -> tuple[str, ...]:
    """Why a value is no indicator, and why what current reports name is none although it is listed."""
    from aegis_agents.intel.trust import warned
    from aegis_agents.intel.trust.age import indicator_of
    from aegis_agents.intel.trust.wellknown import harmless

    said: dict[str, None] = {}
    for one in dict.fromkeys([indicator, *(i for p in silent if (i := indicator_of(p)) is not None)]):
        if (fact := harmless(one)) is not None:
            said[f"{short(one.value, 80)} {fact}"] = None
        if (name := warned(one, intel.lookup)) is not None:
            said[short(name)] = None
    return tuple(said)


def _source(passage: Passage, *, current: bool, counts: bool) -> IndicatorSource:
    return IndicatorSource(
        indicator=short(passage.id.removeprefix(f"{passage.feed}/")), feed=passage.feed, owner=short(passage.owner),
        trust=passage.trust, tlp=passage.tlp, title=short(passage.title), text=passage.text[:MAX_TEXT],
        cut=max(0, len(passage.text) - MAX_TEXT), last_seen=passage.observed_at, fetched_at=passage.fetched_at,
        valid_until=passage.valid_until, current=current, counts=counts, signer=passage.signer,
    )  # fmt: skip
