"""How the times and windows that facts name lie to the time of the event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from aegis_agents.sources.clock import parse_time
from aegis_agents.sources.keys import word_set, words_of
from aegis_agents.sources.relation import Relation, View, named

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_MOMENT = rf"{_DATE}(?:[T ]{_TIME}(?:\s?(?:Z|UTC)|[+-]\d\d:?\d\d)?)?"
_TO = r"\s?(?:/|\.\.\.?|–|—|->|-(?=\d{4}-)|\s-\s|\bto\b|\buntil\b|\btill\b|\bthrough\b|\band\b)\s?"
_INTERVAL = re.compile(rf"(?<![\d-])({_MOMENT}){_TO}({_MOMENT}|\d\d-\d\d(?!:)|{_TIME}\s?Z?)(?!\d)")
_NAMED_ZONE = r"(Z\b|UTC\b|MSK\b|(?!SAT\b)[A-Z]{2,3}T\b|[+-]\d\d:\d\d)?"
_SHIFT = re.compile(rf"(?<![\d-])({_DATE}) (\d\d:\d\d)\s?[-–]\s?(\d\d:\d\d)(?!\d)\s?{_NAMED_ZONE}")
_HOURS = re.compile(rf"(?<![\dT:.-])([0-2]\d:[0-5]\d)\s?(?:-|–|\.\.|to)\s?([0-2]\d:[0-5]\d)(?![\d:])\s?{_NAMED_ZONE}")
_ONE = re.compile(rf"(?<![\d-])({_MOMENT})(?!\d)")
_MONTH = re.compile(r"(?<![\w-])(20\d\d-(?:0[1-9]|1[0-2]))(?![\w-])")
_ZONE = re.compile(r"(?:[Zz]|UTC|GMT|([+-])(\d\d):?(\d\d)|(?<=:\d\d)([+-])(\d\d))(?:\[[\w/+-]{1,40}\])?$")
_ABBREVIATIONS: Final = {
    "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4,
    "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11,
}  # fmt: skip
"""Hours from UTC, of those names that are one zone's alone (IST and CST are several)."""
_BEFORE_IT = re.compile(r"([A-Za-z][A-Za-z]+(?: [A-Za-z]+){0,2})[ :='\"(]{1,3}$")

_OWN_CLOCK: Final = word_set(
    "timestamp time eventtime createdat updatedat createddatetime lastupdatedatetime createdtimeutc published ts "
    "messagetime clicktime timegenerated utctime timecreated systemtime eventfirstseen eventlastseen start end sentat "
    "raisedat threattime firstactivitydatetime lastactivitydatetime date datetime eventdate receivetime createtime"
)
"""Fields that say when the alert itself happened or was written: near the event by nature."""
_DATED: Final = word_set(
    "seen created creation create registered registration expires expiry expiration expired end ends before since "
    "last first set start started began issued valid changed modified updated added enabled disabled published placed "
    "hired hire joined left leave approved completed closed opened renewed built compiled installed enrolled revoked "
    "after notbefore notafter enddate firstseen lastseen checkout scheduled requested granted sync run runs "
    "age hit until deployed born disclosed released cancelled"
)
_ENDS: Final = word_set("expires expiry expiration expired end ends enddate until after notafter")
_FIRST_YEARS: Final = 1990


class _Span(NamedTuple):
    start: datetime
    end: datetime
    text: str
    at: tuple[int, int]


def time_relations(views: Sequence[View], event: datetime) -> list[Relation]:
    """Windows first, then single dates. An unstated zone is that in which the event's own time is written; hours in a zone
    that is unknown ("local", IST) are left alone.
    """
    clock = next((view.fact for view in views if parse_time(view.fact.value) == event), None)
    offset = (_offset(clock.value) or timedelta()) if clock else timedelta()
    windows: list[Relation] = []
    dates: list[Relation] = []
    for view in views:
        value = view.fact.value
        if len(value) > 1000 or (":" not in value and "-" not in value) or (clock and view.fact.id == clock.id):
            continue
        facts = (view.fact, clock) if clock else (view.fact,)
        taken: list[tuple[int, int]] = []
        for span in _spans(value, event, offset):
            taken.append(span.at)
            windows.append(Relation("event_in_window", _placed(span, event, view), facts))
        for text in _single(view, value, event, taken):
            dates.append(Relation("date_to_event", text, facts))
    return windows[:8] + dates[:8]


def _offset(text: str) -> timedelta | None:
    """How far the zone that a time is written in lies from UTC; None where it names none."""
    zone = _ZONE.search(text.strip())
    if zone is None:
        return None
    sign, hours, minutes = zone[1] or zone[4], zone[2] or zone[5], zone[3] or 0
    return timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1) if sign else timedelta()


def _zone_of(named_zone: str | None, otherwise: timedelta) -> timedelta | None:
    """The offset of a zone as it stands behind hours, `otherwise` where none does; None of one that is unknown."""
    if not named_zone:
        return otherwise
    if named_zone in _ABBREVIATIONS:
        return timedelta(hours=_ABBREVIATIONS[named_zone])
    return _offset(named_zone)


def _moment(text: str, otherwise: timedelta) -> datetime | None:
    moment = parse_time(text)
    return moment - otherwise if moment and _offset(text) is None else moment


def _spans(value: str, event: datetime, offset: timedelta) -> Iterator[_Span]:
    taken: list[tuple[int, int]] = []

    def free(match: re.Match[str]) -> bool:
        return all(match.end() <= start or match.start() >= end for start, end in taken)

    for match in _SHIFT.finditer(value):
        zone = _zone_of(match[4], offset)
        start, end = parse_time(f"{match[1]}T{match[2]}Z"), parse_time(f"{match[1]}T{match[3]}Z")
        taken.append(match.span())
        if start and end and zone is not None:
            end = end if end > start else end + timedelta(days=1)
            yield _Span(start - zone, end - zone, match.group(), match.span())
    for match in _INTERVAL.finditer(value):
        zone = next((z for z in map(_offset, match.groups()) if z is not None), offset)
        start, end = _moment(match[1], zone), _end(match[1], match[2], zone)
        if start and end and start <= end and free(match):
            taken.append(match.span())
            yield _Span(start, end, match.group(), match.span())
    if "local" in value.lower():
        return
    for match in _HOURS.finditer(value):
        zone = _zone_of(match[3], offset)
        first, last = _minutes(match[1]), _minutes(match[2])
        if not free(match) or zone is None or first is None or last is None or first == last:
            continue
        midnight = (event.astimezone(UTC) + zone).replace(hour=0, minute=0, second=0, microsecond=0) - zone
        start, end = midnight + timedelta(minutes=first), midnight + timedelta(minutes=last)
        if end < start:  # over midnight
            start, end = (start - timedelta(days=1), end) if event < end else (start, end + timedelta(days=1))
        yield _Span(start, end, match.group(), match.span())


def _end(start: str, end: str, offset: timedelta) -> datetime | None:
    """The end of an interval; its date may be left out where it is the start's, and a date ends with its day."""
    if re.fullmatch(r"\d\d-\d\d", end):
        end = f"{start[:5]}{end}"
    elif re.match(r"\d\d:", end):
        end = f"{start[:10]}T{end}"
    moment = _moment(end, offset)
    return moment + timedelta(days=1, seconds=-1) if moment and len(end) == 10 else moment


def _minutes(text: str) -> int | None:
    hours, minutes = int(text[:2]), int(text[3:])
    return hours * 60 + minutes if hours < 24 or (hours == 24 and minutes == 0) else None


def _placed(span: _Span, event: datetime, view: View) -> str:
    where = named(view, span.text)
    hours = re.match(r"\d\d:", span.text)
    kind = "hours" if hours else "window"
    if span.start <= event <= span.end:
        return f"event time inside named {kind} {where}"
    if hours:
        return f"event time outside named hours {where}"
    if event < span.start:
        return f"event time before named window, {_distance(span.start - event)} before it opens {where}"
    return f"event time after named window, {_distance(event - span.end)} after it closed {where}"


def _single(view: View, value: str, event: datetime, taken: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Dates that say when something was created, first seen, changed, or ends."""
    words = view.keys.words
    for match in [*_ONE.finditer(value), *_MONTH.finditer(value)]:
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        whole = match.end() - match.start() >= len(value.strip()) - 7
        if whole and view.keys.leaf in _OWN_CLOCK:
            continue
        month = len(match[1]) == 7
        moment = parse_time(f"{match[1]}-15" if month else match[1])
        if moment is None or moment.year < _FIRST_YEARS:
            continue
        before = _BEFORE_IT.search(value[: match.start()][-60:])
        said = before.group(1).lower() if before else ""
        spoken = set(said.split())
        if not (spoken | words) & _DATED:
            continue
        label = said if spoken & _DATED else " ".join(words_of(view.fact.path.rsplit(".", 1)[-1])).removeprefix("x ")
        gap = event - moment
        day_only = len(match[1]) == 10
        distance = _distance(abs(gap), whole_days=day_only, months=month)
        if day_only and moment.date() == event.date():
            relation = "on the same day as the event"
        else:
            relation = f"{distance} {'before' if gap >= timedelta(0) else 'after'} the event"
        if (spoken | words | {view.keys.leaf}) & _ENDS:
            relation += ", already over" if gap > timedelta(days=1 if day_only else 0) else ", not yet over"
        yield f"{label} {relation} {named(view, match[1])}"


def _distance(gap: timedelta, *, whole_days: bool = False, months: bool = False) -> str:
    """Coarse words: what decides is whether it was yesterday or years ago, not the number of minutes."""
    days = gap / timedelta(days=1)
    if months and days <= 46:
        return "weeks"
    if days < 1 and not whole_days:
        return "within an hour" if days <= 1 / 24 else "within a day"
    limits = ((4, "1-3 days"), (11, "within ten days"), (32, "weeks"), (366, "months"))
    return next((words for limit, words in limits if days < limit), "years")
