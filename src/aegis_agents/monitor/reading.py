"""Reads what is new in the ledger into the monitor's state. Nothing is read twice but what a crash forgot."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from datetime import datetime

from aegis_agents.agents.caution import FELL_BACK, RESUMED, fell_back, lifted
from aegis_agents.agents.offering import newest
from aegis_agents.errors import LedgerError
from aegis_agents.gate.caution import FellBack
from aegis_agents.ledger import LedgerEntry, Store
from aegis_agents.monitor.said import SAID, said_of
from aegis_agents.monitor.signs import Signs, signs_of
from aegis_agents.monitor.state import State, unpacked
from aegis_agents.settings_monitor import MonitorSettings

FINISHED = "case.finished"
STATE = "watch.state"
"""Ledger entry: what the monitor knows so far, so that nobody begins at the first case again. Retention may remove it."""
_PAGE = 500


def last_state(store: Store) -> State | None:
    """The newest state in the ledger that can be used; None where there is none, or only one that retention removed."""
    for entry in reversed(newest(store, STATE, 3)):
        try:
            if (state := unpacked(entry.body)) is not None:
                return state
        except LedgerError:
            continue  # another is older, or all is computed anew: what was removed since is not in it
    return None


def read_news(store: Store, state: State, settings: MonitorSettings, most: int) -> int:
    """Take in at most `most` new entries, in their order; answers how many."""
    count = 0
    kinds = (RESUMED, FINISHED, *SAID)
    in_turn = heapq.merge(*(_unread(store, kind, state.read.get(kind, 0)) for kind in kinds), key=lambda e: e.seq)
    for entry in itertools.islice(in_turn, most):
        count += 1
        try:
            if entry.kind == RESUMED:
                _resumed(store, state, entry)
            elif (signs := _signs(store, entry, first=entry.kind == FINISHED)) is not None:
                if entry.kind != FINISHED:
                    _said(store, state, entry, signs, settings)
                else:
                    state.decided(signs, settings)
        except (ValueError, KeyError, TypeError):  # pydantic's errors too: one case that can't be read hides no other
            state.unreadable += 1
        state.read[entry.kind] = entry.seq
    return count


def lifted_unread(store: Store, state: State) -> list[FellBack]:
    """What a person has lifted by entries that the state has not come to yet: it knows the world of before that."""
    return [fell for entry in _unread(store, RESUMED, state.read.get(RESUMED, 0)) for fell in _lifted_by(store, entry)]


def _unread(store: Store, kind: str, after: int) -> Iterator[LedgerEntry]:
    while batch := store.entries(kind=kind, after=after, limit=_PAGE):
        yield from batch
        after = batch[-1].seq
        if len(batch) < _PAGE:
            return


def _signs(store: Store, entry: LedgerEntry, *, first: bool) -> Signs | None:
    """The signs of the case that an entry is about; with `first` only of the entry that first finished it."""
    if entry.incident_id is None or entry.body is None:
        return None  # removed by retention
    finished = store.entries(incident_id=entry.incident_id, kind=FINISHED, limit=1)
    if first and (not finished or finished[0].seq != entry.seq):
        return None  # it was kept again, since an answer came
    case = store.case(entry.incident_id)
    if case is None or not finished:
        return None
    return signs_of(case, datetime.fromisoformat(finished[0].at))


def _said(store: Store, state: State, entry: LedgerEntry, signs: Signs, settings: MonitorSettings) -> None:
    case = store.case(signs.incident_id)
    said = said_of(entry, case, store) if case is not None else None
    if said is not None:
        state.said(said, signs, datetime.fromisoformat(entry.at), settings)


def _resumed(store: Store, state: State, entry: LedgerEntry) -> None:
    state.resumed(_lifted_by(store, entry))


def _lifted_by(store: Store, entry: LedgerEntry) -> list[FellBack]:
    found = ((number, store.entries(kind=FELL_BACK, after=number - 1, limit=1)) for number in lifted([entry]))
    return [fell_back(entries[0]) for number, entries in found if entries and entries[0].seq == number]
