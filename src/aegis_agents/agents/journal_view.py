"""What the gate needs to know of the journal: how much was done lately, and who has endorsed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aegis_agents.context import Context
from aegis_agents.gate.request import Usage, class_of
from aegis_agents.ledger import JournalRow, Store
from aegis_agents.records import CATALOGUE, Decision, ProposedAction

ENDORSED = "approval.endorsed"
"""Ledger entry: one of several persons that policy asks for has said yes."""
ANSWERED = "action.answered"
"""Ledger entry of the store: the answer that stands."""


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
    touched = _counted(usage, proposal, decision, 1)
    if CATALOGUE[proposal.action].effect == "record":
        return touched
    return touched.model_copy(update={"targets": usage.targets | {f"{proposal.target.kind}:{proposal.target.value}"}})


def without_itself(usage: Usage, row: JournalRow) -> Usage:
    """The usage for deciding on a row again: one that is approved and not begun was counted already."""
    return _counted(usage, row.proposal, row.decision, -1) if row.state == "approved" else usage


def _counted(usage: Usage, proposal: ProposedAction, decision: Decision, by: int) -> Usage:
    spec = CATALOGUE[proposal.action]
    kind = class_of(spec)
    by_class = usage.by_class | {kind: usage.by_class.get(kind, 0) + by}
    if spec.effect == "record":
        return usage.model_copy(update={"by_class": by_class})
    tier, groups = str(decision.inputs.get("asset.tier", "")), str(decision.inputs.get("asset.groups", "")).split()
    return usage.model_copy(
        update={
            "by_class": by_class,
            "by_tier": usage.by_tier | {tier: usage.by_tier.get(tier, 0) + by},
            "by_group": usage.by_group | {group: usage.by_group.get(group, 0) + by for group in groups},
        }
    )


def approvers(store: Store, row: JournalRow) -> tuple[str, ...]:
    """The authenticated persons whose yes to an action counts, in order.

    What was said with a token that was revoked since does not: who revokes one no longer trusts what it said.
    """
    said = endorsements(store, row)
    if row.principal and row.state != "denied":
        answer = _about(store, row, ANSWERED)
        detail = str(answer[-1]["principal"].get("detail", "")) if answer else ""
        said.append((row.principal.split(":", 1)[1].strip().casefold(), detail))
    revoked = {f"token {token.token_id}" for token in store.tokens() if token.revoked_at} if said else set()
    return tuple(dict.fromkeys(person for person, detail in said if detail not in revoked))


def endorsements(store: Store, row: JournalRow) -> list[tuple[str, str]]:
    """Who said yes before the last one, and by what they were known ("token 4f2a...")."""
    found = _about(store, row, ENDORSED)
    return [(str(body["person"]), str((body.get("principal") or {}).get("detail", ""))) for body in found]


def _about(store: Store, row: JournalRow, kind: str) -> list[dict[str, Any]]:
    entries = store.entries(incident_id=row.incident_id, kind=kind, limit=10_000)
    return [e.body for e in entries if e.body and e.body.get("action_id") == row.action_id]
