"""The storage Protocol: SQLite or PostgreSQL. Nothing outside this room knows which."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

from aegis_agents.ledger.rows import (
    Begun,
    IntakeRow,
    JournalRow,
    JournalState,
    LedgerEntry,
    Pruned,
    TokenRow,
    Undoing,
    Usage,
    Verification,
)
from aegis_agents.records import ActionName, Case, Decision, Incident, Principal, ProposedAction, Role, Target, Verdict

if TYPE_CHECKING:
    from aegis_agents.ledger.queue import QueuePage, QueueState

Settled = Literal["executed", "failed", "unconfirmed", "undone", "expired", "recommended"]
"""What an action can be settled as."""


class Store(Protocol):
    """Intake, journal, leases and ledger, in one transaction domain.

    Every change writes its own ledger entry in the same transaction: both are there or neither.
    Every method may raise StoreError, and every one that writes LedgerTampered, if the end of the
    ledger is not what it was left as. Safe to share between threads; processes each open their own.
    """

    def transaction(self, *, flush: bool = True) -> AbstractContextManager[None]:
        """Group calls into one durable commit; an exception takes all of them back. Nests.

        Without `flush` the commit survives this process, and a power cut once any later commit was flushed:
        enough for what a power cut may take back, since nothing outside follows from it yet. The outermost
        decides; an intent in one without raises StoreError.

        Holds the writer's lock: no waiting for a person, a network or an `await` inside.
        """
        ...

    def close(self) -> None:
        """Release the database. Calling it twice is fine."""
        ...

    # people
    def add_token(self, name: str, roles: Collection[Role], by: Principal, *, valid_for: timedelta) -> str:
        """Make a token and answer it, once: only its hash is kept. Raises InputError."""
        ...

    def revoke_token(self, token_id: str, by: Principal) -> None:
        """End a token at once. Raises InputError if there is none with this id that is in force."""
        ...

    def tokens(self) -> list[TokenRow]:
        """All tokens ever made, oldest first; never their secrets."""
        ...

    def authenticate(self, token: str) -> Principal:
        """Whose token this is. Raises IdentityError."""
        ...

    # intake
    def admit(self, incident: Incident, native: str, pins: dict[str, str], owner: str = "") -> IntakeRow:
        """Take an incident in; the same id again answers the row that is there, with `new=False`.

        `owner` is the process that works on it.
        """
        ...

    def claim(self, incident_id: str, owner: str, held_by: str | None) -> bool:
        """Take over an undecided incident from who began it: compare-and-set, one wins."""
        ...

    def finish(self, incident_id: str, case: Case) -> None:
        """Keep the case (a later one replaces it: outcomes change as people answer)."""
        ...

    def case(self, incident_id: str) -> Case | None:
        """The latest case, its incident included; None while there is none."""
        ...

    def intake(self, incident_id: str) -> IntakeRow | None:
        """The incident as it was taken in; None if it never was."""
        ...

    def unfinished(self) -> list[IntakeRow]:
        """Taken in but without a case, oldest first: what a crash left to be decided."""
        ...

    def queue(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        verdict: Verdict | None = None,
        state: QueueState | None = None,
    ) -> QueuePage:
        """A page of incidents, newest first: at most `limit` (1 to 500) after the cursor `after` of the page before.

        Raises InputError.
        """
        ...

    def outdated_cases(self) -> list[str]:
        """Ids of incidents whose kept case says less than the journal: a crash came between the two."""
        ...

    # journal
    def record_decision(
        self, incident_id: str, action: ProposedAction, decision: Decision, state: JournalState
    ) -> JournalRow:
        """Journal what the gate decided. A row that is there keeps what it says (unless it is `proposed`).

        `state` may be lower than the decision's verb, never higher: `approved` needs verb `execute`.
        Raises InputError when ids don't fit together or the state is higher than the verb allows.
        """
        ...

    def answer(self, action_id: str, approve: bool, by: Principal, reason: str = "") -> JournalRow:
        """A person's answer to an awaiting action: compare-and-set, one wins.

        Raises AlreadyDecided naming who and when, UnknownAction.
        """
        ...

    def begin(self, action_id: str, owner: str = "") -> Begun:
        """Journal the intent of an approved action and take its lease; only one caller ever gets it.

        Raises AlreadyDecided if it was begun before, ActionError if it is not approved,
        TransientConnectorError (nothing changed) while another incident's undo lifts the same thing.
        """
        ...

    def begin_undo(
        self, action_id: str, by: Principal, owner: str = "", outcome: Literal["undone", "expired"] = "undone"
    ) -> Undoing:
        """Journal the intent to take an action back; where others hold it too, that is all and it is done.

        Raises AlreadyDecided if it is being taken back or was, ActionError if there is nothing to take back.
        """
        ...

    def settle(
        self, action_id: str, outcome: Settled, connector: str | None, detail: str, *,
        foreign: bool = False, until: datetime | None = None,
    ) -> JournalRow:  # fmt: skip
        """Journal what became of it. `foreign`: it was in effect before Aegis acted; `until`: when it lifts itself.

        Not flushed to disk by itself (see `transaction`): what a power cut forgets of it is seen by looking.
        Raises AlreadyDecided if the state it is in does not lead to `outcome`.
        """
        ...

    def action(self, action_id: str) -> JournalRow:
        """One row. Raises UnknownAction."""
        ...

    def actions(self, incident_id: str) -> list[JournalRow]:
        """All actions of an incident, in the order they were decided."""
        ...

    def pending(self, limit: int | None = None) -> list[JournalRow]:
        """What waits for a person, oldest first: all of it, or the first `limit`."""
        ...

    def ready(self) -> list[JournalRow]:
        """What may be done and was not begun, oldest first: after a crash, what is still to be done."""
        ...

    def approved(self) -> list[JournalRow]:
        """Approved and not begun, oldest first: what a crash kept from being done."""
        ...

    def open_intents(self) -> list[JournalRow]:
        """Rows in `intent` or `undoing`: under way, or cut off by a crash."""
        ...

    def undo_outcome(self, action_id: str) -> Literal["undone", "expired"]:
        """What an undo under way is to end as."""
        ...

    def next_generation(self, incident_id: str, action: ActionName, target: Target) -> int:
        """The generation for doing it again, on an explicit wish: one more than the last once that is over.

        While the last is still live its own generation is answered. Don't use it in a re-drive:
        that would bring back by itself what a person has undone.
        """
        ...

    def usage(self, since: datetime) -> Usage:
        """What was used up of the budgets since `since` (with time zone); see Usage."""
        ...

    def holders(self, action: ActionName, target: Target) -> list[str]:
        """Ids of the actions that hold this action on this target, the first holder first."""
        ...

    # timers
    def set_expiry(self, action_id: str, at: datetime | None, by: Principal, reason: str = "") -> JournalRow:
        """When an action that is in effect lifts itself; None keeps it until somebody undoes it.

        Raises UnknownAction, ActionError if it is not in effect.
        """
        ...

    def due(self, now: datetime) -> list[JournalRow]:
        """What is in effect, or may be (`unconfirmed`), and past its time, the longest overdue first."""
        ...

    def timers(self) -> list[JournalRow]:
        """What is in effect, or may be (`unconfirmed`), and will lift itself, the next first."""
        ...

    # ledger
    def append(self, kind: str, incident_id: str | None, body: dict[str, Any]) -> LedgerEntry:
        """Add an entry that belongs to no change of intake or journal (autonomy, policy, kill switch)."""
        ...

    def entries(
        self, incident_id: str | None = None, after: int = 0, limit: int = 1000, kind: str | None = None, *,
        newest: bool = False,
    ) -> Sequence[LedgerEntry]:  # fmt: skip
        """Entries with seq > `after`, of one incident or kind if asked, in order, at most `limit`: the first, or the `newest`.

        A body that retention removed is None; see LedgerEntry for the kinds that always have theirs.
        """
        ...

    def verify(self, keys: Collection[str] | None = None, against: Path | None = None) -> Verification:
        """Check the whole ledger: chain, checkpoints and their signatures, what was removed, what is kept beside it.

        `keys` are the public keys to trust, as lines; by default those that this store's signer knows, none if
        it has none (then signatures are not checked). `against` is where checkpoints are kept elsewhere, a file or
        folder: the ledger must hold each of them. Raises LedgerTampered naming the first entry or checkpoint
        that does not fit, InputError for a key or a file that is none.
        """
        ...

    def checkpoint(self) -> str:
        """Sign what the ledger holds now; answers the note. Raises LedgerError without a key, or if it can't be used."""
        ...

    def public_keys(self) -> tuple[str, ...]:
        """The public keys, as lines, that this ledger's checkpoints are checked with; none before the first."""
        ...

    def renew_key(self, by: Principal) -> str:
        """Let a new key sign from now on; answers its public key. Raises LedgerError."""
        ...

    def export(self, out: TextIO) -> int:
        """Write the whole ledger as JSON Lines (tools/verify_ledger/README.md); answers how many entries."""
        ...

    def prune(self, before: datetime, by: Principal, archive: Path | None = None) -> Pruned:
        """Remove the bodies of entries from before a time, and the alerts and cases that were finished before it.

        What an open incident needs stays, and so do kinds that say what was earned and who may do what. With an
        `archive` all that goes is first written and flushed there. An entry says what went, and a checkpoint
        covers it. Killed halfway, give the same command again. Raises InputError for a time without zone or in
        the future, or an archive of something else; LedgerTampered for a ledger that is not whole.
        """
        ...

    def forgotten(self) -> list[str]:
        """Incidents whose alert and case retention has removed: what else is kept of them should go too."""
        ...
