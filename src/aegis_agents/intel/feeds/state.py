"""What is known of each feed between two syncs: its validators, when it last worked, and why it did not.

One SQLite file in WAL mode, `feeds.sqlite`; threads and processes may share it. It holds no credentials: a place
is kept as a hash, and errors are cleaned of them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from aegis_agents.errors import IntelError
from aegis_agents.intel.documents import plain
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.records.base import Record
from aegis_agents.write_ahead import write_ahead

STATES = "feeds.sqlite"
"""File name, in the directory of the snapshots."""

MAX_ERROR = 1000
_SCHEMA = "CREATE TABLE IF NOT EXISTS feed (name TEXT PRIMARY KEY, state TEXT NOT NULL)"


class FeedState(Record):
    """What is known of a feed. Times are in UTC. `removed_by` says who last gave up what it brought, and when.

    `settings` is `settings_of` the feed when it last worked: if the user changed its place, trust or marking since,
    everything is fetched and stamped anew. `failures` counts those since it last worked.
    `counts`: what the last good sync made of it ("documents", "skipped", "quarantined" ...).
    """

    name: str
    settings: str = ""
    etag: str = ""
    last_modified: str = ""
    sha256: str = ""
    cursor: str = ""
    signer: str = ""
    last_tried: AwareDatetime | None = None
    last_good: AwareDatetime | None = None
    last_changed: AwareDatetime | None = None
    last_error: str = ""
    failures: int = 0
    snapshot: str = ""
    version: str = ""
    counts: dict[str, int] = {}
    removed_by: str = ""
    removed_at: AwareDatetime | None = None


def settings_of(feed: Feed) -> str:
    """SHA-256 of the settings that decide what a feed's documents are; neither credentials nor pace or limits."""
    apart = {"username", "password", "header", "token", "every_seconds", "max_bytes", "internal"}
    return hashlib.sha256(feed.model_dump_json(exclude=apart).encode("utf-8")).hexdigest()


class FeedStates:
    """The states of all feeds, in one file. Raises IntelError if the file can't be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._db() as db:
            write_ahead(db, 30)
            db.execute(_SCHEMA)

    def get(self, name: str) -> FeedState:
        """What is known of a feed; an empty state if it was never tried."""
        with self._db() as db:
            return self._read(db, name)

    def all(self) -> list[FeedState]:
        """Every feed ever tried, by name; also those that are not configured any more."""
        with self._db() as db:
            rows = db.execute("SELECT name FROM feed ORDER BY name").fetchall()
            return [self._read(db, name) for (name,) in rows]

    def succeeded(
        self, feed: Feed, now: dt.datetime, *, etag: str = "", last_modified: str = "", sha256: str = "",
        cursor: str = "", signer: str = "", snapshot: str = "", version: str = "",
        counts: Mapping[str, int] | None = None,
    ) -> FeedState:  # fmt: skip
        """Record that a feed's content is in a snapshot. Only then: what is recorded is not asked for again."""
        return self._change(
            feed.name, settings=settings_of(feed), etag=etag, last_modified=last_modified, sha256=sha256, cursor=cursor,
            signer=signer, last_tried=now, last_good=now, last_changed=now, last_error="", failures=0,
            snapshot=snapshot, version=version, counts=dict(counts or {}),
        )  # fmt: skip

    def unchanged(self, feed: Feed, now: dt.datetime, **validators: str) -> FeedState:
        """Record that the source was asked and says the same as before.

        `validators` are those that have a new value: etag, last_modified, cursor.
        """
        if not set(validators) <= {"etag", "last_modified", "cursor"}:
            raise ValueError(f"no validators: {sorted(validators)}")
        kept = {key: value for key, value in validators.items() if value}
        return self._change(feed.name, last_tried=now, last_good=now, last_error="", failures=0, **kept)

    def failed(self, feed: Feed, error: Exception | str, now: dt.datetime, *, anew: bool = False) -> FeedState:
        """Record why it did not work; everything known from the last good time stays.

        With `anew` the feed is fetched wholly the next time, as if its settings had changed.
        """
        said = plain(without_secrets(feed, str(error)))[:MAX_ERROR]
        forgotten: dict[str, str] = {"settings": ""} if anew else {}
        return self._change(feed.name, last_tried=now, last_error=said, failures=None, **forgotten)

    def removed(self, name: str, by: str, now: dt.datetime) -> None:
        """Drop what is known of a feed, so that it is fetched wholly the next time, and keep who said so."""
        state = FeedState(name=name, removed_by=by.strip(), removed_at=now)
        with self._db() as db:
            db.execute("INSERT OR REPLACE INTO feed VALUES (?, ?)", (name, state.model_dump_json()))

    def stale_for(self, feed: Feed, now: dt.datetime) -> dt.timedelta | None:
        """How long ago the source last answered well, None if it never did.

        Never negative: a clock that was set back makes nothing fresher.
        """
        good = self.get(feed.name).last_good
        return None if good is None else max(now - good, dt.timedelta(0))

    def due(self, feed: Feed, now: dt.datetime) -> bool:
        """Whether it is time to ask again: `every_seconds` after the last try, twice as long after each failure
        in a row, at most a day (or `every_seconds`, if that is longer)."""
        state = self.get(feed.name)
        if state.last_tried is None or state.last_tried > now:
            return True
        longest = max(feed.every_seconds, 86_400)
        pause = min(feed.every_seconds * 2 ** min(max(state.failures - 1, 0), 20), longest)
        return now - state.last_tried >= dt.timedelta(seconds=pause)

    def _change(self, name: str, **fields: object) -> FeedState:
        with self._db() as db:
            db.execute("BEGIN IMMEDIATE")  # read and write as one, also between processes
            old = self._read(db, name)
            if "failures" in fields and fields["failures"] is None:
                fields["failures"] = old.failures + 1
            state = FeedState.model_validate({**old.model_dump(), **fields})
            said = state.model_dump_json()
            db.execute("INSERT OR REPLACE INTO feed VALUES (?, ?)", (name, said))
            db.execute("COMMIT")
            return state

    def _read(self, db: sqlite3.Connection, name: str) -> FeedState:
        row = db.execute("SELECT state FROM feed WHERE name = ?", (name,)).fetchone()
        if row is None:
            return FeedState(name=name)
        try:
            return FeedState.model_validate(json.loads(row[0]))
        except (ValidationError, ValueError) as error:
            raise IntelError(f"{self._path}: the state of feed {name} can't be read (delete the file)") from error

    @contextmanager
    def _db(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = NORMAL")  # what a power cut loses is fetched again
                yield db
        except (sqlite3.Error, OSError) as error:
            raise IntelError(f"{self._path}: the state of the feeds can't be used: {error}") from error


def without_secrets(feed: Feed, text: str) -> str:
    """A text in which the feed's credentials, and the query of its URL, do not stand."""
    secrets = [s.get_secret_value() for s in (feed.password, feed.token) if s is not None]
    if feed.url is not None and "?" in feed.url:
        secrets.append(feed.url.partition("?")[2])
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        text = text.replace(secret, "…")
    return text
