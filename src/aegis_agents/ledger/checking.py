"""Is it whole? The check that the store and an export share: entry by entry, nothing held but what is open."""

from __future__ import annotations

import json
from collections.abc import Collection

from aegis_agents.errors import LedgerTampered
from aegis_agents.ledger.links import Link, commitment, genesis, link_hash
from aegis_agents.ledger.notes import NO_NOTE, Checkpoint, PublicKey, note_hash, read_note
from aegis_agents.ledger.removed import KEPT, PRUNED, digest, read_ranges
from aegis_agents.ledger.rows import Verification


class LedgerCheck:
    """Checks what it is fed, in order: checkpoints may come before the entries they cover.

    `keys` are public keys as lines; checkpoints must be signed by one of them, and there must be one.
    Without keys signatures are not checked. `against` are notes that were kept elsewhere: the ledger must hold
    each of them. Raises InputError for a key that is none; every method raises LedgerTampered naming what does
    not fit.
    """

    def __init__(self, origin: str, keys: Collection[str] = (), against: Collection[str] = ()) -> None:
        self.origin, self.seq, self.head = origin, 0, genesis(origin)
        self.checkpoints, self.newest, self._last_note = 0, 0, NO_NOTE
        self._keys = [PublicKey.read(line) for line in keys]
        self._heads: dict[int, str] = {}
        self._removed: dict[int, str] = {}
        self._gone = 0
        self._elsewhere = self._kept_elsewhere(against)

    def checkpoint(self, note: str) -> Checkpoint:
        """The next checkpoint of the ledger itself."""
        name = f"checkpoint {self.checkpoints + 1}"
        try:
            found = read_note(note, self._keys)
        except LedgerTampered as error:
            raise LedgerTampered(f"{name} was changed or is not this ledger's: {error}") from error
        if found.origin != self.origin:
            raise LedgerTampered(f"{name} is of another ledger: {found.origin}")
        if (found.number, found.previous) != (self.checkpoints + 1, self._last_note):
            raise LedgerTampered(f"{name} is missing or out of order (number {found.number} in its place)")
        if found.entries <= self.newest:
            raise LedgerTampered(f"{name} covers no more than the one before it")
        self.checkpoints, self.newest, self._last_note = found.number, found.entries, note_hash(note)
        self._expect(found.entries, found.head, name)
        return found

    def entry(self, link: Link) -> None:
        """The next entry."""
        seq = self.seq + 1
        link.check_types()
        if link.seq != seq:
            raise LedgerTampered(f"entry {seq} is missing or out of order (found {link.seq} in its place)")
        if link.prev != self.head:
            raise LedgerTampered(f"entry {seq} does not follow entry {self.seq}: its `prev` is another hash")
        if link_hash(link) != link.hash:
            raise LedgerTampered(f"entry {seq} was changed: its hash does not match what it says")
        self._check_body(link)
        self.seq, self.head = seq, link.hash
        for expected in (self._heads.get(seq), self._elsewhere.get(seq)):
            if expected not in (None, self.head):
                raise LedgerTampered(
                    f"entry {seq} is not the one that a checkpoint signed: the ledger was rewritten or forked"
                )

    def end(self) -> Verification:
        """After the last entry: nothing may be open."""
        ahead = max((*self._heads, *self._elsewhere), default=0)
        if ahead > self.seq:
            raise LedgerTampered(f"entry {self.seq + 1} is missing: a checkpoint covers {ahead} entries")
        if self._removed:
            raise LedgerTampered(f"the body of entry {min(self._removed)} was removed, and no {PRUNED} entry says so")
        if self._keys and self.seq and not self.checkpoints:
            raise LedgerTampered("no checkpoint is left, though there is a key that signs them")
        if missing := self._elsewhere.keys() - self._heads.keys():
            raise LedgerTampered(f"the checkpoint over {min(missing)} entries, kept elsewhere, is missing here")
        return Verification(
            entries=self.seq, head=self.head, origin=self.origin, checkpoints=self.checkpoints,
            signed=self.newest if self._keys else 0, removed=self._gone,
            keys=tuple(key.line for key in self._keys),
        )  # fmt: skip

    def _expect(self, entries: int, head: str, name: str) -> None:
        if entries < self.seq or (entries == self.seq and head != self.head):
            raise LedgerTampered(f"{name} does not fit the {self.seq} entries before it")
        self._heads[entries] = head

    def _check_body(self, link: Link) -> None:
        if link.body is None or link.salt is None:
            if link.body is not None or link.salt is not None or link.kind.startswith(KEPT):
                raise LedgerTampered(f"entry {link.seq} was changed: its body or salt is missing")
            self._removed[link.seq] = link.body_sha256
            self._gone += 1
            return
        try:
            held = commitment(link.salt, link.body)
        except ValueError:
            held = ""
        if held != link.body_sha256:
            raise LedgerTampered(f"entry {link.seq} was changed: its body is not what the chain commits to")
        if link.kind == PRUNED:
            self._check_pruned(link.seq, link.body)

    def _check_pruned(self, seq: int, body: str) -> None:
        """What an entry says was removed must be gone, and no other entry may say so too."""
        found = []
        try:
            said = json.loads(body)
            for number in read_ranges(said["removed"]) if said["removed"] else ():
                if number not in self._removed:
                    raise LedgerTampered(f"entry {number} holds a body, though entry {seq} says that it was removed")
                found.append((number, self._removed.pop(number)))
            fits = digest(found) == said["digest"]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise LedgerTampered(f"entry {seq} does not say what was removed: {error}") from error
        if not fits:
            raise LedgerTampered(f"what was removed is not what entry {seq} says: its digest does not match")

    def _kept_elsewhere(self, notes: Collection[str]) -> dict[int, str]:
        heads: dict[int, str] = {}
        for number, note in enumerate(notes, 1):
            try:
                found = read_note(note, self._keys)
            except LedgerTampered as error:
                raise LedgerTampered(f"checkpoint {number} of those kept elsewhere: {error}") from error
            if found.origin != self.origin:
                raise LedgerTampered(f"the checkpoints kept elsewhere are of another ledger: {found.origin}")
            if heads.setdefault(found.entries, found.head) != found.head:
                raise LedgerTampered(
                    f"two checkpoints kept elsewhere disagree on entry {found.entries}: the ledger was forked"
                )
        return heads
