"""The hash-chained ledger: append, read, verify, export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

from aegis_agents.errors import InputError, LedgerTampered
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.database import Database
from aegis_agents.ledger.ids import canonical_json
from aegis_agents.ledger.rows import LedgerEntry, Verification
from aegis_agents.ledger.store import Store

GENESIS = "0" * 64
"""What the first entry names as the one before it."""

_SELECT = "SELECT seq, at, kind, incident_id, body, prev, hash FROM ledger_entries"


class Link(NamedTuple):
    """An entry as it is stored: the body still canonical text, so that checking needs no parsing."""

    seq: int
    at: str
    kind: str
    incident_id: str | None
    body: str
    prev: str
    hash: str


def link_hash(link: Link) -> str:
    """SHA-256, hex, over `prev` followed by the canonical JSON of at, body, incident_id, kind and seq."""
    at, kind, incident = (json.dumps(part) for part in (link.at, link.kind, link.incident_id))
    entry = f'{{"at":{at},"body":{link.body},"incident_id":{incident},"kind":{kind},"seq":{link.seq}}}'
    return hashlib.sha256((link.prev + entry).encode("utf-8", "surrogatepass")).hexdigest()


def check_links(links: Iterable[Link]) -> Iterator[Link]:
    """Pass links through, checking each. Raises LedgerTampered naming the first seq that does not fit."""
    seq, head = 0, GENESIS
    for link in links:
        if link.seq != seq + 1:
            raise LedgerTampered(f"entry {seq + 1} is missing or out of order (found {link.seq} in its place)")
        if link.prev != head:
            raise LedgerTampered(f"entry {link.seq} does not follow entry {seq}: its `prev` is another hash")
        if link_hash(link) != link.hash:
            raise LedgerTampered(f"entry {link.seq} was changed: its hash does not match what it says")
        seq, head = link.seq, link.hash
        yield link


def check_export(lines: Iterable[str]) -> Verification:
    """Check a ledger exported as JSON Lines. Raises LedgerTampered naming the first line that does not fit."""

    def links() -> Iterator[Link]:
        for number, line in enumerate(lines, 1):
            try:
                fields = LedgerEntry.model_validate_json(line)
                yield Link(**(fields.model_dump() | {"body": canonical_json(fields.body)}))
            except (ValueError, InputError) as error:
                raise LedgerTampered(f"line {number} is not a ledger entry: {error}") from error

    return _ends(check_links(links()))


def export_jsonl(store: Store, out: TextIO) -> int:
    """Write the whole ledger to `out`, one JSON entry a line, in order; answers how many."""
    count = 0
    while batch := store.entries(after=count):
        out.writelines(canonical_json(entry.model_dump()) + "\n" for entry in batch)
        count = batch[-1].seq
    return count


def _ends(links: Iterable[Link]) -> Verification:
    entries, head = 0, GENESIS
    for link in links:
        entries, head = link.seq, link.hash
    return Verification(entries=entries, head=head)


def utc_now() -> datetime:
    """The wall clock in UTC."""
    return datetime.now(UTC)


class LedgerTable(Database):
    """The ledger's part of the store, and its clock."""

    def _begin_ledger(self, anchor: AnchorFile, clock: Callable[[], datetime]) -> None:
        """Before the database is opened: opening it may make the ledger."""
        self._anchor, self._clock, self._anchored = anchor, clock, -1

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="microseconds")

    def _created(self) -> None:
        self._anchor.create(Anchor(0, GENESIS))

    def append(self, kind: str, incident_id: str | None, body: dict[str, Any]) -> LedgerEntry:
        """Add an entry in the transaction that is open, or one of its own.

        Raises LedgerTampered when the tail is not what the last append left: a damaged ledger is not continued.
        """
        text = canonical_json(body)
        with self.transaction():
            last = self._row(
                "SELECT m.count AS count, m.head AS head, e.seq AS seq, e.hash AS hash FROM ledger_meta m "
                "LEFT JOIN ledger_entries e ON e.seq = (SELECT max(seq) FROM ledger_entries)"
            )
            if last is None or (last["count"], last["head"]) != (last["seq"] or 0, last["hash"] or GENESIS):
                raise LedgerTampered(f"{self.where}: the ledger's tail was changed; run `aegis ledger verify`")
            link = Link(last["count"] + 1, self._now(), kind, incident_id, text, last["head"], "")
            link = link._replace(hash=link_hash(link))
            self._run("INSERT INTO ledger_entries VALUES (?, ?, ?, ?, ?, ?, ?)", link)
            self._run("UPDATE ledger_meta SET count = ?, head = ?", (link.seq, link.hash))
        return _entry(link)

    def _committed(self) -> None:
        """Move the anchor on, if the ledger still holds what the anchor says."""
        now = self._row("SELECT count, head FROM ledger_meta")
        if now is None or now["count"] == self._anchored:
            return
        try:
            old = self._anchor.read()
        except LedgerTampered:
            return  # the evidence stays as it is; verify() reports it
        there = self._row("SELECT hash FROM ledger_entries WHERE seq = ?", (old.entries,))
        fits = old == (0, GENESIS) if there is None else there["hash"] == old.head
        if fits and old.entries < now["count"]:
            self._anchor.write(Anchor(now["count"], now["head"]))
        self._anchored = now["count"]

    def entries(
        self, incident_id: str | None = None, after: int = 0, limit: int = 1000, kind: str | None = None
    ) -> list[LedgerEntry]:
        """Entries with seq > `after`, of one incident or kind if asked, in order, at most `limit`."""
        asked = {"incident_id": incident_id, "kind": kind}
        given = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join([*(f"{column} = ?" for column in given), "seq > ?"])
        rows = self._rows(f"{_SELECT} WHERE {where} ORDER BY seq LIMIT ?", (*given.values(), after, limit))
        return [_entry(Link(*row)) for row in rows]

    def verify(self) -> Verification:
        """Check every entry, the count, the anchor and the append-only triggers, on one snapshot.

        Raises LedgerTampered naming the first entry that does not fit; LedgerError if it can't be read.
        """
        anchor = self._anchor.read()  # before the snapshot, which then can only be ahead
        with self._snapshot() as read:
            if missing := sorted(self._guards().keys() - self._standing_guards(read)):
                raise LedgerTampered(f"{self.where}: what keeps the ledger append-only was removed: {missing}")
            meta = next(read("SELECT count, head FROM ledger_meta"), None)
            entries, head, anchored = 0, GENESIS, GENESIS
            for link in check_links(Link(*row) for row in read(_SELECT + " ORDER BY seq")):
                entries, head = link.seq, link.hash
                if entries == anchor.entries:
                    anchored = head
        if meta is None or entries < meta["count"]:
            raise LedgerTampered(f"entry {entries + 1} is missing: the tail was cut off")
        if tuple(meta) != (entries, head):
            raise LedgerTampered(f"entry {meta['count'] + 1} was added behind the ledger's back")
        if entries < anchor.entries:
            raise LedgerTampered(f"entry {entries + 1} is missing: the anchor knows {anchor.entries} entries")
        if anchored != anchor.head:
            raise LedgerTampered(f"entry {anchor.entries} is not the one that was anchored: the ledger was rewritten")
        return Verification(entries=entries, head=head)

    def close(self) -> None:
        """Close database and anchor. Calling it twice is fine."""
        with self._lock:
            self._anchor.close()
            self._disconnect()


def _entry(link: Link) -> LedgerEntry:
    return LedgerEntry(**(link._asdict() | {"body": json.loads(link.body)}))
