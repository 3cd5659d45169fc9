"""Spans of time as people name them: "today", "last week", "since Monday", "in the last 3 hours". Times are UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = {
    "minute": 1 / 60,
    "min": 1 / 60,
    "hour": 1.0,
    "hr": 1.0,
    "h": 1.0,
    "day": 24.0,
    "d": 24.0,
    "week": 168.0,
    "month": 720.0,
    "year": 8760.0,
}
_LAST_N = re.compile(r"\b(?:last|past|previous)\s+(\d{1,4})\s*(minute|min|hour|hr|h|day|d|week|month|year)s?\b")
_AGO = re.compile(r"\b(\d{1,4})\s*(minute|min|hour|hr|h|day|d|week|month|year)s?\s+ago\b")
_DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
_DAY = re.compile(rf"\b(since|last|on)?\s*\b({'|'.join(_DAYS)})\b")


class Period(NamedTuple):
    """From `start` on, before `end`, both aware; `label` says it in words."""

    start: datetime
    end: datetime
    label: str

    def holds(self, at: datetime) -> bool:
        """Whether a time lies in it."""
        return self.start <= at < self.end


def period_in(text: str, now: datetime) -> Period | None:
    """The span that a question names, None if it names none. Weeks begin on Monday; a day is one in UTC."""
    said, now = text.lower(), now.astimezone(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    ahead = now + timedelta(minutes=1)  # what came in this very moment belongs to it
    if found := _LAST_N.search(said):
        hours = min(int(found[1]) * _UNITS[found[2]], 24 * 3660)
        return _named(now - timedelta(hours=hours), ahead, f"in the last {found[1]} {found[2]}s")
    if found := _AGO.search(said):
        hours = min(int(found[1]) * _UNITS[found[2]], 24 * 3660)
        if _UNITS[found[2]] >= 24:
            day = today - timedelta(hours=hours)
            return _named(day, day + timedelta(hours=_UNITS[found[2]]), f"{found[1]} {found[2]}s ago")
        return _named(now - timedelta(hours=hours), ahead, f"since {found[1]} {found[2]}s ago")
    if found := _DATE.search(said):
        try:
            day = datetime.combine(date.fromisoformat(found[1]), datetime.min.time(), UTC)
        except ValueError:
            return None
        since = re.search(rf"\b(?:since|after|from)\s+{found[1]}", said) is not None
        return _named(day, ahead if since else day + timedelta(days=1), f"{'since' if since else 'on'} {found[1]}")
    monday, new_year = today - timedelta(days=today.weekday()), today.replace(month=1, day=1)
    for words, start, end in (
        (("this morning", "tonight", "today", "todays", "today's"), today, ahead),
        (("yesterday", "yesterdays"), today - timedelta(days=1), today),
        (("last week", "previous week"), monday - timedelta(days=7), monday),
        (("past week",), now - timedelta(days=7), ahead),
        (("this week",), monday, ahead),
        (("last hour", "past hour"), now - timedelta(hours=1), ahead),
        (("last day", "past day"), now - timedelta(days=1), ahead),
        (("this month",), today.replace(day=1), ahead),
        (("last month", "past month"), now - timedelta(days=30), ahead),
        (("this year",), new_year, ahead),
        (("last year", "previous year"), new_year.replace(year=new_year.year - 1), new_year),
        (("past year",), now - timedelta(days=365), ahead),
        (("lately", "recently"), now - timedelta(days=7), ahead),
    ):
        if word := next((w for w in words if re.search(rf"\b{w}\b", said)), None):
            return _named(start, end, word)
    if found := _DAY.search(said):
        back = (today.weekday() - _DAYS.index(found[2])) % 7
        day = today - timedelta(days=back or (7 if found[1] == "last" else 0))
        return _named(day, ahead if found[1] == "since" else day + timedelta(days=1), f"{found[1] or 'on'} {found[2]}")
    return None


def _named(start: datetime, end: datetime, label: str) -> Period:
    return Period(start, end, f"{label} (from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC)")
