"""Writes down what somebody said of a decision, and the change of level that follows, in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from aegis_agents.agents.earning import Earning
from aegis_agents.agents.offering import by_confidence, cell_name, is_generated, reviewed, signature, written
from aegis_agents.errors import ActionError
from aegis_agents.gate.earned.book import Book
from aegis_agents.gate.earned.reviews import DEMOTED, GIVEN, PROMOTED, Answer, AnswerSource, Review, Reviewed
from aegis_agents.gate.earned.standing import Standing
from aegis_agents.ledger import JournalRow, Store
from aegis_agents.records import AEGIS, Autonomy, Principal
from aegis_agents.records.base import Record

_HARMLESS = ("benign_positive", "false_positive")
FINAL = ("true_positive", *_HARMLESS)
"""What a person can say an incident was."""


class ReviewResult(Record):
    """What a review did: its ledger entry, whether it counts in the cell's favour, what changed, where it stands.

    `counts` False has its reason in `why`. `change` is the new level where there is one.
    """

    action_id: str
    cell: str
    seq: int
    counts: bool
    why: str
    change: Autonomy | None
    standing: Standing


def contradicts(row: JournalRow, verdict: str) -> bool:
    """Whether an incident of this verdict makes the action wrong."""
    return verdict == "true_positive" if row.proposal.action == "close_alert" else verdict in _HARMLESS


def record(
    store: Store, earning: Earning, row: JournalRow, answer: Answer, who: Principal, source: AnswerSource, *,
    note: str = "", verdict: str | None = None,
) -> ReviewResult:  # fmt: skip
    """Append a review, and the promotion or demotion that it brings. Call it inside a transaction.

    Raises ActionError for a decision of no cell that can be earned.
    """
    offer = earning.book().offer(row.action_id)
    cell = offer.cell if offer else cell_name(row)
    if cell is None:
        raise ActionError(f"{row.action_id} is not reviewed: {row.proposal.action} on such an asset can earn nothing")
    review = _review(store, earning.book(), row, cell, answer, who, source, note, verdict)
    was = earning.book().cell(review.model, cell).level
    seq = store.append(GIVEN, row.incident_id, review.model_dump(mode="json")).seq
    book = earning.book()
    change: Autonomy | None = None
    if was != "ask" and book.cell(review.model, cell).level == "ask":
        change = "ask"
        body = {"cell": cell, "model": review.model, "cause": source, "was": was, "evidence": [seq]}
        store.append(DEMOTED, row.incident_id, body | {"principal": AEGIS.entry()})
    elif source == "review" and (due := book.promotion(review.model, cell)) is not None:
        change = due.level
        store.append(PROMOTED, None, due.model_dump(mode="json"))
    standing = earning.book().standing(review.model, cell, datetime.now(UTC))
    return ReviewResult(
        action_id=row.action_id, cell=cell, seq=seq, counts=review.counts, why=_why(review), change=change,
        standing=standing,
    )  # fmt: skip


def _review(
    store: Store, book: Book, row: JournalRow, cell: str, answer: Answer, who: Principal, source: AnswerSource,
    note: str, verdict: str | None,
) -> Review:  # fmt: skip
    offer, taken_in = book.offer(row.action_id), store.intake(row.incident_id)
    about = reviewed(store, row, cell, row.decision.versions.get("model", ""), by_confidence(row))
    if offer is not None:  # the answer is about what was put before people: retention may have removed the alert since
        about = about.model_copy(update={n: getattr(offer, n) for n in Reviewed.model_fields if n != "under"})
    return Review(
        **about.model_dump(), answer=answer, verdict=verdict, source=source, offered=offer is not None,
        blind=offer is not None and offer.blind, generated=taken_in is None or is_generated(taken_in.incident),
        person=written(who.person), principal=signature(who), note=written(note),
    )  # fmt: skip


def _why(review: Review) -> str:
    if review.counts:
        return ""
    if review.answer == "wrong":
        return "an error counts whoever chose the decision"
    return "what did not really happen shows nothing"
