"""Change freezes and maintenance windows, in which machines must not be touched alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from aegis_agents.errors import SettingsError

WindowKind = Literal["freeze", "maintenance"]
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS: Final = {"name", "kind", "start", "end", "days", "from", "to", "tz", "groups"}
_ONCE: Final = {"start", "end"}
_WEEKLY: Final = {"from", "to", "tz"}


@dataclass(frozen=True)
class Window:
    """Once (`start` to `end`) or every week (`days`, `begins` to `ends` local time, past midnight too).

    `groups` limits it to assets of these groups; empty means all.
    """

    name: str
    kind: WindowKind
    groups: frozenset[str]
    start: datetime | None = None
    end: datetime | None = None
    days: frozenset[int] = frozenset()
    begins: time = time.min
    ends: time = time.max
    tz: tzinfo = UTC

    @classmethod
    def load(cls, source: Mapping[str, Any], where: str) -> Window:
        """A window from its settings; SettingsError names the field.

        {kind, start, end} with aware times, or {kind, days: ["sat"], from: "22:00", to: "06:00", tz}.
        """
        if unknown := set(source) - _KEYS:
            raise SettingsError(f"{where}: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KEYS))}")
        kinds: tuple[WindowKind, ...] = get_args(WindowKind)
        kind = next((known for known in kinds if known == source.get("kind")), None)
        if kind is None:
            raise SettingsError(f"{where}.kind: {source.get('kind')!r} is none of {', '.join(kinds)}")
        name, groups = str(source.get("name", kind)), frozenset(_names(source.get("groups", ()), f"{where}.groups"))
        weekly = "days" in source
        if mixed := sorted(set(source) & (_ONCE if weekly else _WEEKLY)):
            raise SettingsError(
                f"{where}: {', '.join(mixed)} would do nothing {'beside' if weekly else 'without'} days"
            )
        if weekly:
            days = _names(source["days"], f"{where}.days")
            if unknown := set(days) - set(_DAYS):
                raise SettingsError(f"{where}.days: {', '.join(unknown)} is none of {', '.join(_DAYS)}")
            begins = _clock(source.get("from", "00:00"), f"{where}.from")
            ends = _clock(source["to"], f"{where}.to") if "to" in source else time.max
            if not days or begins == ends:
                what = "is as from; leave both out for whole days" if days else "names no day"
                raise SettingsError(f"{where}.{'to' if days else 'days'}: {what}, and the window would never be on")
            zone = _zone(str(source.get("tz", "UTC")), where)
            numbers = frozenset(_DAYS.index(day) for day in days)
            return cls(name, kind, groups, days=numbers, begins=begins, ends=ends, tz=zone)
        start, end = _moment(source.get("start"), f"{where}.start"), _moment(source.get("end"), f"{where}.end")
        if end <= start:
            raise SettingsError(f"{where}.end: must be after start")
        return cls(name, kind, groups, start, end)

    def holds(self, now: datetime, groups: frozenset[str]) -> bool:
        """Whether it is on at this time for an asset of these groups."""
        if self.groups and not self.groups & groups:
            return False
        if self.start is not None and self.end is not None:
            return self.start <= now < self.end
        local = now.astimezone(self.tz)
        clock, today = local.time(), local.weekday()
        if self.begins <= self.ends:
            return today in self.days and self.begins <= clock < self.ends
        yesterday = (local - timedelta(days=1)).weekday()
        return (today in self.days and clock >= self.begins) or (yesterday in self.days and clock < self.ends)


def _names(values: object, where: str) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Iterable) or not all(isinstance(v, str) for v in values):
        raise SettingsError(f"{where}: needs a list of texts")
    return list(values)


def _clock(value: object, where: str) -> time:
    try:
        found = value if isinstance(value, time) else time.fromisoformat(str(value))
    except ValueError as error:
        raise SettingsError(f"{where}: {value!r} is no time like 22:00") from error
    if found.tzinfo is not None:
        raise SettingsError(f"{where}: {value!r} has an offset; name the zone in tz instead")
    return found


def _moment(value: object, where: str) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise SettingsError(f"{where}: {value!r} is no time like 2026-12-20T18:00:00+01:00") from error
    if moment.tzinfo is None:
        raise SettingsError(f"{where}: needs a UTC offset, as in 2026-12-20T18:00:00+01:00")
    return moment


def _zone(name: str, where: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise SettingsError(f"{where}.tz: {name!r} is no time zone like Europe/Vienna") from error
