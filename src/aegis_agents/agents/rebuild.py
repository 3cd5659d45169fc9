"""The state of a decided incident, rebuilt when its checkpoint is gone."""

from __future__ import annotations

from aegis_agents.context import Context
from aegis_agents.errors import InputError
from aegis_agents.ledger import Store
from aegis_agents.records import Conclusion
from aegis_agents.state import IncidentState


def rebuild_state(store: Store, context: Context, incident_id: str) -> IncidentState:
    """From intake and the kept case; the model is asked again. Raises InputError if the incident is not known."""
    row, case = store.intake(incident_id), store.case(incident_id)
    if row is None or case is None:
        raise InputError(f"incident {incident_id} was never decided", field="incident_id", fix="investigate it first")
    conclusion = Conclusion(
        verdict=case.verdict, confidence=case.confidence, severity=case.severity,
        techniques=case.techniques, evidence=case.evidence, sentences=(),
    )  # fmt: skip
    return IncidentState(incident=row.incident, assessment=context.model.assess(row.incident), conclusion=conclusion)
