"""What a feed says now, compared with what the store holds of it: what comes in, what goes, what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from aegis_agents.errors import InputError
from aegis_agents.intel.documents import Corpus, Document
from aegis_agents.intel.store import View
from aegis_agents.intel.tables import Entry

SHIPPED = "shipped"
"""The feed of what comes with the package."""

STANDARD: frozenset[Corpus] = frozenset({"technique", "mitigation", "group", "software", "kev", "action"})
"""Corpora that decide what an id means: a feed fills one only in place of what is shipped, never beside it."""

_AT_ONCE = 10_000


class Change(NamedTuple):
    """What one feed says. `version` is its own word for the release.

    `complete`: what the feed said before and does not say now goes. Otherwise only the documents of the ids in
    `removed` do. `instead` names standard corpora that this feed, which must be complete, fills in place of what
    is shipped; one of which it brings nothing stays as it is. What it fills it may add to later without `instead`.
    """

    feed: str
    version: str
    documents: Sequence[Document]
    complete: bool
    removed: tuple[str, ...] = ()
    instead: tuple[Corpus, ...] = ()


class Refused(NamedTuple):
    """A document that was not taken in, and why."""

    feed: str
    corpus: Corpus
    id: str
    why: str


class Delta(NamedTuple):
    """What a change came to, in documents."""

    feed: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    refused: int = 0


class Applied(NamedTuple):
    """The snapshot after changes were applied, what each came to, and what was refused."""

    snapshot: str
    deltas: tuple[Delta, ...]
    refused: tuple[Refused, ...]


class Plan(NamedTuple):
    """Documents to write, and rows (with what they hold) that are dead after."""

    births: list[Document]
    deaths: dict[int, Entry]
    deltas: tuple[Delta, ...] = ()
    refused: tuple[Refused, ...] = ()


Key = tuple[Corpus, str]


def compare(view: View, changes: Sequence[Change]) -> Plan:
    """What changes come to against what a view shows, which must be all there is.

    A document is the same if its corpus, id and hash are. One that another feed holds, that is stamped for
    another feed, that is there twice, or that claims a standard corpus is refused. Raises InputError for a change
    that can't be meant.
    """
    births: dict[Key, Document] = {}
    deaths: dict[int, Entry] = {}
    deltas: list[Delta] = []
    refused: list[Refused] = []
    _check(changes)
    for change in changes:
        brought = {d.corpus for d in change.documents if d.feed == change.feed}
        displaced = [c for c in change.instead if c in brought]
        if displaced:
            deaths.update((e.row, e) for e in view.entries(feed=SHIPPED) if e.corpus in displaced)
        delta, wrong = _compare_one(view, change, births, deaths)
        deltas.append(delta)
        refused += wrong
    return Plan(list(births.values()), deaths, tuple(deltas), tuple(refused))


def swap(view: View, corpus: Corpus, documents: Sequence[Document]) -> Plan:
    """The plan that makes a corpus consist of these documents, whoever brought what is there."""
    wanted = {d.id: d for d in documents}
    before = {e.id: e for e in view.entries() if e.corpus == corpus}
    same = {key for key, e in before.items() if key in wanted and wanted[key].sha256 == e.sha256}
    births = [d for d in documents if d.id not in same]
    return Plan(births, {e.row: e for key, e in before.items() if key not in same})


def _check(changes: Sequence[Change]) -> None:
    feeds = [change.feed for change in changes]
    for change in changes:
        if not change.feed or change.feed == SHIPPED:
            raise InputError(f"{change.feed!r} is no feed's name", field="feed", fix="give the configured name")
        if feeds.count(change.feed) > 1:
            raise InputError(f"{change.feed} is there twice", field="changes", fix="give one change for each feed")
        if stray := sorted(set(change.instead) - (STANDARD - {"action"})):
            raise InputError(f"{stray[0]} is not filled by feeds", field="instead", fix="leave it out")
        if change.instead and not change.complete:
            raise InputError("is of a change that is not complete", field="instead", fix="give all documents")


def _compare_one(
    view: View, change: Change, births: dict[Key, Document], deaths: dict[int, Entry]
) -> tuple[Delta, list[Refused]]:
    # what it filled before, it may go on filling, also one document at a time
    filled = {*change.instead, *(h.corpus for h in view.held if h.feed == change.feed)}
    mine: dict[Key, Entry] = {}
    others: dict[Key, str] = {(d.corpus, d.id): d.feed for d in births.values()}
    if change.complete:
        mine = {(e.corpus, e.id): e for e in view.entries(feed=change.feed)}
    known = {key for _, key in mine}
    asked = dict.fromkeys([*(d.id for d in change.documents if d.id not in known), *change.removed])
    for entry in _holders(view, list(asked)):
        if entry.row in deaths:
            continue
        if entry.feed == change.feed:
            mine[entry.corpus, entry.id] = entry
        else:
            others[entry.corpus, entry.id] = entry.feed
    # an id that the feed holds in one corpus may be another's in a second one
    for entry in _holders(
        view, sorted({d.id for d in change.documents if d.id in known and (d.corpus, d.id) not in mine})
    ):
        if entry.feed != change.feed and entry.row not in deaths:
            others[entry.corpus, entry.id] = entry.feed
    said: set[Key] = set()
    refused: list[Refused] = []
    added = changed = unchanged = 0
    for document in change.documents:
        key = (document.corpus, document.id)
        if why := unstorable(document) or _objection(document, change, filled, said, others):
            refused.append(Refused(change.feed, document.corpus, storable(document.id), why))
            continue
        said.add(key)
        before = mine.get(key)
        if before is None:
            added += 1
        elif before.sha256 == document.sha256:
            unchanged += 1
            continue
        else:
            changed += 1
            deaths[before.row] = before
        births[key] = document
    gone = set(change.removed)
    lost = [e for key, e in mine.items() if key not in said and (change.complete or e.id in gone)]
    deaths.update((entry.row, entry) for entry in lost)
    return Delta(change.feed, added, changed, len(lost), unchanged, len(refused)), refused


def unstorable(document: Document) -> str | None:
    """Why a document can't be stored as it is, None if it can: SQLite finds no name with a NUL or half a character."""
    d = document
    names = (d.id, *d.aliases, d.technique or "", d.feed, d.owner, d.tenant, d.licence, d.signer)
    if any(storable(name) != name for name in names):
        return "has a NUL or half a character in its id, its aliases or its origin"
    return None


def storable(name: str) -> str:
    """A name as it can be stored and shown: NUL and half characters written out."""
    return name.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def _objection(
    document: Document, change: Change, filled: set[Corpus], said: set[Key], others: dict[Key, str]
) -> str | None:
    key = (document.corpus, document.id)
    if document.feed != change.feed:
        return f"is stamped for feed {document.feed}, not {change.feed}"
    if document.corpus in STANDARD and document.corpus not in filled:
        return f"corpus {document.corpus} is not for this feed to fill"
    if key in said:
        return "is there twice; the first counts"
    if key in others:
        return f"belongs to feed {others[key]}, which another can't replace"
    return None


def _holders(view: View, ids: Sequence[str]) -> Iterator[Entry]:
    for some in _batches(ids):
        yield from view.holders(some)


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))
