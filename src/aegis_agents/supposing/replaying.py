"""Replay: how a decision came about, and whether it would be the same today."""

from __future__ import annotations

from typing import Any

from aegis_agents.ledger import LedgerEntry
from aegis_agents.records import Case, Decision, ProposedAction
from aegis_agents.records.base import Record
from aegis_agents.supposing.what_if import ActionChange, Judged, Library, Verbs, compare, incident_of, judge

DECIDED = "action.decided"
"""Ledger entry: what the gate said of a proposal."""


class Replayed(Record):
    """A decision as the ledger holds it, and as the same incident would be decided now.

    `versions` are those that differ: name → (then, now). `entries` are the ledger's entries of the incident, in
    order; a body that retention removed is None, and what it decided is then missing from `actions`.
    """

    incident_id: str
    title: str
    before: Judged
    after: Judged
    actions: tuple[ActionChange, ...]
    versions: dict[str, tuple[str, str]]
    entries: tuple[LedgerEntry, ...]

    @property
    def same(self) -> bool:
        """Whether verdict, techniques and every action come out as they did."""
        alike = self.before.verdict == self.after.verdict and self.before.techniques == self.after.techniques
        return alike and all(a.before == a.after for a in self.actions)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values."""
        return self.model_dump(mode="json") | {"same": self.same}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from aegis_agents import display

        shown = self.to_dict()
        html = display.replay_html(shown) + display.ledger_html(shown["entries"])
        return {"text/html": display.notebook(html), "text/plain": display.answer_text(shown)}


def replay(aegis: Library, case: str | Case) -> Replayed:
    """Decide a case of the ledger again, with the model, intelligence, policy and autonomy of now.

    Nothing is written and nothing is done. What was decided then is read from the ledger, not from the case.
    Raises InputError for a case that is not there.
    """
    incident = incident_of(aegis, case.incident_id if isinstance(case, Case) else case)
    stored = aegis.case(incident.id)
    entries = tuple(aegis.store.entries(incident_id=incident.id))
    then: Verbs = {}
    versions = dict(stored.versions)
    for entry in entries:
        if entry.kind == DECIDED and entry.body:
            proposal = ProposedAction.model_validate(entry.body["proposal"])
            decision = Decision.model_validate(entry.body["decision"])
            then[proposal.action, proposal.target.kind, proposal.target.value] = (decision.verb, decision.rule)
    now, verbs = judge(aegis.context, incident)
    before = Judged(
        verdict=stored.verdict, confidence=stored.confidence, severity=stored.severity,
        probabilities=stored.probabilities, techniques=stored.techniques, evidence=stored.evidence,
    )  # fmt: skip
    used = aegis.context.versions
    return Replayed(
        incident_id=incident.id, title=incident.title, before=before, after=now, actions=compare(then, verbs),
        versions={n: (versions.get(n, "none"), used.get(n, "none")) for n in sorted({*versions, *used}) if versions.get(n) != used.get(n)},
        entries=entries,
    )  # fmt: skip
