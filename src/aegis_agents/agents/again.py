"""Deciding again on an action that was decided before: when a person approves it, and after a crash."""

from __future__ import annotations

from typing import Any

from aegis_agents.agents.approval import decide, usage_now
from aegis_agents.agents.journal_view import approvers, without_itself
from aegis_agents.agents.rebuild import rebuild_state
from aegis_agents.context import Context
from aegis_agents.ledger import JournalRow
from aegis_agents.records import Decision


def decide_again(graph: Any, context: Context, row: JournalRow, person: str | None) -> Decision:
    """The gate's decision as things stand now, with everybody who said yes, `person` included.

    The state is the graph's own as it was decided; where the checkpoint is gone it is
    rebuilt from intake and case.
    """
    said_yes = dict.fromkeys((*approvers(context.store, row), *((person,) if person else ())))
    state = graph.get_state({"configurable": {"thread_id": row.incident_id}}).values
    if "conclusion" not in state:
        state = rebuild_state(context.store, context, row.incident_id)
    return decide(state, context, row.proposal, without_itself(usage_now(context), row), approved_by=tuple(said_yes))
