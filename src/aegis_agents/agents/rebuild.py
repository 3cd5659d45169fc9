"""The state of a decided incident, rebuilt when its checkpoint is gone or was never written."""

from __future__ import annotations

from typing import cast

from langgraph.runtime import Runtime

from aegis_agents.agents.intel import intel
from aegis_agents.agents.reasoning import reasoning
from aegis_agents.agents.triage import triage
from aegis_agents.context import Context
from aegis_agents.errors import InputError
from aegis_agents.ledger import Store
from aegis_agents.records import Conclusion
from aegis_agents.state import IncidentState


def rebuild_state(store: Store, context: Context, incident_id: str) -> IncidentState:
    """From intake and the kept case; the model is asked again.

    What was cut off before its case was kept, or is still being worked at elsewhere, is concluded anew: it
    waits for a person already. Raises InputError if the incident is not known.
    """
    row, case = store.intake(incident_id), store.case(incident_id)
    if row is None:
        raise InputError(f"incident {incident_id} is not known", field="incident_id", fix="investigate it first")
    state = IncidentState(incident=row.incident)
    if case is None:
        for agent in (triage, intel, reasoning):
            state.update(cast(IncidentState, agent(state, Runtime(context=context))))
        return state
    conclusion = Conclusion(
        verdict=case.verdict, confidence=case.confidence, severity=case.severity,
        techniques=case.techniques, evidence=case.evidence, sentences=(),
    )  # fmt: skip
    return IncidentState(incident=row.incident, assessment=context.model.assess(row.incident), conclusion=conclusion)
