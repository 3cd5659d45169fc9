"""The hash-chained ledger: append, read, verify, export."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.checking import LedgerCheck
from aegis_agents.ledger.checkpoints import CheckpointTable
from aegis_agents.ledger.copies import Copies
from aegis_agents.ledger.database import Left
from aegis_agents.ledger.export import write_export
from aegis_agents.ledger.ids import canonical_json
from aegis_agents.ledger.links import SELECT, Link, commitment, genesis, link_hash
from aegis_agents.ledger.migrate import MIGRATED, migrate, old_anchor
from aegis_agents.ledger.rows import LedgerEntry, Verification
from aegis_agents.ledger.signing import Signer

UNANCHORED = "ledger.unanchored"
"""Ledger entry: the anchor beside the database can't be moved on, so a tail that is cut off from here on is not missed."""


def utc_now() -> datetime:
    """The wall clock in UTC."""
    return datetime.now(UTC)


class LedgerTable(CheckpointTable):
    """The ledger's part of the store, and its clock."""

    def _begin_ledger(self, anchor: AnchorFile, clock: Callable[[], datetime], signer: Signer | None = None) -> None:
        """Before the database is opened: opening it may make the ledger."""
        self._anchor, self._clock, self._wrote = anchor, clock, False
        self._unanchored = False
        self._anchor_left: Anchor | None = None  # as this process left it: what it names was looked at then
        self._begin_signing(signer)

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="microseconds")

    def _created(self) -> None:
        self._anchor.create(Anchor(0, genesis(self._begin_chain())))

    def _migrate(self, found: int) -> None:
        migrate(self, found, self._anchor.read())

    def _begin_chain(self) -> str:
        """Start an empty chain; answers its origin, which no other ledger has."""
        origin = f"aegis-agents/ledger/{secrets.token_hex(16)}"
        self._run("INSERT INTO ledger_meta VALUES (1, ?, 0, ?, 0, 0)", (origin, genesis(origin)))
        return origin

    def append(self, kind: str, incident_id: str | None, body: dict[str, Any]) -> LedgerEntry:
        """Add an entry in the transaction that is open, or one of its own.

        Raises LedgerTampered when the tail is not what the last append left: a damaged ledger is not continued.
        """
        return self._enter(kind, incident_id, body).entry()

    def _enter(self, kind: str, incident_id: str | None, body: dict[str, Any]) -> Link:
        """As `append`, for who does not want it read back."""
        text = canonical_json(body)
        # Within a transaction no savepoint: what fails here fails before the first write, or with the database.
        with self._lock, nullcontext() if self._depth else self.transaction():
            last = self._row(
                "SELECT m.origin AS origin, m.count AS count, m.head AS head, m.signed AS signed, "
                "m.checkpoints AS checkpoints, e.seq AS seq, e.hash AS hash FROM ledger_meta m "
                "LEFT JOIN ledger_entries e ON e.seq = (SELECT max(seq) FROM ledger_entries)"
            )
            left = None if last is None else (last["seq"] or 0, last["hash"] or genesis(last["origin"]))
            if last is None or (last["count"], last["head"]) != left or not isinstance(last["signed"], int):
                raise LedgerTampered(f"{self.where}: the ledger's tail was changed; run `aegis ledger verify`")
            link = self._add(last["count"] + 1, self._now(), kind, incident_id, text, last["head"])
            self._run("UPDATE ledger_meta SET count = ?, head = ?", (link.seq, link.hash))
            self._wrote, self._left = True, Left(last["origin"], Anchor(link.seq, link.hash, last["checkpoints"]))
            self._sign_if_due(link.seq, last["signed"])
        return link

    def _add(self, seq: int, at: str, kind: str, incident_id: str | None, body: str, prev: str) -> Link:
        """Write one link; the caller keeps ledger_meta."""
        salt = secrets.token_hex(16)
        link = Link(seq, at, kind, incident_id, body, salt, commitment(salt, body), prev, "")
        link = link._replace(hash=link_hash(link))
        self._run("INSERT INTO ledger_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", link)
        return link

    def _committed(self, left: Left) -> None:
        """Move the anchor on, if the ledger still holds what the anchor says; then deliver a fresh checkpoint."""
        origin, new = left
        if not isinstance(new.checkpoints, int):
            return  # verify() reports it
        with suppress(OSError, ValueError):  # what can't be opened is told below, where it is written
            self._anchor.open()
        problem = ""
        with self._anchor.held():
            try:
                old = self._anchor.read(mapped=True)
            except LedgerTampered:
                pass  # the evidence stays as it is; verify() reports it
            else:
                further = old.entries < new.entries or (old[:2] == new[:2] and old.checkpoints < new.checkpoints)
                ours = old == self._anchor_left
                if further and old.checkpoints <= new.checkpoints and (ours or self._holds(old, origin)):
                    problem = self._move_anchor(new)
        if problem and not self._unanchored:
            self._unanchored = True
            self._enter(UNANCHORED, None, {"reason": problem})
        self._deliver(left)

    def _move_anchor(self, new: Anchor) -> str:
        """What was committed stays committed, whether or not the anchor can be written; answers why it can't."""
        try:
            self._anchor.write(new)
            self._anchor_left = new
        except (OSError, ValueError) as error:  # not ours to write, a disk that is read-only, no room to map it
            return str(error)
        return ""

    def _holds(self, anchor: Anchor, origin: str) -> bool:
        """Whether the entry that was anchored is still what it was, or was brought to this format since."""
        there = self._row("SELECT hash FROM ledger_entries WHERE seq = ?", (anchor.entries,))
        if there is not None and there["hash"] == anchor.head:
            return True
        if (anchor.entries, anchor.head) == (0, genesis(origin)):
            return True
        migrated = self._rows(f"{SELECT} WHERE kind = ?", (MIGRATED,))
        return any(old_anchor(Link(*row)) == anchor for row in migrated)

    def entries(
        self, incident_id: str | None = None, after: int = 0, limit: int = 1000, kind: str | None = None, *,
        newest: bool = False,
    ) -> list[LedgerEntry]:  # fmt: skip
        """Entries with seq > `after`, of one incident or kind if asked, in order, at most `limit`: the first, or the `newest`."""
        asked = {"incident_id": incident_id, "kind": kind}
        given = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join([*(f"{column} = ?" for column in given), "seq > ?"])
        order = "DESC" if newest else "ASC"
        rows = self._rows(f"{SELECT} WHERE {where} ORDER BY seq {order} LIMIT ?", (*given.values(), after, limit))
        return [Link(*row).entry() for row in (reversed(rows) if newest else rows)]

    def verify(self, keys: Collection[str] | None = None, against: Path | None = None) -> Verification:
        """Check entries, checkpoints, count, anchor and the append-only triggers, on one snapshot; see Store.verify."""
        if keys is None:
            keys = self.public_keys()
        anchor = self._anchor.read()  # before the snapshot, which then can only be ahead
        with self._snapshot() as read:
            if missing := sorted(self._guards().keys() - self._standing_guards(read)):
                raise LedgerTampered(f"{self.where}: what keeps the ledger append-only was removed: {missing}")
            meta = next(read("SELECT origin, count, head, checkpoints, signed FROM ledger_meta"), None)
            if meta is None or not isinstance(meta["origin"], str):
                raise LedgerTampered(f"{self.where}: the ledger has lost its origin and count")
            elsewhere = Copies(against).read(meta["origin"]) if against is not None else ()
            check = LedgerCheck(meta["origin"], keys, elsewhere)
            for number, row in enumerate(read("SELECT number, note FROM ledger_checkpoints ORDER BY number"), 1):
                if row["number"] != number:
                    raise LedgerTampered(f"checkpoint {number} is missing (found {row['number']} in its place)")
                check.checkpoint(row["note"])
            fits = (anchor.entries, anchor.head) == (0, check.head)
            for row in read(f"{SELECT} ORDER BY seq"):
                link = Link(*row)
                check.entry(link)
                fits = fits or (link.seq, link.hash) == anchor[:2] or old_anchor(link) == anchor
        return self._compare(check, list(meta), anchor, fits)

    def _compare(self, check: LedgerCheck, meta: list[Any], anchor: Anchor, fits: bool) -> Verification:
        """The chain beside what is kept of it: count, anchor, checkpoints."""
        _, count, head, checkpoints, signed = meta
        if not all(isinstance(number, int) for number in (count, checkpoints, signed)):
            raise LedgerTampered("the ledger's counts were changed: they are no numbers")
        if check.seq < count:
            raise LedgerTampered(f"entry {check.seq + 1} is missing: the tail was cut off")
        if (count, head) != (check.seq, check.head):
            raise LedgerTampered(f"entry {count + 1} was added behind the ledger's back")
        if check.seq < anchor.entries:
            raise LedgerTampered(f"entry {check.seq + 1} is missing: the anchor knows {anchor.entries} entries")
        if not fits:
            raise LedgerTampered(f"entry {anchor.entries} is not the one that was anchored: the ledger was rewritten")
        if check.checkpoints < max(checkpoints, anchor.checkpoints):
            raise LedgerTampered(f"checkpoint {check.checkpoints + 1} is missing")
        if (checkpoints, signed) != (check.checkpoints, check.newest):
            raise LedgerTampered(f"checkpoint {checkpoints + 1} was added behind the ledger's back")
        return check.end()

    def export(self, out: TextIO) -> int:
        """Write the whole ledger as JSON Lines; answers how many entries. See Store.export."""
        with self._snapshot() as read:
            return write_export(read, self.public_keys(), out)

    def close(self) -> None:
        """Sign what is unsigned, then close database and anchor. Calling it twice is fine."""
        with self._lock:
            try:
                if self._wrote and self._process == os.getpid():
                    self._wrote = False
                    self._sign_at_end()
            except StoreError:
                pass  # a busy database must not keep anybody from closing it; verify() counts what is unsigned
            finally:
                self._anchor.close()
                self._disconnect()
