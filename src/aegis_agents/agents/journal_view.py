"""What the gate needs to know of the journal: how much was done lately, and who has endorsed what."""

from __future__ import annotations

from datetime import datetime

from aegis_agents.context import Context
from aegis_agents.gate.request import Usage
from aegis_agents.gate.tiers import TIERS
from aegis_agents.ledger import JournalRow, Store
from aegis_agents.records import CATALOGUE, ProposedAction

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


def charged(usage: Usage, proposal: ProposedAction) -> Usage:
    """The usage as it will be once this proposal was done."""
    if CATALOGUE[proposal.action].effect == "record":
        by_class = usage.by_class | {"record": usage.by_class.get("record", 0) + 1}
        return usage.model_copy(update={"by_class": by_class})
    return usage.model_copy(
        update={
            "by_class": usage.by_class | {"contain": usage.by_class.get("contain", 0) + 1},
            "by_tier": {tier: count + 1 for tier, count in usage.by_tier.items()},
            "targets": usage.targets | {f"{proposal.target.kind}:{proposal.target.value}"},
        }
    )


def endorsers(store: Store, row: JournalRow) -> tuple[str, ...]:
    """Who has endorsed an action that still waits, in order."""
    found = (e for e in store.entries(incident_id=row.incident_id, limit=10_000) if e.kind == ENDORSED)
    return tuple(str(e.body["by"]) for e in found if e.body.get("action_id") == row.action_id)
