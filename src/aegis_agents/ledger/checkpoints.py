"""Signing what the ledger holds: every so many entries, when it is closed, and when asked."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from aegis_agents.errors import LedgerError
from aegis_agents.ledger.anchor import Anchor
from aegis_agents.ledger.copies import Copies
from aegis_agents.ledger.database import Database, Left, Row
from aegis_agents.ledger.links import Link
from aegis_agents.ledger.notes import NO_NOTE, Checkpoint, note_hash
from aegis_agents.ledger.signing import Signer
from aegis_agents.records import Principal

KEY_NAMED = "ledger.key"
"""Ledger entry: a key begins to sign. The first checkpoint covers it."""

UNSIGNED = "ledger.unsigned"
"""Ledger entry: a checkpoint was due and could not be made. Work goes on; verify() counts what is unsigned."""

UNCOPIED = "ledger.uncopied"
"""Ledger entry: a checkpoint could not be copied elsewhere, or its key not published."""


class CheckpointTable(Database):
    """The checkpoints' part of the store. A checkpoint joins the transaction that made it due: no further flush."""

    def _begin_signing(self, signer: Signer | None) -> None:
        """Before the database is opened."""
        self._signer = signer
        self._copies = Copies(signer.copies) if signer and signer.copies else None
        self._signing, self._fresh, self._tried = False, False, 0
        self._problem: str | None = None

    @abstractmethod
    def _enter(self, kind: str, incident_id: str | None, body: dict[str, Any]) -> Link:
        """Add an entry."""

    @abstractmethod
    def _now(self) -> str:
        """The time, as entries have it."""

    def checkpoint(self) -> str:
        """Sign what the ledger holds now; answers the note, the newest one if nothing is new.

        Raises LedgerError if there is no signer, or its key or the copies can't be used.
        """
        with self.transaction():
            note = self._sign(self._sure_signer())
        if self._problem is not None:
            raise LedgerError(self._problem)
        return note

    def public_keys(self) -> tuple[str, ...]:
        """The public keys that checkpoints are checked with; see Store.public_keys."""
        return self._signer.known() if self._signer is not None else ()

    def renew_key(self, by: Principal) -> str:
        """Let a new key sign from now on; answers its public key. The old one signs that last, if it can, and is gone.

        Checkpoints of before are still checked with the old public key: both stay known. Raises LedgerError.
        """
        signer = self._sure_signer()
        origin = self._meta()["origin"]
        with self.transaction():
            new, known = signer.prepare(origin), list(signer.known())
            self._enter(KEY_NAMED, None, {"key": new.line, "after": known, "principal": by.entry()})
            self._try_to_sign(signer)
        signer.publish(new)
        signer.adopt()
        self.checkpoint()
        return new.line

    def _sure_signer(self) -> Signer:
        if self._signer is None:
            raise LedgerError("nothing signs this ledger: it was opened without a key")
        return self._signer

    def _meta(self) -> Row:
        row = self._row("SELECT origin, count, head, checkpoints, signed FROM ledger_meta")
        if row is None:
            raise LedgerError(f"{self.where}: ledger_meta is empty; run `aegis ledger verify`")
        return row

    def _sign_if_due(self, seq: int, signed: int) -> None:
        """After entry `seq` was added, in its transaction; `signed` entries are covered.

        Where the commit does not wait for the disk, the next one that does signs: no copy elsewhere may name a
        checkpoint that a power cut makes this ledger forget.
        """
        signer = self._signer
        if (
            signer is not None
            and self._flushing
            and not self._signing
            and seq - max(signed, self._tried) >= signer.every
        ):
            self._try_to_sign(signer)

    def _sign_at_end(self) -> None:
        """Before closing: sign what is not signed yet."""
        if self._signer is not None:
            with self.transaction():
                if self._meta()["count"] > self._meta()["signed"]:
                    self._try_to_sign(self._signer)

    def _try_to_sign(self, signer: Signer) -> None:
        """A key that can't be used must not keep an outcome from being recorded: it is recorded too."""
        try:
            with self.transaction():
                self._sign(signer)
        except LedgerError as error:
            self._tried = self._meta()["count"] + 1  # tried again after so many more entries
            self._enter(UNSIGNED, None, {"reason": str(error)})

    def _sign(self, signer: Signer) -> str:
        self._signing = True
        try:
            meta = self._meta()
            last = self._row("SELECT note FROM ledger_checkpoints ORDER BY number DESC LIMIT 1")
            if last is not None and meta["signed"] == meta["count"]:
                return str(last["note"])
            key = self._usable_key(signer, meta)
            if last is None:
                self._enter(KEY_NAMED, None, {"key": key, "after": []})
                meta = self._meta()
            number, previous = meta["checkpoints"] + 1, NO_NOTE if last is None else note_hash(last["note"])
            says = Checkpoint(meta["origin"], meta["count"], meta["head"], self._now(), number, previous)
            note = signer.sign(meta["origin"], says.text())
            self._run("INSERT INTO ledger_checkpoints (number, note) VALUES (?, ?)", (number, note))
            self._run("UPDATE ledger_meta SET checkpoints = ?, signed = ?", (number, meta["count"]))
            self._fresh, self._left = True, Left(meta["origin"], Anchor(meta["count"], meta["head"], number))
            return note
        finally:
            self._signing = False

    def _usable_key(self, signer: Signer, meta: Row) -> str:
        """The key, as a line, if it may sign: one that was put in place of the last by hand signs nothing."""
        key = signer.key(meta["origin"]).line
        rows = self._rows("SELECT body FROM ledger_entries WHERE kind = ? ORDER BY seq", (KEY_NAMED,))
        named = [str(row["body"]) for row in rows]
        # A key's line stands in an entry as it is: it has no character that JSON escapes.
        if named and f'"key":"{key}"' not in named[-1]:  # another process renewed it since this one read it
            signer.forget()
            key = signer.key(meta["origin"]).line
        if meta["checkpoints"] and not any(f'"key":"{key}"' in body for body in named):
            raise LedgerError(
                f"{signer.file}: this is not the key that the ledger names (put that one back, or let a new one "
                "sign from now on with `aegis ledger key --renew`)"
            )
        return key

    def _deliver(self, left: Left) -> None:
        """After the commit: name the key among those that verify, and copy the checkpoint elsewhere."""
        if not self._fresh or self._signer is None or not left.anchor.checkpoints:
            return
        self._fresh = False
        try:
            self._signer.publish(self._signer.key(left.origin))
            if self._copies is not None:
                self._copies.write(left.origin, self._notes_after)
            self._problem = None
        except LedgerError as error:
            told, self._problem = self._problem is not None, str(error)
            if not told:
                self._enter(UNCOPIED, None, {"reason": self._problem})

    def _notes_after(self, number: int) -> list[tuple[int, str]]:
        rows = self._rows("SELECT number, note FROM ledger_checkpoints WHERE number > ? ORDER BY number", (number,))
        return [(row["number"], row["note"]) for row in rows]
