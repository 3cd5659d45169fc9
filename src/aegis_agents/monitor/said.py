"""What people said of decided cases: confirmed verdicts, reviews, and answers to what waited."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from aegis_agents.agents.journal_view import ANSWERED
from aegis_agents.agents.recall import CONFIRMED
from aegis_agents.gate.earned.reviews import GIVEN
from aegis_agents.gate.request import class_of
from aegis_agents.ledger import LedgerEntry, Store
from aegis_agents.records import CATALOGUE, Case

SAID: Final = (CONFIRMED, GIVEN, ANSWERED)
Way = Literal["confirm", "review", "answer"]
_HARMLESS: Final = ("benign_positive", "false_positive")


class Said(NamedTuple):
    """One thing that a person said of a case.

    `agrees` None: it says nothing of that (undetermined, unclear). `right` whether the verdict was right,
    None where the person did not say what it was. `action_class` is "" where it was said of the whole case.
    """

    way: Way
    agrees: bool | None
    right: bool | None
    action_class: str = ""


def said_of(entry: LedgerEntry, case: Case, store: Store) -> Said | None:
    """What an entry says of its case; None where nothing can be read from it."""
    body: dict[str, Any] = entry.body or {}
    if entry.kind == CONFIRMED:
        right = same_side(case.verdict, body.get("verdict"))
        return Said("confirm", right, right)
    action_id = body.get("action_id")
    row = next((row for row in store.actions(case.incident_id) if row.action_id == action_id), None)
    kind = class_of(CATALOGUE[row.proposal.action]) if row else ""
    if entry.kind == GIVEN:
        if body.get("source") != "review":
            return None  # an undo or a confirmation, which is counted as what it is
        answer = {"right": True, "wrong": False}.get(str(body.get("answer")))
        return Said("review", answer, same_side(case.verdict, body.get("verdict")), kind)
    answered = {"approved": True, "denied": False}.get(str(body.get("state")))
    return None if answered is None else Said("answer", answered, None, kind)


def same_side(judged: str, truth: object) -> bool | None:
    """Whether a verdict was right as verdicts are counted: attack or not; None where one of the two says nothing."""
    if truth not in ("true_positive", *_HARMLESS) or judged == "undetermined":
        return None
    return (judged == "true_positive") == (truth == "true_positive")
