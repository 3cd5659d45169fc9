"""How the commands of `aegis intel` reach the intelligence and its feeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_agents.errors import IntelError

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.intel import Intel, Reader
    from aegis_agents.intel.feeds.config import Feed
    from aegis_agents.intel.feeds.sync import Syncer
    from aegis_agents.intel.trust import Quarantine


def open_intel(aegis: Aegis) -> Intel:
    """The intelligence, as the settings' reader sees it. Raises IntelError if this Aegis has none."""
    intel = aegis.context.intel
    if intel is None:
        raise IntelError("this Aegis was made without intelligence")
    return intel


def reader_of(aegis: Aegis) -> Reader:
    """Whose eyes the settings say these are."""
    from aegis_agents.intel import Reader

    return Reader(tenant=aegis.settings.tenant, clearance=aegis.settings.clearance)


def open_syncer(aegis: Aegis, feeds: Sequence[Feed] | Path | None = None) -> Syncer:
    """What fetches the feeds of the settings, those of a file, or the ones given."""
    if isinstance(feeds, Path):
        from aegis_agents.feeding import configured

        feeds = configured(aegis.settings.model_copy(update={"feeds": feeds}))
    return aegis.syncer(feeds)


def open_quarantine(aegis: Aegis) -> Quarantine:
    """What was held back at ingest; close it when done."""
    from aegis_agents.intel.trust.quarantine import QUARANTINE, Quarantine

    return Quarantine(aegis.settings.home / "intel" / QUARANTINE)
