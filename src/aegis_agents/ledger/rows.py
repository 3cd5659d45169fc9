"""What the store answers: intake rows, journal rows, usage, ledger entries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from aegis_agents.errors import LedgerTampered
from aegis_agents.ledger.ids import id_of_key, idempotency_key
from aegis_agents.records import (
    CATALOGUE,
    ActionReport,
    Decision,
    Effect,
    Incident,
    Outcome,
    ProposedAction,
    Receipt,
    Target,
)
from aegis_agents.records.base import Record

JournalState = Literal[
    "proposed", "awaiting", "approved", "denied", "refused", "recommended", "would_execute",
    "intent", "executed", "failed", "unconfirmed", "undoing", "undone", "expired",
]  # fmt: skip
"""proposed → awaiting | approved | denied | refused | recommended | would_execute;
approved → intent → executed | failed | unconfirmed; executed | unconfirmed → undoing → undone | expired.

`intent` and `undoing` are written before the world is touched: found after a crash, they say that
something may have happened. `recommended` is also where an approved action ends that no connector can do.
"""

# What is neither decided nor known to be done is shown as not known, never as done.
_OUTCOME: dict[JournalState, Outcome] = {
    "awaiting": "awaiting_approval", "denied": "denied", "refused": "refused", "recommended": "recommended",
    "would_execute": "would_execute", "executed": "executed", "failed": "failed", "unconfirmed": "unconfirmed",
    "undone": "undone", "expired": "expired",
    "proposed": "unconfirmed", "approved": "unconfirmed", "intent": "unconfirmed", "undoing": "unconfirmed",
}  # fmt: skip


class IntakeRow(Record):
    """An incident as it was taken in: enough to decide it again with the versions of that time.

    `new` is True in the answer to the first `admit` alone. `native` is the alert's own text,
    `pins` the versions of model, intel, memory and policy that it is to be decided with, `owner` the
    process that took it in, or took it over.
    """

    incident_id: str
    at: datetime
    new: bool
    finished: bool
    incident: Incident
    native: str
    pins: dict[str, str]
    owner: str | None = None


class JournalRow(Record):
    """One action, from decision to outcome.

    `by`, `answered_at` and `answer` are the person who approved or denied it, when and why;
    `undo_by` who took it back; `principal` and `undo_principal` are these as they were authenticated.
    At `expires_at` it lifts itself. `owner` is the process that last began something with it.
    `key` is the idempotency key that connectors pass on.
    """

    action_id: str
    incident_id: str
    key: str
    proposal: ProposedAction
    decision: Decision
    effect: Effect
    state: JournalState
    created_at: datetime
    updated_at: datetime
    begun_at: datetime | None = None
    by: str | None = None
    principal: str | None = None
    answered_at: datetime | None = None
    answer: str = ""
    undo_by: str | None = None
    undo_principal: str | None = None
    expires_at: datetime | None = None
    owner: str | None = None
    connector: str | None = None
    detail: str = ""

    @property
    def target(self) -> Target:
        """What the action aims at."""
        return self.proposal.target

    @property
    def outcome(self) -> Outcome:
        """The state in the words of the public contract; what is under way is `unconfirmed`."""
        return _OUTCOME[self.state]

    def receipt(self) -> Receipt:
        """The row as a receipt."""
        by = self.undo_by if self.state in ("undone", "expired") else self.by
        return Receipt(
            action_id=self.action_id, outcome=self.outcome, at=self.updated_at,
            connector=self.connector, detail=self.detail, by=by,
        )  # fmt: skip

    def report(self) -> ActionReport:
        """The row as the case shows it."""
        receipt = self.receipt()
        return ActionReport(
            action_id=self.action_id, action=self.proposal.action, target=self.target, outcome=receipt.outcome,
            rule=self.decision.rule, reason=self.decision.reason,
            reversible=CATALOGUE[self.proposal.action].reversible, by=receipt.by, detail=self.detail,
        )  # fmt: skip


class Begun(Record):
    """The answer to `begin`: the intent is on disk and the lease is held.

    `others` are the actions of other incidents that hold the same action on the same target, `sharing`
    the best outcome among those that have one (None if none has). `key` is that of the first holder,
    so that two that act at once are one to the system that acts.
    """

    row: JournalRow
    key: str
    others: tuple[str, ...] = ()
    sharing: Literal["executed", "unconfirmed"] | None = None


class Undoing(Record):
    """The answer to `begin_undo`.

    Where `others` hold it too, the row is finished already and nothing must be lifted. `foreign` is True
    where the effect was there before Aegis acted, which then is not Aegis' to lift.
    """

    row: JournalRow
    key: str
    others: tuple[str, ...] = ()
    foreign: bool = False


class Usage(Record):
    """What actions have used up since a time, for budgets; all but `records` count contain and destroy actions.

    `actions` were begun and did not fail (in flight, unconfirmed and later undone ones count),
    `committed` are approved and not begun yet, whatever their age; `targets` are the distinct targets of
    both; `failed` and `undone` count what ended so since then, of what was begun in the day before.
    `records` are record actions (tickets, notices, closed alerts) begun or approved, which budgets count
    apart, `closed` those of them that close alerts. `by_tier` and `by_group` are `actions` and `committed`
    together, by the target's asset tier and groups.
    """

    since: datetime
    actions: int
    committed: int
    targets: tuple[Target, ...]
    failed: int
    undone: int
    records: int
    closed: int = 0
    by_tier: dict[str, int] = {}
    by_group: dict[str, int] = {}


class TokenRow(Record):
    """A token as it may be shown: whose, with which roles (separated by spaces), until when."""

    token_id: str
    name: str
    roles: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    created_by: str


class LedgerEntry(Record):
    """One link of the chain. `at` is UTC, ISO 8601 with microseconds, as it was hashed.

    `body` and `salt` are None where retention removed them; `body_sha256` commits to what they were. Kinds
    that begin with review., autonomy., token., ledger. or approval. always have their body.
    """

    seq: int
    at: str
    kind: str
    incident_id: str | None
    body: dict[str, Any] | None
    salt: str | None
    body_sha256: str
    prev: str
    hash: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How notebooks show it: HTML, and text where there is none."""
        from aegis_agents import display

        shown = [self.model_dump(mode="json")]
        return {"text/html": display.notebook(display.ledger_html(shown)), "text/plain": display.ledger_text(shown)}


class Verification(Record):
    """A ledger found whole: how many entries, and the hash of the last.

    `origin` is its id. Its `checkpoints` were checked with `keys` (public keys, as lines), and those cover
    the first `signed` entries; without keys signatures were not checked, and `signed` is 0. `removed` entries
    have lost their body, each by an entry that says so.
    """

    entries: int
    head: str
    origin: str = ""
    checkpoints: int = 0
    signed: int = 0
    removed: int = 0
    keys: tuple[str, ...] = ()

    @property
    def unsigned(self) -> int:
        """Entries that no checkpoint covers yet: whoever holds the database could still change them unseen."""
        return self.entries - self.signed

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How notebooks show it: HTML, and text where there is none."""
        from aegis_agents import display

        shown = self.model_dump(mode="json")
        return {
            "text/html": display.notebook(display.verification_html(shown)),
            "text/plain": display.verification_text(shown),
        }


class Pruned(Record):
    """What retention removed: the bodies of so many entries, and the alerts and cases of these incidents."""

    before: str
    entries: int
    incidents: tuple[str, ...]


def check_id(row: JournalRow) -> None:
    """Raises LedgerTampered where a row's target, action or incident is not what its id was made of: approved was another."""
    made = idempotency_key(row.incident_id, row.proposal.action, row.target, row.proposal.generation)
    if made != row.key or row.action_id != id_of_key(made):
        raise LedgerTampered(f"{row.action_id}: the journal's action or target was changed after it was decided")
