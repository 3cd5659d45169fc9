"""The latest incidents as short cards, so that a question about the queue need not open every case.

The store has no listing; the ledger has: what was taken in, and what each case said last. It is read from its end once
and from there on as far as it is new.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from aegis_agents.agents.offering import newest
from aegis_agents.assistant.reading import ReadStore
from aegis_agents.ledger import LedgerEntry
from aegis_agents.ledger.removed import PRUNED
from aegis_agents.records import EntityKind

ADMITTED, FINISHED = "intake.admitted", "case.finished"
MOST = 2_000
"""Incidents on the shelf, the newest; an answer about the queue says where it ends."""
_PAGE = 1_000


class Named(NamedTuple):
    """An entity, by kind and value."""

    kind: EntityKind
    value: str


class Card(NamedTuple):
    """What the queue shows of an incident. `verdict` None: not decided yet. `at` is when it was taken in."""

    incident_id: str
    at: datetime
    source: str
    title: str
    verdict: str | None
    confidence: float
    severity: str
    entities: tuple[Named, ...]


class Shelf:
    """Cards of the newest incidents. Safe to share between threads; ask it outside of transactions."""

    def __init__(self, store: ReadStore, most: int = MOST) -> None:
        self._store, self._most = store, most
        self._cards: dict[str, Card] = {}
        self._names: dict[str, dict[Named, None]] = {}
        self._held: Counter[Named] = Counter()
        self._read: dict[str, int] = {}  # kind of entry → the last that was read
        self._cut = False
        self._lock = threading.Lock()

    def cards(self) -> list[Card]:
        """The cards, newest first."""
        with self._lock:
            self._refresh()
            return list(reversed(self._cards.values()))

    @property
    def cut(self) -> bool:
        """Whether there are older incidents than those on the shelf."""
        return self._cut

    def named(self, name: str) -> list[Named]:
        """Entities that have this name, in whole or by the part that people say: "bob" is CORP\\bob and bob@corp.example."""
        with self._lock:
            return list(self._names.get(name.casefold(), ()))

    def refresh(self) -> None:
        """Take in what is new."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        if self._read and self._store.entries(after=self._read[PRUNED], limit=1, kind=PRUNED):
            self._cards, self._names, self._read = {}, {}, {}  # retention removed alerts: what is kept here goes too
            self._held.clear()
        fresh: list[LedgerEntry] = []
        if not self._read:
            pruned = newest(self._store, PRUNED, 1)  # type: ignore[arg-type]  # it reads entries alone
            fresh += newest(self._store, ADMITTED, self._most)  # type: ignore[arg-type]
            self._cut = len(fresh) == self._most
            start, last = (fresh[0].seq - 1, fresh[-1].seq) if fresh else (0, 0)
            self._read = {PRUNED: pruned[-1].seq if pruned else 0, ADMITTED: last, FINISHED: start}
        # What is finished first: others write meanwhile, and whatever is finished by now was taken in before.
        for kind in (FINISHED, ADMITTED):
            fresh += self._after(self._read[kind], kind)
        for entry in sorted(fresh, key=lambda e: e.seq):
            self._take(entry)
            self._read[entry.kind] = max(self._read[entry.kind], entry.seq)
        while len(self._cards) > self._most:
            self._cut = True
            self._drop(self._cards.pop(next(iter(self._cards))))

    def _after(self, seq: int, kind: str) -> Iterable[LedgerEntry]:
        while page := self._store.entries(after=seq, limit=_PAGE, kind=kind):
            yield from page
            seq = page[-1].seq

    def _take(self, entry: LedgerEntry) -> None:
        incident_id = entry.incident_id or ""
        card = self._cards.get(incident_id)
        if entry.kind == ADMITTED and card is None:
            row = self._store.intake(incident_id)
            if row is None or not row.incident.entities:  # retention removed what it said
                return
            named = tuple(dict.fromkeys(Named(e.kind, e.value) for e in row.incident.entities))
            incident = row.incident
            self._cards[incident_id] = Card(incident_id, row.at, incident.source, incident.title, None, 0.0, "", named)
            self._held.update(named)
            for entity in named:
                for name in short_names(entity):
                    self._names.setdefault(name, {})[entity] = None
        elif entry.kind == FINISHED and card is not None and entry.body is not None:
            body = entry.body
            self._cards[incident_id] = card._replace(
                verdict=str(body["verdict"]), confidence=float(body["confidence"]), severity=str(body["severity"])
            )

    def _drop(self, card: Card) -> None:
        """Forget the names that no other card holds."""
        self._held.subtract(card.entities)
        for entity in card.entities:
            if self._held[entity] > 0:
                continue
            del self._held[entity]
            for name in short_names(entity):
                if (bearers := self._names.get(name)) is not None:
                    bearers.pop(entity, None)
                    if not bearers:
                        del self._names[name]


def short_names(entity: Named) -> set[str]:
    """How people call it, in lower case: the whole, an account without its domain, a host without its, a file's name."""
    whole = entity.value.casefold()
    names = {whole}
    if entity.kind in ("user", "email"):
        names |= {whole.rpartition("\\")[2], whole.partition("@")[0]}
    elif entity.kind == "host":
        names.add(whole.partition(".")[0])
    elif entity.kind in ("file", "process"):
        names.add(whole.replace("\\", "/").rpartition("/")[2])
    return {name for name in names if len(name) > 1}
