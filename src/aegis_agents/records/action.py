"""Response actions: what can be done, what was proposed, decided and done."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from aegis_agents.records.base import Record
from aegis_agents.records.incident import EntityKind

ActionName = Literal[
    "isolate_host", "disable_user", "revoke_sessions", "reset_password", "disable_access_key",
    "block_ip", "block_domain", "block_hash", "quarantine_file", "quarantine_email", "kill_process",
    "snapshot_disk", "add_watchlist", "open_ticket", "notify_owner", "close_alert",
]  # fmt: skip

Outcome = Literal[
    "executed", "would_execute", "recommended", "awaiting_approval", "refused", "denied",
    "failed", "unconfirmed", "undone", "expired",
]  # fmt: skip

Autonomy = Literal["observe", "recommend", "ask", "act_undo", "act"]
AUTONOMY_LEVELS: tuple[Autonomy, ...] = ("observe", "recommend", "ask", "act_undo", "act")

Effect = Literal["read", "record", "contain", "restore", "destroy"]
"""read: changes nothing; record: tells people or a list; contain: limits what something can do;
restore: gives it back; destroy: can't be given back."""


class ActionSpec(Record):
    """What an action is: its effect, its undo, the kinds of target it takes, and its standard ids.

    `react` is the id in the RE&CT framework, `d3fend` the technique in MITRE D3FEND
    (None where D3FEND has no counterpart).
    """

    name: ActionName
    effect: Effect
    undo: str | None
    targets: tuple[EntityKind, ...]
    react: str
    d3fend: str | None
    about: str

    @property
    def reversible(self) -> bool:
        """Whether there is a way back."""
        return self.undo is not None


class Target(Record):
    """What an action aims at: an entity of the incident."""

    kind: EntityKind
    value: str


class ProposedAction(Record):
    """An action that the reasoning agent suggests. It is not allowed yet.

    `action_id` is derived from incident, action, target and generation.
    """

    action_id: str
    action: ActionName
    target: Target
    reason: str
    cites: tuple[str, ...]
    generation: int = 0


class Decision(Record):
    """The gate's answer to one proposed action.

    `verb` is what may happen; `rule` names the step and rule that decided, `inputs`
    what it looked at and `versions` the versions of model, intel and policy.
    """

    action_id: str
    verb: Literal["execute", "ask", "recommend", "refuse"]
    rule: str
    reason: str
    inputs: dict[str, str | int | float | bool | None] = {}
    versions: dict[str, str] = {}


class Receipt(Record):
    """What became of an action."""

    action_id: str
    outcome: Outcome
    at: datetime
    connector: str | None = None
    detail: str = ""
    by: str | None = None


class ActionReport(Record):
    """An action as the case shows it."""

    action_id: str
    action: str
    target: Target
    outcome: Outcome
    rule: str
    reason: str
    reversible: bool
    by: str | None = None
    detail: str = ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How notebooks show it: HTML, and text where there is none."""
        from aegis_agents import display

        shown = [self.model_dump(mode="json")]
        return {"text/html": display.notebook(display.actions_html(shown)), "text/plain": display.actions_text(shown)}
