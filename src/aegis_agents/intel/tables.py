"""The SQLite side of a segment: documents by row and by id. Every read names the rows that may be read."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents.errors import IntelError
from aegis_agents.intel.documents import Corpus, Document, Tlp
from aegis_agents.intel.readers import Range, Rows
from aegis_agents.intel.words import write_words
from aegis_agents.records import Passage

_SCHEMA = """
CREATE TABLE origin (
    origin INTEGER PRIMARY KEY, feed TEXT NOT NULL, owner TEXT NOT NULL, tenant TEXT NOT NULL, tlp TEXT NOT NULL,
    licence TEXT NOT NULL, trust REAL NOT NULL, signer TEXT NOT NULL, fetched_at TEXT
);
CREATE TABLE document (
    row INTEGER PRIMARY KEY, corpus TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    technique TEXT, aliases TEXT NOT NULL, embedding_text TEXT, origin INTEGER NOT NULL, observed_at TEXT,
    valid_until TEXT, sha256 BLOB NOT NULL
);
CREATE TABLE known_as (id TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (id, row)) WITHOUT ROWID;
CREATE TABLE term (term TEXT PRIMARY KEY, start INTEGER NOT NULL, rows INTEGER NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = "row, corpus, id, title, text, technique, aliases, embedding_text, origin, observed_at, valid_until, sha256"
_SELECT = f"SELECT {_COLUMNS} FROM document"  # noqa: S608 - constant

_SMALL = 20_000
"""Names that are kept in memory, so that a small segment is not asked for what it does not have."""


class Origin(NamedTuple):
    """What many documents have in common, kept once."""

    feed: str
    owner: str
    tenant: str
    tlp: Tlp
    licence: str
    trust: float
    signer: str
    fetched_at: str | None


class Entry(NamedTuple):
    """What is needed to tell whether a document is the same as before."""

    row: int
    corpus: Corpus
    id: str
    title: str
    feed: str
    sha256: str


class Stored(NamedTuple):
    """A document as it lies in the tables, with the hash that it was written with."""

    fields: tuple[Any, ...]
    origin: Origin

    def passage(self, *, score: float, snapshot: str) -> Passage:
        """It as a search result."""
        _, corpus, key, title, text, technique, _, _, _, observed, until, sha256 = self.fields
        o = self.origin
        # Validated when it was written, and the segment's hash says that it is the same.
        return Passage.model_construct(
            source=corpus, id=key, title=title, text=text, score=score, snapshot=snapshot, trust=o.trust,
            licence=o.licence, technique=technique, feed=o.feed, owner=o.owner, tlp=o.tlp,
            fetched_at=_time(o.fetched_at), observed_at=_time(observed), valid_until=_time(until), signer=o.signer,
            sha256=sha256.hex(),
        )  # fmt: skip

    def document(self) -> Document:
        """It as it was given."""
        _, corpus, key, title, text, technique, aliases, embedding_text, _, observed, until, _ = self.fields
        o = self.origin
        return Document.model_construct(
            corpus=corpus, id=key, title=title, text=text, licence=o.licence, trust=o.trust, technique=technique,
            aliases=tuple(json.loads(aliases)), embedding_text=embedding_text, feed=o.feed, owner=o.owner,
            tenant=o.tenant, tlp=o.tlp, fetched_at=_time(o.fetched_at), observed_at=_time(observed),
            valid_until=_time(until), signer=o.signer,
        )  # fmt: skip


def write_tables(path: Path, words: Path, documents: Sequence[Document], *, texts: int) -> int:
    """Write documents, whose place in the sequence is their row, and the words of the first `texts` of them.

    The same documents give the same bytes. Answers the number of postings.
    """
    origins: dict[Origin, int] = {}
    for d in documents:
        origins.setdefault(_origin(d), len(origins))
    with closing(sqlite3.connect(path, isolation_level=None)) as tables:
        tables.execute("PRAGMA journal_mode = OFF")  # the whole folder is thrown away on failure
        tables.executescript(_SCHEMA)
        tables.execute("BEGIN")
        tables.executemany(
            "INSERT INTO origin VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ((at, *origin) for origin, at in origins.items())
        )
        tables.executemany(
            "INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (row, d.corpus, d.id, d.title, d.text, d.technique, json.dumps(d.aliases), d.embedding_text,
                 origins[_origin(d)], _text(d.observed_at), _text(d.valid_until), bytes.fromhex(d.sha256))
                for row, d in enumerate(documents)
            ),
        )  # fmt: skip
        names = sorted({(name.upper(), row) for row, d in enumerate(documents) for name in (d.id, *d.aliases)})
        tables.executemany("INSERT INTO known_as VALUES (?, ?)", names)
        postings = write_words(words, tables, [f"{d.title} {d.text}" for d in documents[:texts]])
        tables.execute("CREATE INDEX by_origin ON document (origin)")
        tables.execute("COMMIT")
    return postings


class Tables:
    """Read access to the tables of a segment, safe to share between threads."""

    def __init__(self, path: Path) -> None:
        # immutable: SQLite takes no locks and reads no journal that somebody laid beside the file
        uri = path.resolve().as_uri() + "?mode=ro&immutable=1"
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise IntelError(f"{path}: can't be opened: {error}") from error
        weakref.finalize(self, self._db.close)
        self._origins = {at: Origin(*rest) for at, *rest in self._all("SELECT * FROM origin", ())}
        self._names: frozenset[str] | None = None
        self._few_names: bool | None = None

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def stored(self, wanted: Iterable[int], rows: Rows) -> dict[int, Stored]:
        """Those of these rows that may be read."""
        inside = [row for row in wanted if row in rows]
        if not inside:
            return {}
        found = self._all(_SELECT + " WHERE row IN (SELECT value FROM json_each(?))", (json.dumps(inside),))  # noqa: S608 - constant
        return {r[0]: Stored(r, self._origins[r[8]]) for r in found}

    def each(self, rows: Rows, *, feed: str | None = None) -> Iterator[Stored]:
        """Every row that may be read, ascending; of one feed only if one is named."""
        for lo, hi in self._chunks(rows):
            for r in self._all(_SELECT + " WHERE row >= ? AND row < ? ORDER BY row", (lo, hi)):
                if r[0] in rows and (feed is None or self._origins[r[8]].feed == feed):
                    yield Stored(r, self._origins[r[8]])

    def entries(self, rows: Rows, *, feed: str | None = None) -> Iterator[Entry]:
        """What tells documents apart, of every row that may be read; of one feed only if one is named."""
        wanted = [at for at, origin in self._origins.items() if feed is None or origin.feed == feed]
        sql = "SELECT row, corpus, id, title, origin, sha256 FROM document WHERE row >= ? AND row < ?"
        if feed is not None:
            sql += " AND origin IN (SELECT value FROM json_each(?))"
        for lo, hi in self._chunks(rows) if wanted else ():
            values = (lo, hi) if feed is None else (lo, hi, json.dumps(wanted))
            for row, corpus, key, title, origin, sha256 in self._all(sql, values):
                if row in rows:
                    yield Entry(row, corpus, key, title, self._origins[origin].feed, sha256.hex())

    def holders(self, ids: Sequence[str], rows: Rows) -> list[Entry]:
        """What tells documents apart, of rows that have one of these very ids."""
        sql = (
            "SELECT row, corpus, id, title, origin, sha256 FROM document WHERE row IN (SELECT value FROM json_each(?))"
        )
        found = sorted({row for _, row in self.named(ids, rows)})
        wanted = set(ids)
        return [
            Entry(row, corpus, key, title, self._origins[origin].feed, sha256.hex())
            for row, corpus, key, title, origin, sha256 in (self._all(sql, (json.dumps(found),)) if found else ())
            if key in wanted
        ]

    def named(self, names: Sequence[str], rows: Rows) -> list[tuple[str, int]]:
        """(name in upper case, row) for every row that has one of these ids or aliases, whatever their case."""
        wanted = dict.fromkeys(name.upper() for name in names)
        if (few := self._all_names()) is not None:
            wanted = {name: None for name in wanted if name in few}
        if not wanted or not rows.ranges:
            return []
        sql = "SELECT id, row FROM known_as WHERE id IN (SELECT value FROM json_each(?)) ORDER BY row"
        return [(name, row) for name, row in self._all(sql, (json.dumps(list(wanted)),)) if row in rows]

    def names(self, rows: Rows) -> dict[str, tuple[int, str]]:
        """Every id and alias of these rows, in upper case → the row, and the document's id; an id wins over an alias."""
        found: dict[str, tuple[int, str]] = {}
        own: dict[str, tuple[int, str]] = {}
        for lo, hi in rows.ranges:
            sql = "SELECT row, id, aliases FROM document WHERE row >= ? AND row < ? ORDER BY row"
            for row, key, aliases in self._all(sql, (lo, hi)):
                if row in rows:
                    own[key.upper()] = row, key
                    found.update((name.upper(), (row, key)) for name in json.loads(aliases))
        return found | own

    def terms(self, terms: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Where the postings of these terms begin, and how many they are."""
        sql = "SELECT term, start, rows FROM term WHERE term IN (SELECT value FROM json_each(?))"
        return {term: (start, size) for term, start, size in self._all(sql, (json.dumps(list(terms)),))}

    def _all_names(self) -> frozenset[str] | None:
        if self._few_names is None:
            found = self._all("SELECT id FROM known_as LIMIT ?", (_SMALL + 1,))
            self._few_names = len(found) <= _SMALL
            self._names = frozenset(name for (name,) in found) if self._few_names else None
        return self._names

    def _chunks(self, rows: Rows, size: int = 20_000) -> Iterator[Range]:
        for lo, hi in rows.ranges:
            for at in range(lo, hi, size):
                yield at, min(hi, at + size)

    def _all(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise IntelError(f"the snapshot's tables can't be read: {error}") from error


def _origin(d: Document) -> Origin:
    return Origin(d.feed, d.owner, d.tenant, d.tlp, d.licence, d.trust, d.signer, _text(d.fetched_at))


def _text(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)
