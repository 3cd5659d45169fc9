"""Reads from the ledger what has fallen back and was not lifted, as far as it is new.

It is asked for every decision, in every process that shares the store: one indexed query while nothing has fallen
back, two while something has.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from aegis_agents.errors import LedgerError, StoreError
from aegis_agents.gate.caution import NO_CAUTION, Caution, FellBack
from aegis_agents.ledger import LedgerEntry, Store

FELL_BACK: Final = "monitor.fell_back"
"""Ledger entry: autonomy falls back. Body: scope, of, like, cause, reason, figures."""
RESUMED: Final = "monitor.resumed"
"""Ledger entry: a person lifted fall-backs. Body: entries (their numbers), reason, principal."""

_PAGE = 1000


class Cautious:
    """What has fallen back, as the ledger says at this moment. Safe to share between threads.

    Each kind is read on from where it was read to: an entry of one may be written while the other is read.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._fell: dict[int, FellBack] = {}
        self._lifted: set[int] = set()
        self._read_to = {FELL_BACK: 0, RESUMED: 0}
        self._shown = NO_CAUTION

    def now(self, _: datetime | None = None) -> Caution:
        """What is under caution now. A state that can't be read is caution for everything."""
        try:
            fell = self._unread(FELL_BACK)
            resumed = self._unread(RESUMED) if fell or self._shown.fallen else []
        except (LedgerError, StoreError) as error:
            return Caution(unreadable=f"{type(error).__name__}: {error}"[:300])
        if not fell and not resumed:
            return self._shown
        with self._lock:  # the store is never asked in here: it has a lock of its own
            self._fell.update((entry.seq, fell_back(entry)) for entry in fell)
            self._lifted.update(lifted(resumed))
            for kind, entries in ((FELL_BACK, fell), (RESUMED, resumed)):
                self._read_to[kind] = max([self._read_to[kind], *(entry.seq for entry in entries)])
            still = tuple(one for seq, one in sorted(self._fell.items()) if seq not in self._lifted)
            self._shown = Caution(fallen=still) if still else NO_CAUTION
            return self._shown

    def _unread(self, kind: str) -> list[LedgerEntry]:
        found: list[LedgerEntry] = []
        after = self._read_to[kind]
        while batch := self._store.entries(kind=kind, after=after, limit=_PAGE):
            found += batch
            after = batch[-1].seq
            if len(batch) < _PAGE:
                break
        return found


def fell_back(entry: LedgerEntry) -> FellBack:
    """What an entry says fell back; everything, where it can't be read."""
    try:
        if entry.body is None:
            raise ValueError("its body was removed")
        given = {name: entry.body[name] for name in FellBack.model_fields if name in entry.body}
        return FellBack.model_validate(given | {"entry": entry.seq})
    except (ValidationError, ValueError, TypeError) as error:
        why = f"entry {entry.seq} can't be read: {type(error).__name__}"
        return FellBack(entry=entry.seq, scope="all", cause="unreadable", reason=why)


def lifted(entries: Iterable[LedgerEntry]) -> Iterator[int]:
    """The numbers of what these entries lifted. One that can't be read lifts nothing, nor what came after it."""
    for entry in entries:
        body: dict[str, Any] = entry.body or {}
        numbers = body.get("entries")
        for number in numbers if isinstance(numbers, list) else ():
            if type(number) is int and number < entry.seq:
                yield number
