"""Going on with a state that is older than what was: a virtual machine set back, a lost write-ahead log, a late standby.

The anchor beside the database knows of more entries than the ledger has. The store then begins no action, since the journal may
have forgotten that it was done. A person who knows why lets it go on from here, as from a restored backup.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.identity import os_account
from aegis_agents.ledger.anchor import Anchor
from aegis_agents.records.base import Record
from aegis_agents.upkeep.reading_back import READ_BACK, RESTORED, ReadBack, read_back

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.settings import Settings


class WentOn(Record):
    """From how many entries it goes on, how many at least were lost, the old anchor's file, and what was read back."""

    entries: int
    lost: int
    anchor: str
    kill_switch: str
    read_back: ReadBack


def go_on(
    settings: Settings, *, look: bool = True, open_aegis: Callable[[Settings], Aegis] | None = None
) -> WentOn:  # fmt: skip
    """Let a state that was rolled back go on: engage the kill switch, anchor it anew, and read back what is in effect.

    The old anchor is kept beside, under a name with the time. Raises StoreError where nothing was rolled back,
    LedgerTampered where the ledger is not whole in itself.
    """
    from aegis_agents.aegis import Aegis

    with (open_aegis or (lambda given: Aegis(settings=given)))(settings) as aegis:
        store: Any = aegis.store
        there, anchor = _meta(store), _anchor(store)
        if anchor.entries <= there.entries and store._holds(
            anchor, store._rows("SELECT origin FROM ledger_meta")[0][0]
        ):
            raise StoreError(f"{store.where}: nothing was rolled back: its anchor knows no more than it has")
        switch = settings.kill_switch_file.expanduser()
        old = store._anchor.path.with_name(f"{store._anchor.path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
        try:
            switch.touch()
            store._anchor.close()
            store._anchor.path.rename(old)
            store._anchor.create(there)
        except OSError as error:
            raise StoreError(f"{old}: the old anchor can't be put aside: {error}") from error
        try:
            store.verify()
        except LedgerTampered:
            old.replace(store._anchor.path)  # the evidence stays as it was
            raise
        said = {"here": True, "entries": there.entries, "head": there.head, "anchor": [anchor.entries, anchor.head]}
        lost = max(0, anchor.entries - there.entries)
        store.append(RESTORED, None, said | {"known_lost": lost, "principal": os_account().entry()})
        back = read_back(aegis, look=look)
        told = [item.action.action_id for item in back.items]
        store.append(READ_BACK, None, {"looked_at": back.looked_at, "told": told})
        return WentOn(
            entries=there.entries, lost=lost, anchor=str(old), kill_switch=str(settings.kill_switch_file), read_back=back
        )  # fmt: skip


def _meta(store: Any) -> Anchor:
    row = store._rows("SELECT count, head, checkpoints FROM ledger_meta")[0]
    return Anchor(row["count"], row["head"], row["checkpoints"])


def _anchor(store: Any) -> Anchor:
    found: Anchor = store._anchor.read()
    return found
