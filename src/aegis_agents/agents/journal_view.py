"""What the gate needs to know of the journal: how much was done lately, and who has endorsed what."""

from __future__ import annotations

from datetime import datetime

from aegis_agents.context import Context
from aegis_agents.gate.request import Usage
from aegis_agents.gate.tiers import TIERS
from aegis_agents.ledger import JournalRow, Store

ENDORSED = "approval.endorsed"
"""Ledger entry: one of several persons that policy asks for has said yes."""


def gate_usage(context: Context, since: datetime) -> Usage:
    """What was done since a time, as budgets count it.

    The journal knows no asset tiers, so every tier is charged with all of it: that can
    only lower what is allowed. What is approved and not begun counts as done.
    """
    used = context.store.usage(since)
    acted = used.actions + used.committed
    return Usage(
        by_class={"contain": acted, "record": used.records},
        by_tier=dict.fromkeys(TIERS, acted),
        targets=frozenset(f"{t.kind}:{t.value}" for t in used.targets),
        failed=used.failed,
        undone=used.undone,
    )


def endorsers(store: Store, row: JournalRow) -> tuple[str, ...]:
    """Who has endorsed an action that still waits, in order."""
    found = (e for e in store.entries(incident_id=row.incident_id, limit=10_000) if e.kind == ENDORSED)
    return tuple(str(e.body["by"]) for e in found if e.body.get("action_id") == row.action_id)
