"""Response: do what was approved, once, through the one write path."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from aegis_agents.context import Context
from aegis_agents.errors import ActionError
from aegis_agents.state import ActionState


def respond(state: ActionState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Adds the receipt. Whether it may run is read from the journal, never from what woke the graph."""
    context, action_id = runtime.context, state["proposal"].action_id
    if not state.get("approved"):
        return {"receipts": (context.store.action(action_id).receipt(),)}
    try:
        receipt = context.write_path.execute(action_id)
    except ActionError:
        # Begun by somebody else, or not approved after all: what the journal says is what happened.
        receipt = context.store.action(action_id).receipt()
    return {"receipts": (receipt,)}
