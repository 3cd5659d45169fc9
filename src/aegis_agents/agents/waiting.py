"""Waiting for a person. The node holds nothing but the interrupt: it reruns from its top on resume."""

from __future__ import annotations

from typing import Any

from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict

from aegis_agents.state import ActionState


class Answer(BaseModel):
    """What resumes a waiting action. The journal has the answer already; this only wakes the graph."""

    model_config = ConfigDict(extra="forbid")

    action_id: str
    approved: bool


def wait(state: ActionState) -> dict[str, Any]:
    """Wait until the action was answered; one that may run at once passes through."""
    if state["decision"].verb == "execute":
        return {"approved": True}
    proposal = state["proposal"]
    answer = interrupt(
        {
            "action_id": proposal.action_id,
            "action": proposal.action,
            "target": proposal.target.model_dump(),
            "reason": state["decision"].reason,
        },
        response_schema=Answer,
    )
    found = answer if isinstance(answer, Answer) else Answer.model_validate(answer)
    return {"approved": found.approved and found.action_id == proposal.action_id}
