"""Which decisions are put before reviewers, and how they look to them.

By lot among the recent decisions that Aegis would have carried out alone, one a campaign. What a person denied or
took back comes before the lot: if Aegis was wrong there, it must be known before the cell earns anything. An approval
itself is no evidence: who approves has seen Aegis' verdict, chose what to answer, and wants the queue to end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aegis_agents.agents.journal_view import approvers, endorsements
from aegis_agents.agents.rebuild import rebuild_state
from aegis_agents.context import Context
from aegis_agents.errors import AegisError
from aegis_agents.gate import GateRequest, Usage
from aegis_agents.gate.earned.book import Book
from aegis_agents.gate.earned.campaigns import links_of
from aegis_agents.gate.earned.cells import CELLS
from aegis_agents.gate.earned.reviews import Offer, Reviewed
from aegis_agents.gate.earned.rule import THRESHOLDS, VOTES_A_DAY
from aegis_agents.gate.earned.sampling import is_blind, lot
from aegis_agents.gate.earned.trial import acts_at
from aegis_agents.ledger import JournalRow, LedgerEntry, Store
from aegis_agents.model.reask import Reask
from aegis_agents.records import Case, Evidence, Fact, Incident, Principal, Target
from aegis_agents.records.base import Record

DECIDED: Final = "action.decided"
POOL: Final = 2_000
"""Decisions that the lot is drawn among, the newest."""

MOST_OPEN: Final = 50
"""Offers that may stand unanswered; no more are made until people have caught up."""

GENERATED: Final = frozenset({"demo", "generated", "redteam", "simulated", "synthetic"})
"""Tenants and sources of what did not really happen. It shows nothing of what does."""

_MOMENT: Final = frozenset(
    {"input.injection", "autonomy", "risk", "cost", "counterfactual", "budget", "kill_switch", "kill_switch_again"}
)
"""Steps of the gate that are tried anew; where any other one lowered the decision, it is no case for autonomy."""


class ReviewItem(Record):
    """A decision as a reviewer sees it.

    A blind one holds the incident's facts and the action, and nothing of what Aegis thought or what became of it.
    """

    action_id: str
    incident_id: str
    cell: str
    blind: bool
    source: str
    title: str
    action: str
    target: Target
    question: str
    facts: tuple[Fact, ...]
    verdict: str | None = None
    confidence: float | None = None
    severity: str | None = None
    summary: str | None = None
    evidence: tuple[Evidence, ...] = ()
    outcome: str | None = None


def is_generated(incident: Incident) -> bool:
    """Whether its tenant or source says that it did not really happen."""
    return not GENERATED.isdisjoint({incident.tenant.casefold(), incident.source.casefold()})


def written(text: str) -> str:
    """The text with what is no valid Unicode spelt out: a command line can bring any bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def signature(who: Principal) -> dict[str, str]:
    """Who it was, as entries of reviews record it."""
    return {name: written(value) for name, value in who.entry().items()}


def cell_name(row: JournalRow) -> str | None:
    """The cell that a decision belongs to; None if it can't be earned."""
    name = f"{row.proposal.action}/{row.decision.inputs.get('asset.tier')}"
    return name if name in CELLS else None


def answered_by(store: Store, row: JournalRow) -> frozenset[str]:
    """Who had a hand in it already (approved, denied or took it back) and so is no independent reviewer of it."""
    named = (row.principal, row.undo_principal)
    persons = {who.split(":", 1)[1].strip().casefold() for who in named if who}
    endorsed = {who for who, _ in endorsements(store, row)}  # also with a token that was revoked since
    return frozenset(persons | endorsed | set(approvers(store, row)))


def reviewed(store: Store, row: JournalRow, cell: str, model: str, highest: float) -> Reviewed:
    """The decision as reviews record it; `highest` is the threshold at which it acts."""
    taken_in = store.intake(row.incident_id)
    links = links_of(taken_in.incident, row.created_at) if taken_in else (row.incident_id,)
    evidence = row.decision.inputs.get("autonomy.evidence")
    alone = row.by is None and row.begun_at is not None and isinstance(evidence, int)
    return Reviewed(
        action_id=row.action_id, incident_id=row.incident_id, cell=cell, model=model,
        policy=row.decision.versions.get("policy", ""), confidence=confidence_of(row), acts_at=highest, links=links,
        decided_at=row.created_at.astimezone(UTC), under=evidence if alone and isinstance(evidence, int) else None,
    )  # fmt: skip


def confidence_of(row: JournalRow) -> float:
    """The confidence that the decision rested on; 0 where it says none."""
    found = row.decision.inputs.get("risk.confidence")
    return float(found) if isinstance(found, int | float) and 0 <= found <= 1 else 0.0


def by_confidence(row: JournalRow) -> float:
    """The highest threshold that the confidence reaches: what a decision counts as when it was wrong."""
    return next((t for t in THRESHOLDS if confidence_of(row) >= t), 0.0)


def candidates(store: Store, book: Book, model: str) -> list[JournalRow]:
    """What may be put before reviewers, in order; asked of the ledger and the journal alone.

    The order is the same whoever asks: a person must not be able to choose what is looked at by approving the rest.
    """
    found = []
    for entry in newest(store, DECIDED, POOL):
        if entry.body is None or not _fits(entry.body, model):
            continue
        action_id = str(entry.body["proposal"]["action_id"])
        if book.offer(action_id) is None:
            row = store.action(action_id)
            found.append((row.state not in ("denied", "undone"), lot(book.seed or "", action_id, "order"), row))
    return [row for _, _, row in sorted(found, key=lambda item: item[:2])]


def _fits(body: Mapping[str, Any], model: str) -> bool:
    """Whether a decision is of this model, of a cell that can be earned, sure enough, and stopped by no other step."""
    inputs: Mapping[str, Any] = body["decision"].get("inputs", {})
    confidence = inputs.get("risk.confidence")
    steps = {key.removesuffix(".rule") for key in inputs if key.endswith(".rule")} - _MOMENT
    return (
        f"{body['proposal']['action']}/{inputs.get('asset.tier')}" in CELLS
        and isinstance(confidence, int | float)
        and confidence >= min(THRESHOLDS)
        and body["decision"].get("versions", {}).get("model") == model
        and all(inputs.get(step) == "execute" for step in steps)
    )


def new_offers(context: Context, graph: Any, book: Book, found: list[JournalRow], who: Principal) -> Iterator[Offer]:
    """Offers for the candidates that Aegis would really have carried out; the model is asked again for each."""
    store, model = context.store, context.model.version
    given: dict[str, set[str]] = {}
    for row in found:
        cell = cell_name(row)
        taken_in = store.intake(row.incident_id)
        if cell is None or taken_in is None or is_generated(taken_in.incident):
            continue
        about = reviewed(store, row, cell, model, 0.0)
        state = book.cell(model, cell)
        if book.offered_like(model, cell, about.links) or not given.get(cell, set()).isdisjoint(about.links):
            continue
        acting = state.level != "ask" and not book.asleep(model, cell, datetime.now(UTC))
        if state.offered_on[about.day] >= VOTES_A_DAY or (acting and about.under != state.evidence):
            continue  # a day's most was reached, or it was not done under what is to be shown
        highest = acts_at(context.gate, _request(context, graph, row))
        if highest < max(state.threshold, min(THRESHOLDS)):
            continue
        blind = is_blind(book.seed or "", row.action_id, book.rule.blind_share, state.offered_blind, state.offered)
        given.setdefault(cell, set()).update(about.links)
        fields = about.model_copy(update={"acts_at": highest}).model_dump()
        yield Offer(**fields, blind=blind, to=written(who.person), principal=signature(who))


def _request(context: Context, graph: Any, row: JournalRow) -> GateRequest:
    """The question that the gate was asked, with nothing used up."""
    state = graph.get_state({"configurable": {"thread_id": row.incident_id}}).values
    if "conclusion" not in state:
        state = rebuild_state(context.store, context, row.incident_id)
    incident = state["incident"]
    return GateRequest(
        incident=incident, assessment=state["assessment"], conclusion=state["conclusion"], action=row.proposal,
        now=row.created_at, versions=row.decision.versions, usage=Usage(),
        reassess=Reask(context.model, incident),
    )  # fmt: skip


def item_of(store: Store, offer: Offer) -> ReviewItem:
    """The offer as its reviewer sees it. Raises AegisError if its case is gone."""
    row, case = store.action(offer.action_id), store.case(offer.incident_id)
    if case is None or case.incident is None:
        raise AegisError(
            f"{offer.action_id}: the case {offer.incident_id} is not kept any more; answer that it is unclear"
        )
    item = ReviewItem(
        action_id=row.action_id, incident_id=row.incident_id, cell=offer.cell, blind=offer.blind, source=case.source,
        title=case.title, action=row.proposal.action, target=row.target, facts=case.incident.facts,
        question=f"Would it have been right to do {row.proposal.action} on {row.target.kind} {row.target.value!r} "
        "on these facts, without asking anybody?",
    )  # fmt: skip
    return item if offer.blind else item.model_copy(update=_seen(case, row))


def _seen(case: Case, row: JournalRow) -> dict[str, Any]:
    return {
        "verdict": case.verdict, "confidence": case.confidence, "severity": case.severity, "summary": case.summary,
        "evidence": case.evidence, "outcome": row.outcome,
    }  # fmt: skip


def newest(store: Store, kind: str, count: int) -> list[LedgerEntry]:
    """The last `count` entries of a kind, oldest first."""
    return list(store.entries(kind=kind, limit=count, newest=True))
