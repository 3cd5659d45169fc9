"""What the gate needs to know of the journal: how much was done lately, and who has endorsed what."""

from __future__ import annotations

from datetime import datetime

from aegis_agents.context import Context
from aegis_agents.gate.request import Usage, class_of
from aegis_agents.ledger import JournalRow, Store
from aegis_agents.records import CATALOGUE, Decision, ProposedAction

ENDORSED = "approval.endorsed"
"""Ledger entry: one of several persons that policy asks for has said yes."""


def gate_usage(context: Context, since: datetime) -> Usage:
    """What was done since a time, as budgets count it.

    What is approved and not begun counts as done.
    """
    used = context.store.usage(since)
    acted, closed = used.actions + used.committed, used.closed
    return Usage(
        by_class={"contain": acted, "close_alert": closed, "record": used.records - closed},
        by_tier=used.by_tier,
        by_group=used.by_group,
        targets=frozenset(f"{t.kind}:{t.value}" for t in used.targets),
        failed=used.failed,
        undone=used.undone,
    )


def charged(usage: Usage, proposal: ProposedAction, decision: Decision) -> Usage:
    """The usage as it will be once this proposal was done."""
    spec = CATALOGUE[proposal.action]
    kind = class_of(spec)
    by_class = usage.by_class | {kind: usage.by_class.get(kind, 0) + 1}
    if spec.effect == "record":
        return usage.model_copy(update={"by_class": by_class})
    tier, groups = str(decision.inputs.get("asset.tier", "")), str(decision.inputs.get("asset.groups", "")).split()
    return usage.model_copy(
        update={
            "by_class": by_class,
            "by_tier": usage.by_tier | {tier: usage.by_tier.get(tier, 0) + 1},
            "by_group": usage.by_group | {group: usage.by_group.get(group, 0) + 1 for group in groups},
            "targets": usage.targets | {f"{proposal.target.kind}:{proposal.target.value}"},
        }
    )


def approvers(store: Store, row: JournalRow) -> tuple[str, ...]:
    """The authenticated persons who said yes to an action, in order."""
    found = (e for e in store.entries(incident_id=row.incident_id, kind=ENDORSED, limit=10_000))
    said = [str(e.body["person"]) for e in found if e.body and e.body.get("action_id") == row.action_id]
    if row.principal and row.state != "denied":
        said.append(row.principal.split(":", 1)[1].strip().casefold())
    return tuple(dict.fromkeys(said))
