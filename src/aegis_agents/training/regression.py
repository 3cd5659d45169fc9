"""What the promotion gate judges by: alerts that no model of ours was trained on, and the user's own later cases."""

from __future__ import annotations

import hashlib
import json

from aegis_agents.agents.recall import CONFIRMED
from aegis_agents.ledger import Store
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.alerts.written import written_groups
from aegis_agents.training.corpus import Example, family_examples

FAMILY_ALERTS = 300


def is_kept_back(incident_id: str) -> bool:
    """Whether a confirmed case is kept for judging, one in three by a hash of its id, and never trained on."""
    return hashlib.sha256(incident_id.encode()).digest()[0] % 3 == 0


def confirmed_examples(store: Store, *, kept_back: bool) -> list[Example]:
    """The cases that a person confirmed, each with the latest word: those kept back for judging, or those to learn from.

    Severity and techniques are what was decided then; nobody confirmed them.
    """
    words = {
        e.incident_id: e.body["verdict"]
        for e in store.entries(kind=CONFIRMED, limit=1_000_000)
        if e.incident_id and e.body
    }
    found = []
    for incident_id, verdict in words.items():
        row, case = store.intake(incident_id), store.case(incident_id)
        if is_kept_back(incident_id) != kept_back or row is None or case is None:
            continue
        incident = row.incident
        if row.native == incident.model_dump_json():
            continue  # given as an Incident: its native alert, which is what the model would read again, is not known
        alert, unknown = json.loads(row.native), (-1,) * len(incident.facts)
        found.append(
            Example(incident, verdict, case.severity, case.techniques, unknown, f"case:{incident_id}", "own-cases", alert, incident.source)
        )  # fmt: skip
    return found


def regression_suite(store: Store) -> list[Example]:
    """Held-out situations and whole alerts, held-out families, and the user's confirmed cases that were kept back."""
    own = [e for groups in (situation_groups, written_groups) for group in groups("test") for e in group]
    return own + family_examples(FAMILY_ALERTS, part="test") + confirmed_examples(store, kept_back=True)
