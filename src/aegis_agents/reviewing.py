"""What people say of decisions afterwards, and what Aegis may do alone because of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aegis_agents.answering import Answering
from aegis_agents.errors import ActionError, AlreadyDecided, IdentityError, InputError
from aegis_agents.identity import Token
from aegis_agents.once import opened_once
from aegis_agents.records import AEGIS, AUTONOMY_LEVELS, CATALOGUE, Autonomy, Principal
from aegis_agents.records.base import Record

if TYPE_CHECKING:
    from aegis_agents.agents.earning import Earning
    from aegis_agents.agents.offering import ReviewItem
    from aegis_agents.agents.recording import ReviewResult
    from aegis_agents.gate.earned.book import Book
    from aegis_agents.gate.earned.reviews import Answer, AnswerSource
    from aegis_agents.gate.earned.standing import Standing

NOT_IN_EFFECT = "accepted, and yet not in effect"
"""How the write path begins what it says of an action that verification found without effect."""


class AutonomyRow(Record):
    """One cell of the matrix in force: `level` under the ceiling, where it comes from, and the entry that shows it."""

    cell: str
    level: Autonomy
    source: str
    threshold: float | None = None
    evidence: int | None = None


class Reviewing(Answering):
    """The part of Aegis that learns from people what it may do alone.

    Who asks is authenticated as in Answering. Everything is decided inside one transaction with the ledger, so
    two processes at once come to one order. It keeps a book of its own: what it reads inside a transaction may be
    taken back with it, and must not reach what decides meanwhile.
    """

    @opened_once
    def _earning(self) -> Earning:
        from aegis_agents.agents.earning import Earning, rule_from

        return Earning(self.store, rule_from(self.settings))

    # reviewing

    def reviews(self, limit: int = 1, *, by: str | None = None, token: Token = None) -> list[ReviewItem]:
        """What this person should review next: first what was offered and not answered, then by lot.

        Each offer is a ledger entry, and a cell is promoted only when every offer of it was answered: what is hard
        can't be left out. The lot also falls on what this person had a hand in; others are shown that. A share is
        blind. Raises IdentityError, InputError.
        """
        from aegis_agents.agents.offering import MOST_OPEN, candidates, item_of, new_offers
        from aegis_agents.gate.earned.reviews import OFFERED, SEED

        if limit < 1:
            raise InputError(f"{limit} is no number of reviews", field="limit", fix="give 1 or more")
        who = self._who("reviewer", by, token)
        if self._earning.book().seed is None:
            with self._together() as book:
                if book.seed is None:
                    self.store.append(SEED, None, {"seed": secrets.token_hex(32), "principal": who.entry()})
        book, model = self._earning.book(), self.context.model.version
        offers = [offer for offer in book.open_offers(model) if self._may_review(offer.action_id, who)][:limit]
        found = candidates(self.store, book, model) if len(offers) < limit else []
        for offer in new_offers(self.context, self.graph, book, found, who):
            if len(offers) >= limit or len(book.open_offers(model)) >= MOST_OPEN:
                break
            with self._together() as now:
                # Another process may have offered it, or its like, meanwhile.
                if now.offer(offer.action_id) or now.offered_like(offer.model, offer.cell, offer.links):
                    continue
                self.store.append(OFFERED, offer.incident_id, offer.model_dump(mode="json"))
            self._earning.book()  # how many are blind so far decides over the next
            if self._may_review(offer.action_id, who):
                offers.append(offer)
        return [item_of(self.store, offer) for offer in offers]

    def _may_review(self, action_id: str, who: Principal) -> bool:
        from aegis_agents.agents.offering import answered_by

        return who.person not in answered_by(self.store, self.store.action(action_id))

    def review(
        self, action_id: str, *, correct: bool | None, verdict: str | None = None, by: str | None = None,
        note: str = "", token: Token = None,
    ) -> ReviewResult:  # fmt: skip
        """Say whether it would have been right to do this without asking anybody; None if the facts don't tell.

        `verdict` says what the incident was; it must not contradict `correct`. "Wrong" may be said of any decision,
        the rest only of what Aegis put before people (see `reviews`). Raises UnknownAction, AlreadyDecided for a
        second review by one person, ActionError for what can't be reviewed, IdentityError for somebody who had a
        hand in the decision, InputError.
        """
        from aegis_agents.agents.offering import cell_name
        from aegis_agents.agents.recording import FINAL, contradicts, record
        from aegis_agents.gate.earned.reviews import MOST_NOTE

        who = self._who("reviewer", by, token)
        if len(note) > MOST_NOTE:
            raise InputError(f"has {len(note)} characters", field="note", fix=f"at most {MOST_NOTE}")
        row = self.store.action(action_id)
        answer: Answer = "unclear" if correct is None else "right" if correct else "wrong"
        if verdict is not None and verdict not in FINAL:
            raise InputError(f"{verdict!r} is no final verdict", field="verdict", fix=f"one of {', '.join(FINAL)}")
        if verdict is not None and correct is not False and contradicts(row, verdict):
            raise InputError(f"{row.proposal.action} is wrong where it was {verdict}", field="verdict")
        if not self._may_review(action_id, who):
            raise IdentityError(f"{who.shown} approved, denied or took back {action_id}: somebody else reviews it")
        with self._together() as book:
            if who.person in book.said(action_id):
                raise AlreadyDecided(f"{action_id} was reviewed by {who.shown} before")
            if answer != "wrong" and cell_name(row) is not None and book.offer(action_id) is None:
                raise ActionError(
                    f"{action_id} was not put before reviewers (aegis review next): of what people choose themselves "
                    "only an error is taken down"
                )
            return record(self.store, self._earning, row, answer, who, "review", note=note, verdict=verdict)

    def standings(self) -> list[Standing]:
        """Where each cell stands under the model in use: what was shown, and what is missing until the next level."""
        from aegis_agents.gate.earned.cells import CELLS

        book, now = self._earning.book(), datetime.now(UTC)
        return [book.standing(self.context.model.version, cell, now) for cell in CELLS]

    # what follows from it

    def autonomy_in_force(self) -> list[AutonomyRow]:
        """The matrix as it is at this moment: action by asset tier, configured, earned or shipped, under the ceiling."""
        from aegis_agents.gate.autonomy import in_force
        from aegis_agents.gate.request import class_of
        from aegis_agents.gate.tiers import TIERS

        settings = self.context.gate.settings
        earned = self._earning.now(self.context.model.version)
        rows = []
        for name, spec in CATALOGUE.items():
            for tier in TIERS:
                cell = in_force(settings.matrix, earned, name, class_of(spec), tier)
                level = min(cell.level, settings.autonomy, key=AUTONOMY_LEVELS.index)
                source = cell.source if level == cell.level else f"{cell.source}, under the ceiling"
                shown = {"threshold": cell.earned.threshold, "evidence": cell.earned.evidence} if cell.earned else {}
                rows.append(AutonomyRow(cell=f"{name}/{tier}", level=level, source=source, **shown))  # type: ignore[arg-type]
        return rows

    def demote(self, cell: str, *, by: str | None = None, reason: str, token: Token = None) -> int:
        """Take back what a cell has earned, at once; answers the ledger entry. It needs fresh evidence then.

        Raises IdentityError, InputError for an unknown cell, ActionError where nothing was earned.
        """
        from aegis_agents.gate.earned.cells import CELLS
        from aegis_agents.gate.earned.reviews import DEMOTED

        who = self._who("admin", by, token)
        if cell not in CELLS:
            raise InputError(f"{cell!r} is no cell that can be earned", field="cell", fix=f"one of {', '.join(CELLS)}")
        if not reason.strip():
            raise InputError("is empty", field="reason", fix="say why")
        with self._together() as book:
            was = {model: book.cell(model, cell).level for model in book.models()}
            if all(level == "ask" for level in was.values()):
                raise ActionError(f"{cell} has earned nothing: it asks already")
            body: dict[str, Any] = {"cell": cell, "model": None, "cause": "admin", "reason": reason, "evidence": []}
            return self.store.append(DEMOTED, None, body | {"was": was, "principal": who.entry()}).seq

    # errors that are said elsewhere

    def _mistaken(self, action_id: str, source: AnswerSource, who: Principal, note: str = "") -> ReviewResult | None:
        """A person says by something else than a review that this was wrong; None where no cell could earn it."""
        from aegis_agents.agents.offering import cell_name
        from aegis_agents.agents.recording import record

        row = self.store.action(action_id)
        if cell_name(row) is None:
            return None
        with self._together():
            return record(self.store, self._earning, row, "wrong", who, source, note=note)

    def _contradicted(self, incident_id: str, verdict: str, who: Principal) -> list[ReviewResult]:
        """A person confirmed what an incident was: what Aegis decided against that was wrong."""
        from aegis_agents.agents.recording import contradicts

        found = []
        for row in self.store.actions(incident_id):
            if row.state not in ("refused", "proposed") and contradicts(row, verdict):
                result = self._mistaken(row.action_id, "confirm", who, f"confirmed as {verdict}")
                found += [result] if result else []
        return found

    def _heed_failures(self, incident_id: str) -> list[int]:
        """Demote what acted alone and had no effect, as verification found: there the world is not as Aegis thinks."""
        from aegis_agents.gate.earned.reviews import DEMOTED

        done = []
        for row in self.store.actions(incident_id):
            evidence = row.decision.inputs.get("autonomy.evidence")
            if row.state != "failed" or row.by is not None or not evidence or not row.detail.startswith(NOT_IN_EFFECT):
                continue
            cell, model = str(row.decision.inputs.get("autonomy.earned")), row.decision.versions.get("model", "")
            with self._together() as book:
                if book.cell(model, cell).evidence == evidence:
                    body: dict[str, Any] = {"cell": cell, "model": model, "cause": "verification", "reason": row.detail}
                    body |= {"evidence": [evidence], "action_id": row.action_id, "principal": AEGIS.entry()}
                    done.append(self.store.append(DEMOTED, row.incident_id, body).seq)
        return done

    # within

    @contextmanager
    def _together(self) -> Iterator[Book]:
        """A transaction, with the book as it is inside; after an error the book is read anew."""
        try:
            with self.store.transaction():
                yield self._earning.book()
        except BaseException:
            self._earning.forget()
            raise
