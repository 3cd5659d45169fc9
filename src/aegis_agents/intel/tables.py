"""The SQLite side of a snapshot: documents by row and by id, and full-text search (FTS5)."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from aegis_agents.errors import IntelError
from aegis_agents.intel.documents import Corpus, Document

_SCHEMA = """
CREATE TABLE document (
    row INTEGER PRIMARY KEY, corpus TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    licence TEXT NOT NULL, trust REAL NOT NULL, technique TEXT, aliases TEXT NOT NULL, embedding_text TEXT,
    UNIQUE (corpus, id)
);
CREATE TABLE known_as (id TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (id, row)) WITHOUT ROWID;
CREATE VIRTUAL TABLE lexical USING fts5 (
    title, text, content='document', content_rowid='row', tokenize='porter unicode61 remove_diacritics 2'
);
"""
_SELECT = "SELECT row, corpus, id, title, text, licence, trust, technique, aliases, embedding_text FROM document"
_WORD = re.compile(r"\w+")
_COMMON = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "into", "is", "it", "its", "of",
    "on", "or", "that", "the", "this", "to", "was", "were", "with",
})  # fmt: skip
"""Words that stand in nearly every document: they rank nothing and cost most of the time (2.3 ms against 0.5)."""

_MAX_WORDS = 32
"""Words of a query that are looked up: the text may come from an alert, and its length must not cost."""

Row = tuple[int, str, str, str, str, str, float, str | None, str, str | None]
Range = tuple[int, int]


def write_tables(path: Path, documents: Sequence[Document]) -> None:
    """Write documents, whose place in the sequence is their row. The same documents give the same bytes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as tables:
        tables.execute("PRAGMA journal_mode = OFF")  # the whole directory is thrown away on failure
        tables.executescript(_SCHEMA)
        tables.execute("BEGIN")
        tables.executemany(
            "INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (row, d.corpus, d.id, d.title, d.text, d.licence, d.trust, d.technique, json.dumps(d.aliases),
                 d.embedding_text)
                for row, d in enumerate(documents)
            ],
        )  # fmt: skip
        tables.executemany(
            "INSERT OR IGNORE INTO known_as VALUES (?, ?)",
            [(name.upper(), row) for row, d in enumerate(documents) for name in (d.id, *d.aliases)],
        )
        tables.execute("INSERT INTO lexical(lexical) VALUES ('rebuild')")
        tables.execute("INSERT INTO lexical(lexical) VALUES ('optimize')")
        tables.execute("COMMIT")


class Tables:
    """Read access to the tables of a snapshot, safe to share between threads."""

    def __init__(self, path: Path) -> None:
        # immutable: SQLite takes no locks and reads no journal that somebody laid beside the file
        uri = path.resolve().as_uri() + "?mode=ro&immutable=1"
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise IntelError(f"{path}: can't be opened: {error}") from error

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def documents(self, rows: Iterable[int]) -> dict[int, Document]:
        """The documents of these rows."""
        wanted = json.dumps(list(rows))
        found = self._all(_SELECT + " WHERE row IN (SELECT value FROM json_each(?))", (wanted,))  # noqa: S608 - constant
        return {r[0]: _document(r) for r in found}

    def corpus(self, corpus: Corpus) -> list[Document]:
        """All documents of a corpus, by id."""
        rows = self._all(_SELECT + " WHERE corpus = ? ORDER BY row", (corpus,))
        return [_document(r) for r in rows]

    def names(self, corpus: Corpus) -> dict[str, str]:
        """Every id and alias of a corpus, in upper case → the document's id."""
        sql = "SELECT known_as.id, document.id FROM known_as JOIN document USING (row) WHERE corpus = ?"
        return dict(self._all(sql, (corpus,)))

    def exact(self, names: Sequence[str], ranges: Sequence[Range]) -> list[int]:
        """Rows that have one of these ids or aliases, whatever their case, in the order of the names."""
        rows: dict[int, None] = {}
        for name in names:
            found = self._all("SELECT row FROM known_as WHERE id = ? ORDER BY row", (name.upper(),))
            rows.update((row, None) for (row,) in found if any(lo <= row < hi for lo, hi in ranges))
        return list(rows)

    def lexical(self, query: str, ranges: Sequence[Range], n: int) -> list[int]:
        """The n best rows by BM25 among those in `ranges`, best first; any word may match."""
        found = dict.fromkeys(w.lower() for w in _WORD.findall(query) if len(w) > 1)
        words = [w for w in found if w not in _COMMON][:_MAX_WORDS]
        if not words or not ranges:
            return []
        # Quoted, a word is only a word: no operator of FTS5's query language survives.
        match = " OR ".join(f'"{w}"' for w in words)
        inside = " OR ".join("rowid BETWEEN ? AND ?" for _ in ranges)
        bounds = [bound for lo, hi in ranges for bound in (lo, hi - 1)]
        sql = f"SELECT rowid FROM lexical WHERE lexical MATCH ? AND ({inside}) ORDER BY rank, rowid LIMIT ?"  # noqa: S608 - question marks only
        return [row for (row,) in self._all(sql, (match, *bounds, n))]

    def _all(self, sql: str, values: Sequence[object]) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise IntelError(f"the snapshot's tables can't be read: {error}") from error


def _document(row: Row) -> Document:
    _, corpus, key, title, text, licence, trust, technique, aliases, embedding_text = row
    # Validated when it was written, and the file's hash says that it is the same.
    return Document.model_construct(
        corpus=corpus, id=key, title=title, text=text, licence=licence, trust=trust, technique=technique,
        aliases=tuple(json.loads(aliases)), embedding_text=embedding_text,
    )  # fmt: skip
