"""Reads earned autonomy from the ledger, as far as it is new."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from aegis_agents.errors import LedgerError, SettingsError
from aegis_agents.gate.earned.book import Book
from aegis_agents.gate.earned.cells import NOTHING_EARNED, EarnedAutonomy
from aegis_agents.gate.earned.reviews import DEMOTED, GIVEN, KINDS, PROMOTED
from aegis_agents.gate.earned.rule import EarnRule
from aegis_agents.ledger import LedgerEntry, Store
from aegis_agents.settings import Settings

_PAGE = 1000


def rule_of(**settings: Any) -> EarnRule:
    """The rule that settings ask for. Raises SettingsError naming what is out of range."""
    try:
        return EarnRule(**settings)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise SettingsError(wrong.removeprefix(": ")) from error


def rule_from(settings: Settings) -> EarnRule:
    """The rule of these settings. Raises SettingsError."""
    return rule_of(**{name: getattr(settings, name) for name in EarnRule.model_fields})


class Earning:
    """What was earned, as the ledger says at this moment. Safe to share between threads.

    Two threads may read the same entries; the book takes each in once. The store is never asked while the book is
    locked, so that neither waits for the other for ever.
    """

    def __init__(self, store: Store, rule: EarnRule) -> None:
        self._store, self.rule = store, rule
        self._book, self._promoted = Book(rule), False

    def book(self) -> Book:
        """The state, up to date. Raises LedgerError for an entry that can't be read."""
        book = self._book
        for entry in sorted(self._unread(book.seq), key=lambda e: e.seq):
            book.add(entry)
        return book

    def forget(self) -> None:
        """Begin anew: what was read may have been taken back with its transaction."""
        self._book = Book(self.rule)

    def now(self, model: str, when: datetime | None = None) -> EarnedAutonomy:
        """What this version of the model may do alone. A ledger that can't be understood has earned it nothing.

        As long as there is no promotion this is one indexed query, then three, and none where reviews unlock nothing.
        """
        if self.rule.earn == "off":
            return NOTHING_EARNED
        self._promoted = self._promoted or bool(self._store.entries(kind=PROMOTED, limit=1))
        if not self._promoted:
            return NOTHING_EARNED
        try:
            book = self._book
            news = any(self._store.entries(kind=kind, after=book.seq, limit=1) for kind in (GIVEN, PROMOTED, DEMOTED))
            return (self.book() if news else book).earned(model, when or datetime.now(UTC))
        except LedgerError:
            return NOTHING_EARNED

    def of(self, model: str) -> Callable[[datetime], EarnedAutonomy]:
        """The same for one version of the model."""
        return lambda when: self.now(model, when)

    def _unread(self, after: int) -> list[LedgerEntry]:
        """All entries of our kinds up to the newest that is answered.

        Kinds are read one after the other, and others write meanwhile: it is done again until nothing is new.
        """
        found: list[LedgerEntry] = []
        last = dict.fromkeys(KINDS, after)
        while True:
            before = len(found)
            for kind in KINDS:
                while batch := self._store.entries(kind=kind, after=last[kind], limit=_PAGE):
                    found += batch
                    last[kind] = batch[-1].seq
                    if len(batch) < _PAGE:
                        break
            if len(found) == before:
                return found


class Hindsight:
    """What was earned at each point of the ledger, by the rule in force now; asked from front to back.

    Promotions are those that were written: a rule that would have promoted sooner does not do so afterwards.
    """

    def __init__(self, store: Store, rule: EarnRule) -> None:
        self._store, self._book, self._broken = store, Book(rule), False
        self._ahead = heapq.merge(*map(self._of_kind, KINDS), key=lambda entry: entry.seq)
        self._next = next(self._ahead, None)

    def __call__(self, seq: int, model: str, when: datetime) -> EarnedAutonomy:
        """What this version of the model had earned before entry `seq` was written, at that time.

        As when it was decided, a ledger that can't be understood has earned nothing from there on.
        """
        while self._next is not None and self._next.seq < seq and not self._broken:
            try:
                self._book.add(self._next)
            except LedgerError:
                self._broken = True
            self._next = next(self._ahead, None)
        return NOTHING_EARNED if self._broken else self._book.earned(model, when)

    def _of_kind(self, kind: str) -> Iterator[LedgerEntry]:
        last = 0
        while batch := self._store.entries(kind=kind, after=last, limit=_PAGE):
            yield from batch
            last = batch[-1].seq
