"""Ledger entries of reviews, made up for the tests of earned autonomy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aegis_agents.gate.earned.book import Book
from aegis_agents.gate.earned.reviews import DEMOTED, GIVEN, OFFERED, PROMOTED, Answer, Offer, Review
from aegis_agents.gate.earned.rule import EarnRule

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CELL, MODEL = "block_ip/standard", "model@1"
ALICE, BOB = "alice", "bob"
OPEN = EarnRule(earn="act")


class Line(NamedTuple):
    """A ledger entry."""

    seq: int
    at: str
    kind: str
    body: Mapping[str, Any] | None


class Ledger:
    """Entries in order, and the book that they make; promotions are appended when they are due, as Aegis does."""

    def __init__(self, rule: EarnRule = OPEN) -> None:
        self.lines: list[Line] = []
        self.book = Book(rule)
        self.changes: list[str] = []

    def append(self, kind: str, body: Mapping[str, Any], at: datetime = START) -> Line:
        line = Line(len(self.lines) + 1, at.isoformat(), kind, body)
        self.lines.append(line)
        self.book.add(line)
        return line

    def offer(self, number: int, **changes: Any) -> Offer:
        """Put decision `number` before Alice; by itself each is a campaign of its own, 20 a day."""
        values = about(number) | {"blind": True, "to": ALICE, "principal": {"id": "token:alice"}} | changes
        if "under" not in values:
            values["under"] = self.book.cell(values["model"], values["cell"]).evidence or None
        offer = Offer(**values)
        self.append(OFFERED, offer.model_dump(mode="json"))
        return offer

    def give(self, offer: Offer, answer: Answer = "right", *, offered: bool = True, **changes: Any) -> Line:
        """The answer to an offer, and what follows from it."""
        fields = {k: v for k, v in offer.model_dump().items() if k not in ("to", "principal")}
        values = fields | {"answer": answer, "offered": offered, "person": ALICE, "principal": {"id": "token:alice"}}
        review = Review(**(values | changes))
        was = self.book.cell(review.model, review.cell).level
        line = self.append(GIVEN, review.model_dump(mode="json"), review.decided_at)
        level = self.book.cell(review.model, review.cell).level
        if level != was:
            self.append(
                DEMOTED, {"cell": review.cell, "model": review.model, "cause": "review", "evidence": [line.seq]}
            )
            self.changes.append(level)
        elif (due := self.book.promotion(review.model, review.cell)) is not None:
            self.append(PROMOTED, due.model_dump(mode="json"), review.decided_at)
            self.changes.append(due.level)
        return line

    def review(self, number: int, answer: Answer = "right", **changes: Any) -> Line:
        """Offer and answer at once."""
        return self.give(self.offer(number, **changes), answer)

    def level(self, cell: str = CELL) -> str:
        return self.book.cell(MODEL, cell).level


def about(number: int) -> dict[str, Any]:
    day = START + timedelta(days=number // 20)
    return {
        "action_id": f"act-{number}", "incident_id": f"inc-{number}", "cell": CELL, "model": MODEL, "policy": "p",
        "confidence": 0.97, "acts_at": 0.9, "links": (f"link-{number}",), "decided_at": day,
    }  # fmt: skip


def replayed(lines: Iterable[Line], rule: EarnRule = OPEN) -> Book:
    """The book of another process."""
    book = Book(rule)
    for line in lines:
        book.add(line)
    return book
