"""What if a fact had said something else? The verdict, techniques and actions before and after.

Asked of the model, the intelligence and the gate that are in use, as an investigation would; nothing is journalled,
written to the ledger or done, and no language model is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from langgraph.runtime import Runtime

from aegis_agents.agents.approval import decide, usage_now
from aegis_agents.agents.intel import intel
from aegis_agents.agents.journal_view import charged
from aegis_agents.agents.reasoning import reasoning
from aegis_agents.agents.triage import triage
from aegis_agents.context import Context
from aegis_agents.errors import InputError
from aegis_agents.model.reask import Reask
from aegis_agents.records import Case, Evidence, Incident, Severity, Target, Verdict
from aegis_agents.records.base import Record
from aegis_agents.state import IncidentState
from aegis_agents.supposing.changing import Change, change_incident

if TYPE_CHECKING:
    from aegis_agents.ledger import Store


class Library(Protocol):
    """What is needed of an Aegis to ask."""

    @property
    def context(self) -> Context:
        """What decides."""
        ...

    @property
    def store(self) -> Store:
        """What was decided."""
        ...

    def case(self, incident_id: str) -> Case:
        """A case as it stands."""
        ...


class Judged(Record):
    """What is believed of an incident. `probabilities` of the four verdicts sum to 1."""

    verdict: Verdict
    confidence: float
    severity: Severity
    probabilities: dict[Verdict, float]
    techniques: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


class ActionChange(Record):
    """An action on a target, and what the gate says of it before and after (None: it is not proposed).

    The gate's words: execute, ask, recommend, refuse. `rule` is the one that decided after, or before.
    """

    action: str
    target: Target
    before: str | None
    after: str | None
    rule: str = ""


class WhatIf(Record):
    """The answer to a what-if: what was changed, and what is believed and would be done before and after."""

    incident_id: str
    title: str
    changes: tuple[Change, ...]
    before: Judged
    after: Judged
    actions: tuple[ActionChange, ...]

    @property
    def moved(self) -> bool:
        """Whether the verdict is another one."""
        return self.before.verdict != self.after.verdict

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values."""
        return self.model_dump(mode="json") | {"moved": self.moved}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from aegis_agents import display

        shown = self.to_dict()
        return {"text/html": display.notebook(display.what_if_html(shown)), "text/plain": display.answer_text(shown)}


def what_if(aegis: Library, case: str | Case | Incident, changes: Mapping[str, str | None]) -> WhatIf:
    """Judge a case again with facts changed: {path or id of a fact: what it says instead, or None to leave it out}.

    `case` is a Case, an Incident, or an incident's id. Raises InputError for a case or a fact that is not there.
    """
    return ask_what_if(aegis.context, incident_of(aegis, case), changes)


def ask_what_if(context: Context, incident: Incident, changes: Mapping[str, str | None]) -> WhatIf:
    """The same for an incident and a context of one's own."""
    changed, told = change_incident(incident, changes)
    before, verbs_before = judge(context, incident)
    after, verbs_after = judge(context, changed)
    return WhatIf(
        incident_id=incident.id, title=incident.title, changes=told, before=before, after=after,
        actions=compare(verbs_before, verbs_after),
    )  # fmt: skip


Verbs = dict[tuple[str, str, str], tuple[str, str]]
"""(action, target's kind, target's value) → (the gate's word, its rule)."""


def judge(context: Context, incident: Incident) -> tuple[Judged, Verbs]:
    """What the agents make of an incident, and what the gate would say of each proposal; nothing is kept."""
    quiet = replace(context, llm=None)
    state = IncidentState(incident=incident, notes=())
    for agent in (triage, intel, reasoning):
        state.update(cast(IncidentState, agent(state, Runtime(context=quiet))))
    assessment, conclusion = state["assessment"], state["conclusion"]
    usage, reask, left = usage_now(quiet), Reask(quiet.model, incident), 1.0
    verbs: Verbs = {}
    for proposal in state["proposals"]:  # in order, what the ones before it use up and achieve counted in
        decision = decide(state, quiet, proposal, usage, left=left, reask=reask)
        verbs[proposal.action, proposal.target.kind, proposal.target.value] = (decision.verb, decision.rule)
        if decision.verb == "execute":
            usage = charged(usage, proposal, decision)
            left = quiet.gate.settings.costs.left_after(left, proposal.action)
    judged = Judged(
        verdict=conclusion.verdict, confidence=conclusion.confidence, severity=conclusion.severity,
        probabilities=assessment.probabilities, techniques=conclusion.techniques, evidence=conclusion.evidence,
    )  # fmt: skip
    return judged, verbs


def compare(before: Verbs, after: Verbs) -> tuple[ActionChange, ...]:
    """Every action of either side, those before first."""
    return tuple(
        ActionChange.model_validate({
            "action": action, "target": {"kind": kind, "value": value},
            "before": before[key][0] if key in before else None, "after": after[key][0] if key in after else None,
            "rule": (after.get(key) or before[key])[1],
        })
        for key in dict.fromkeys((*before, *after)) for action, kind, value in (key,)
    )  # fmt: skip


def incident_of(aegis: Library, case: str | Case | Incident) -> Incident:
    """The incident that is meant. Raises InputError if it is not known."""
    if isinstance(case, Incident):
        return case
    if isinstance(case, Case) and case.incident is not None:
        return case.incident
    incident_id = case.incident_id if isinstance(case, Case) else case
    row = aegis.store.intake(incident_id)
    if row is None:
        raise InputError(f"incident {incident_id[:80]} is not known", field="case", fix="investigate its alert first")
    return row.incident
