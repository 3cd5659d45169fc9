"""Intel: what is known about what this alert names? Techniques, exploited CVEs, indicators, confirmed past cases."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from langgraph.runtime import Runtime

from aegis_agents.agents.indicators import consult
from aegis_agents.agents.recall import recall
from aegis_agents.context import Context
from aegis_agents.errors import IntelError, SettingsError
from aegis_agents.intel import Intel
from aegis_agents.records import Assessment, Incident, Passage, TechniqueScore
from aegis_agents.state import IncidentState

_CVE = re.compile(r"\bCVE-\d{4}-\d{4,7}\b", re.I)
_MAX_CVES = 5
TECHNIQUES, CASES = 3, 3


def _named_cves(incident: Incident) -> list[str]:
    """CVE ids that the alert names; an id is looked up exactly or not at all, so text can't steer this."""
    found = dict.fromkeys(m.upper() for fact in incident.facts for m in _CVE.findall(fact.value))
    return list(found)[:_MAX_CVES]


def _in_this_release(assessment: Assessment, known: Intel) -> Assessment:
    """The same likenesses under the ids that the snapshot's ATT&CK release has; the model's release may be another."""
    if all(known.is_technique(scored.technique) for scored in assessment.techniques):
        return assessment
    renamed: dict[str, TechniqueScore] = {}
    for scored in assessment.techniques:
        id = known.resolve_technique(scored.technique) or scored.technique
        renamed.setdefault(id, scored.model_copy(update={"technique": id}))
    return assessment.model_copy(update={"techniques": tuple(renamed.values())})


def intel(state: IncidentState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Adds `passages`; to `assessment` the votes of confirmed cases and what feeds established of its indicators.

    Without a usable snapshot it goes on without either, and says so in `notes`.
    """
    context, incident = runtime.context, state["incident"]
    if context.intel is None:
        return {"passages": (), "notes": ("no threat intelligence is loaded",)}
    try:
        passages: list[Passage] = []
        assessment = _in_this_release(state["assessment"], context.intel)
        for scored in assessment.techniques[:TECHNIQUES]:
            if (known := context.intel.technique(scored.technique)) is not None:
                passages.append(known.model_copy(update={"score": scored.score}))
        for cve in _named_cves(incident):
            if (exploited := context.intel.cve(cve)) is not None:
                passages.append(exploited)
        vector = context.model.embed_incident(incident)
        # A case does not vote on itself.
        cases = context.intel.similar_cases(vector, k=CASES, exclude_key=incident.id)
        assessment, notes = recall(assessment, cases, context.memory_strength)
        assessment, listed, said = consult(context, incident, assessment, dt.datetime.now(dt.UTC))
    except (IntelError, SettingsError) as error:  # a file of feeds with a mistake must not hold alerts up
        return {"passages": (), "notes": (f"threat intelligence could not be searched: {error}",)}
    passages += [*listed, *(c.passage() for c in cases)]
    return {"passages": tuple(passages), "assessment": assessment, "notes": (*notes, *said)}
