"""The state of earned autonomy: a pure function of the ledger's entries, in their order.

An entry that says "promoted" is believed only where the reviews before it bear it out, by the rule in force now:
whoever tightens the rule takes back what no longer satisfies it. An error needs no entry to be acted on.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from aegis_agents.errors import LedgerError
from aegis_agents.gate.earned import reviews
from aegis_agents.gate.earned.campaigns import Tally, Vote, tally
from aegis_agents.gate.earned.cells import CELLS, MOST_EARNED, EarnedAutonomy, EarnedCell
from aegis_agents.gate.earned.evalue import further_needed, log_evalue, shown, upper_limit
from aegis_agents.gate.earned.reviews import Entry, Offer, Review
from aegis_agents.gate.earned.rule import THRESHOLDS, EarnRule
from aegis_agents.gate.earned.standing import Promotion, Standing
from aegis_agents.records import AUTONOMY_LEVELS, Autonomy

_NEXT: Final[Mapping[Autonomy, Autonomy]] = {"ask": "act_undo", "act_undo": "act"}

_SKEW: Final = timedelta(hours=1)
"""Most that the clocks of machines that share a ledger are apart."""


@dataclass
class Cell:
    """One cell under one version of the model.

    `attempt` counts the tries to earn it, from 1; `votes` are those of this try and level; `open` are offers
    that nobody answered; `offered_on` counts offers by the day of the decision; `doubted` is a promotion that
    was not believed.
    """

    level: Autonomy = "ask"
    threshold: float = 0.0
    evidence: int = 0
    attempt: int = 1
    votes: list[Vote] = field(default_factory=list)
    open: dict[str, Offer] = field(default_factory=dict)
    offered: int = 0
    offered_on: Counter[str] = field(default_factory=Counter)
    offered_blind: int = 0
    reviewed_at: datetime | None = None
    doubted: int | None = None


class Book:
    """Built by `add`, entry by entry; it reads no clock and no store. Safe to share between threads."""

    def __init__(self, rule: EarnRule) -> None:
        self.rule = rule
        self.seed: str | None = None
        self.seq = 0
        self._cells: dict[tuple[str, str], Cell] = {}
        self._said: dict[str, set[str]] = {}
        self._wrong: set[str] = set()
        self._offers: dict[str, Offer] = {}
        self._links: dict[tuple[str, str], set[str]] = {}
        self._lock = threading.RLock()

    # what went before

    def add(self, entry: Entry) -> None:
        """Take in one more entry; those of other kinds, and those taken in before, say nothing.

        Raises LedgerError for an entry that can't be read: what it says may be an error.
        """
        with self._lock:
            if entry.seq <= self.seq or entry.kind not in reviews.KINDS:
                return
            try:
                if entry.body is None:
                    raise ValueError("its body was removed")
                self._take(entry, entry.body)
            except (ValidationError, KeyError, ValueError, TypeError) as error:
                raise LedgerError(f"entry {entry.seq} ({entry.kind}) can't be read: {error}") from error
            self.seq = entry.seq

    def _take(self, entry: Entry, body: Mapping[str, Any]) -> None:
        if entry.kind == reviews.SEED:
            self.seed = self.seed or str(body["seed"])
        elif entry.kind == reviews.OFFERED:
            self._offer(Offer.model_validate(body))
        elif entry.kind == reviews.GIVEN:
            self._review(Review.model_validate(body), entry.seq, datetime.fromisoformat(entry.at))
        elif entry.kind == reviews.PROMOTED:
            self._promoted(Promotion.model_validate(body), entry.seq)
        else:
            for state in self._demotable(body):
                _begin_again(state)

    def _cell(self, model: str, cell: str) -> Cell:
        key = (model, cell)
        if key not in self._cells:
            self._cells[key] = Cell()
        return self._cells[key]

    def _offer(self, offer: Offer) -> None:
        if offer.action_id in self._offers:
            return
        state = self._cell(offer.model, offer.cell)
        self._offers[offer.action_id] = offer
        self._links.setdefault((offer.model, offer.cell), set()).update(offer.links)
        state.offered += 1
        state.offered_on[offer.day] += 1
        state.offered_blind += offer.blind
        if offer.action_id not in self._said:
            state.open[offer.action_id] = offer

    def _review(self, review: Review, seq: int, at: datetime) -> None:
        if review.offered and not review.is_about(self._offers.get(review.action_id)):
            raise ValueError("it claims an offer that was not made so")
        said, wrong = self._said.setdefault(review.action_id, set()), review.answer == "wrong"
        if review.action_id in self._wrong or (not wrong and (not review.offered or review.person in said)):
            return  # one decision is wrong once; and who reviews what they like says nothing in favour
        said.add(review.person)
        state = self._cell(review.model, review.cell)
        state.open.pop(review.action_id, None)
        if wrong:
            self._wrong.add(review.action_id)
        elif review.generated:
            return
        under = review.under is not None and review.under == state.evidence
        if wrong and state.level != "ask" and (under or review.acts_at >= state.threshold):
            _begin_again(state)
            return
        if review.counts:
            state.reviewed_at = (
                at  # the last in the ledger's order: a clock that once ran ahead wakes nothing for years
            )
        if state.level == "ask" or under or review.answer != "right":
            state.votes.append(review.vote(seq))

    def _promoted(self, said: Promotion, seq: int) -> None:
        state = self._cell(said.model, said.cell)
        found = self._count(state, said.threshold)
        fits = (
            _NEXT.get(state.level) == said.level
            and said.cell in CELLS
            and AUTONOMY_LEVELS.index(said.level) <= AUTONOMY_LEVELS.index(MOST_EARNED[said.cell.split("/")[0]])
            and said.threshold in self._thresholds(state)
            and shown(found.campaigns, found.errors, self.rule.error(said.level), self.rule.doubt(state.attempt))
        )
        if not fits:
            state.doubted = seq
            return
        state.level, state.threshold, state.evidence, state.doubted = said.level, said.threshold, seq, None
        state.votes = []

    def _demotable(self, body: Mapping[str, Any]) -> Iterator[Cell]:
        cell, model = str(body["cell"]), body.get("model")
        for (of, name), state in self._cells.items():
            if name == cell and model in (None, of) and state.level != "ask":
                yield state

    # what follows

    @staticmethod
    def _thresholds(state: Cell) -> tuple[float, ...]:
        """Where the next level may be shown: the higher one only at the threshold of the lower."""
        return THRESHOLDS if state.level == "ask" else (state.threshold,)

    @staticmethod
    def _count(state: Cell, threshold: float) -> Tally:
        return tally(state.votes, threshold)

    def cell(self, model: str, name: str) -> Cell:
        """A copy of the state of one cell, without its votes."""
        with self._lock:
            return replace(self._cells.get((model, name), Cell()), votes=[], open={})

    def said(self, action_id: str) -> frozenset[str]:
        """Who has reviewed an action."""
        with self._lock:
            return frozenset(self._said.get(action_id, ()))

    def offer(self, action_id: str) -> Offer | None:
        """The offer of an action, answered or not."""
        return self._offers.get(action_id)

    def offered_like(self, model: str, cell: str, links: Iterable[str]) -> bool:
        """Whether something of the same campaign was put before a reviewer."""
        return not self._links.get((model, cell), set()).isdisjoint(links)

    def open_offers(self, model: str) -> list[Offer]:
        """What was put before reviewers and not answered, oldest first."""
        with self._lock:
            return [o for (of, _), state in self._cells.items() if of == model for o in state.open.values()]

    def models(self) -> list[str]:
        """Versions of the model that something is known of."""
        with self._lock:
            return list(dict.fromkeys(model for model, _ in self._cells))

    def earned(self, model: str, now: datetime) -> EarnedAutonomy:
        """What this version of the model may do alone at this time (with time zone)."""
        if self.rule.earn == "off":
            return EarnedAutonomy()
        found = {}
        with self._lock:
            for (of, name), state in self._cells.items():
                if of == model and state.level != "ask" and not self._asleep(state, now):
                    level = min(state.level, self.rule.earn, key=AUTONOMY_LEVELS.index)
                    found[name] = EarnedCell(cell=name, level=level, threshold=state.threshold, evidence=state.evidence)
        return EarnedAutonomy(cells=found)

    def asleep(self, model: str, name: str, now: datetime) -> bool:
        """Whether a cell that has earned something asks all the same, since nobody has reviewed it for long."""
        with self._lock:
            state = self._cells.get((model, name), Cell())
            return state.level != "ask" and self._asleep(state, now)

    def _asleep(self, state: Cell, now: datetime) -> bool:
        last = state.reviewed_at
        # Where the last review lies ahead, one of the two clocks is wrong, and how old it is can't be known.
        return last is None or not -_SKEW <= now - last <= timedelta(days=self.rule.review_days)

    def promotion(self, model: str, name: str) -> Promotion | None:
        """The promotion that is due for a cell, at the highest threshold that bears it out; None if none is."""
        with self._lock:
            return self._due(self._cell(model, name), model, name)

    def _due(self, state: Cell, model: str, name: str) -> Promotion | None:
        level = self._next(state, name)
        if level is None or AUTONOMY_LEVELS.index(level) > AUTONOMY_LEVELS.index(self._most(name)) or state.open:
            return None
        rate, doubt = self.rule.error(level), self.rule.doubt(state.attempt)
        if not shown(len(state.votes), 0, rate, doubt):
            return None  # no count of them could
        for threshold in self._thresholds(state):
            found = self._count(state, threshold)
            if shown(found.campaigns, found.errors, rate, doubt) and not self._missing_blind(found):
                return Promotion(
                    cell=name, model=model, level=level, was=state.level, threshold=threshold,
                    campaigns=found.campaigns, errors=found.errors, blind=found.blind,
                    bound=upper_limit(found.campaigns, found.errors, doubt),
                    log_evalue=log_evalue(found.campaigns, found.errors, rate), rate=rate, doubt=doubt,
                    attempt=state.attempt, evidence=found.seqs,
                )  # fmt: skip
        return None

    def _next(self, state: Cell, name: str) -> Autonomy | None:
        level, most = _NEXT.get(state.level), MOST_EARNED[name.split("/")[0]]
        return level if level and AUTONOMY_LEVELS.index(level) <= AUTONOMY_LEVELS.index(most) else None

    def _most(self, name: str) -> Autonomy:
        most = MOST_EARNED[name.split("/")[0]]
        return "ask" if self.rule.earn == "off" else min(most, self.rule.earn, key=AUTONOMY_LEVELS.index)

    def _missing_blind(self, found: Tally) -> int:
        return max(0, math.ceil(self.rule.blind_share * found.right - 1e-9) - found.blind)

    def standing(self, model: str, name: str, now: datetime) -> Standing:
        """Where a cell stands, at the threshold that is nearest to the next level."""
        with self._lock:
            state = replace(self._cells.get((model, name), Cell()))
            state.votes, state.open = list(state.votes), dict(state.open)
        level = self._next(state, name)
        rate, doubt = self.rule.error(level or state.level), self.rule.doubt(state.attempt)
        counted = [(t, self._count(state, t)) for t in self._thresholds(state)]
        missing, threshold, found = min(
            ((further_needed(c.campaigns, c.errors, rate, doubt), t, c) for t, c in counted), key=lambda row: row[0]
        )
        return Standing(
            cell=name, model=model, level=state.level, next=level, threshold=threshold, campaigns=found.campaigns,
            errors=found.errors, blind=found.blind, bound=upper_limit(found.campaigns, found.errors, doubt),
            missing=missing if level else 0, missing_blind=self._missing_blind(found), open=len(state.open),
            held_back=found.held_back, attempt=state.attempt, evidence=state.evidence or None,
            asleep=state.level != "ask" and self._asleep(state, now), doubted=state.doubted,
        )  # fmt: skip


def _begin_again(state: Cell) -> None:
    """Back to ask, with nothing shown; the next try has less doubt to spend."""
    state.level, state.threshold, state.evidence, state.votes = "ask", 0.0, 0, []
    state.attempt += 1
