"""How long an indicator counts: addresses change hands within weeks, digests never do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from aegis_agents.intel.indicators import Indicator
from aegis_agents.intel.trust.plausible import read_key
from aegis_agents.records import Passage
from aegis_agents.records.base import Record

Days = Annotated[int, Field(ge=1)]


class AgePolicy(Record):
    """Days that an indicator of a kind counts after it was last seen; None: without end."""

    ip: Days | None = 30
    net: Days | None = 30
    domain: Days | None = 90
    url: Days | None = 60
    email: Days | None = 180
    sha256: Days | None = None
    sha1: Days | None = None
    md5: Days | None = None


def indicator_of(passage: Passage) -> Indicator | None:
    """The indicator that a passage of the corpus "indicator" is, by its id ("feed/ip:203.0.113.7")."""
    return read_key(passage.id.removeprefix(f"{passage.feed}/"))


def is_current(
    passage: Passage,
    now: dt.datetime,
    policy: AgePolicy = AgePolicy(),  # noqa: B008 - a frozen record
    *,
    max_age_days: Mapping[str, int] | None = None,
    listed_at: Mapping[str, dt.datetime] | None = None,
) -> bool:
    """Whether an indicator still counts.

    Its age runs from when its publisher last saw it, or else from when it was fetched; what is said to be
    seen after it was fetched, or in the future, counts as seen when it was fetched, or now. `max_age_days`:
    feed → days in place of the policy's, for kinds that age at all. `listed_at`: feed → when its whole list
    was last read; what it lists without a date counts as seen then. `valid_until` ends an indicator early
    and never prolongs it. Without any date, or if it is no indicator, it does not count.
    """
    indicator = indicator_of(passage)
    if indicator is None or (passage.valid_until is not None and now >= passage.valid_until):
        return False
    fetched = _latest(passage.fetched_at, (listed_at or {}).get(passage.feed))
    seen = passage.observed_at
    if seen is None or (fetched is not None and seen > fetched):
        seen = fetched
    if seen is None or (fetched is None and seen > now):
        return False
    days = getattr(policy, indicator.kind)
    if days is not None and max_age_days is not None:
        days = max_age_days.get(passage.feed, days)
    return days is None or now - min(seen, now) <= dt.timedelta(days=days)


def _latest(*times: dt.datetime | None) -> dt.datetime | None:
    return max((t for t in times if t is not None), default=None)
