"""Triage: what is this alert? Asks the fine-tuned model once; every later agent reads its answer."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from aegis_agents.context import Context
from aegis_agents.state import IncidentState


def triage(state: IncidentState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Adds `assessment`. Raises ModelError if the model can't answer: then nothing is decided at all."""
    return {"assessment": runtime.context.model.assess(state["incident"])}
