"""How an Aegis reaches its feeds: what fetches them, and what ages of indicators are measured by."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aegis_agents.errors import IntelError, SettingsError
from aegis_agents.settings import Settings
from aegis_agents.tools.indicator_report import FeedTimes

if TYPE_CHECKING:
    from aegis_agents.context import Context
    from aegis_agents.intel.feeds.config import Feed
    from aegis_agents.intel.feeds.sync import Syncer
    from aegis_agents.ledger import Store

SNAPSHOT_ID = re.compile(r"[0-9a-f]{32}")
TIMES_KEPT = 30.0
"""Seconds for which the times of feeds are kept: ages are measured in days."""


def open_syncer(settings: Settings, context: Context, feeds: Sequence[Feed] | None = None) -> Syncer:
    """What fetches the feeds that settings name, or the ones given.

    Raises SettingsError for a wrong feed, IntelError if this Aegis was made without intelligence.
    """
    from aegis_agents.gate.injection import find_signs
    from aegis_agents.intel.feeds.sync import Syncer

    def speaks_to_machines(text: str) -> str | None:
        return next((f"{sign.intent} ({sign.via})" for sign in find_signs(text)), None)

    if context.intel is None:
        raise IntelError("this Aegis was made without intelligence")
    chosen = configured(settings) if feeds is None else feeds
    return Syncer(
        context.intel, chosen, settings.home / "intel", embed=context.model, speaks_to_machines=speaks_to_machines
    )


def configured(settings: Settings) -> list[Feed]:
    """The feeds that settings name. Raises SettingsError for a wrong one."""
    if settings.feeds is None:
        return []
    from aegis_agents.hardening.trust import Trust, back
    from aegis_agents.intel.feeds.load import load_feeds

    with Trust.of(settings).opened(settings.feeds) as (copy,):
        found = load_feeds(copy or settings.feeds, settings.feed_tokens)
    return [feed.model_copy(update={"path": back(feed.path, copy, settings.feeds)}) for feed in found]


def snapshots_named(store: Store) -> set[str]:
    """Ids of the snapshots that the ledger names: what was decided with one can be decided again while it is kept."""
    found: set[str] = set()
    after = 0
    while entries := store.entries(after=after):
        for entry in entries:
            body = entry.body or {}  # None: removed by retention
            for pinned in (body.get("pins"), body.get("versions")):
                if isinstance(pinned, dict) and SNAPSHOT_ID.fullmatch(str(pinned.get("intel"))):
                    found.add(str(pinned["intel"]))
        after = entries[-1].seq
    return found


class FeedClock:
    """What ages of indicators are measured by, as the last sync left it; read anew at most every half minute."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: tuple[float, FeedTimes] | None = None

    def __call__(self) -> FeedTimes:
        """The times now; nothing where no feed was ever synced.

        Raises SettingsError for a wrong feed, unless it read them before: alerts are not held up by an edit.
        """
        now, kept = time.monotonic(), self._kept
        if kept is not None and now - kept[0] <= TIMES_KEPT:
            return kept[1]
        try:
            times = self._read()
        except SettingsError:
            if kept is None:
                raise
            times = kept[1]
        self._kept = (now, times)
        return times

    def _read(self) -> FeedTimes:
        from aegis_agents.intel.feeds.state import STATES, FeedStates
        from aegis_agents.intel.feeds.times import listed_at

        days = {f.name: f.max_age_days for f in configured(self._settings) if f.max_age_days is not None}
        file = self._settings.home / "intel" / STATES
        return FeedTimes(days, listed_at(FeedStates(file).all()) if file.exists() else {})
