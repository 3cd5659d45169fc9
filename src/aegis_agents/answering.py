"""What people say of actions: approve, deny, take back, keep. And what is done about it at once."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import ActionError, AlreadyDecided, ConnectorError, InputError, TransientConnectorError
from aegis_agents.identity import Token, identify, said_name
from aegis_agents.records import AEGIS, ActionReport, Principal, Role
from aegis_agents.recovering import Recovering

if TYPE_CHECKING:
    from aegis_agents.gate.earned.reviews import AnswerSource
    from aegis_agents.ledger import JournalRow
    from aegis_agents.records import Decision

RETRY_EXPIRY = timedelta(minutes=5)
"""When to try again to lift what did not lift."""
MOST_REASON = 2_000
"""Characters of a reason."""
LONGEST_TOKEN = timedelta(days=3650)
UNDO_ASKED = "action.undo_asked"
"""Ledger entry: why a person takes an action back."""


class Answering(Recovering):
    """The part of Aegis that answers people.

    Who asks is authenticated: by a token (`token`, or the setting of that name), else by the account that
    this process runs as; `by` alone is kept as what was said, and vouches for nobody. Every method raises
    IdentityError for somebody who is not known or may not do that, and InputError for a name or reason that is
    too long or can't be shown. In shadow nothing is approved or taken back: that would touch the world.
    """

    def __init__(self) -> None:
        self._resuming = threading.Lock()

    @abstractmethod
    def _mistaken(self, action_id: str, source: AnswerSource, who: Principal, note: str = "") -> Any:
        """A person says that this was wrong."""

    def _who(self, role: Role, by: str | None, token: Token) -> Principal:
        own = self.settings.token
        given = token or (own.get_secret_value() if own else None)
        return identify(self.store, role, by=by, token=given, token_needed=self.settings.require_token)

    def add_token(
        self, name: str, roles: Collection[Role], *, valid_for: timedelta = timedelta(days=90), token: Token = None
    ) -> str:
        """Make a token for a person and answer it, once. Needs the role admin. Raises InputError."""
        said_name(name, "name")
        if not valid_for <= LONGEST_TOKEN:
            raise InputError("is too long", field="valid_for", fix=f"at most {LONGEST_TOKEN.days} days")
        return self.store.add_token(name, roles, self._admin(token), valid_for=valid_for)

    def revoke_token(self, token_id: str, *, token: Token = None) -> None:
        """End a token at once. Needs the role admin. Raises InputError if there is none with this id."""
        self.store.revoke_token(token_id, self._admin(token))

    def _admin(self, token: Token) -> Principal:
        """Who administers. Where a token is needed, the first one is made by the account that runs Aegis."""
        if self.settings.require_token and not any("admin" in row.roles.split() for row in self.store.tokens()):
            return identify(self.store, "admin", by=None, token=None, token_needed=False)
        return self._who("admin", None, token)

    # answers

    def pending(self, limit: int | None = None) -> list[JournalRow]:
        """Actions that wait for a person, oldest first: all of them, or the first `limit`."""
        return self.store.pending(limit)

    def approve(self, action_id: str, *, by: str | None = None, reason: str = "", token: Token = None) -> ActionReport:
        """Approve a waiting action; it is done at once unless policy asks for another person.

        The gate looks again, since much may have changed. Raises UnknownAction, AlreadyDecided,
        or ActionError naming the rule when it may no longer be done; then it goes on waiting.
        """
        from aegis_agents.agents.journal_view import ENDORSED

        reason = _said_why(reason)
        self._not_in_shadow("approved")
        who = self._who("approver", by, token)
        row = self.store.action(action_id)
        seen, decision = self._look_again(row, who.person)
        with self.store.transaction():  # two at once must not both take the last of a budget, nor miss each other's yes
            who = self._who("approver", by, token)  # a token that was revoked meanwhile answers nothing
            row = self.store.action(action_id)
            if row.state == "awaiting":
                if seen != self._standing(row):
                    _, decision = self._look_again(row, who.person)
                if decision is None or decision.verb in ("refuse", "recommend"):
                    why = f"{decision.rule}: {decision.reason}" if decision else "it was not waiting a moment ago"
                    raise ActionError(f"{action_id} may not be done now: {why}")
                if decision.verb == "ask":
                    said = {"action_id": action_id, "by": who.shown, "person": who.person, "reason": reason}
                    self.store.append(ENDORSED, row.incident_id, said | {"principal": who.entry()})
                    return row.report().model_copy(update={"reason": decision.reason})
            self.store.answer(action_id, True, who, reason)
        return self._resume(row, approved=True)

    def _look_again(self, row: JournalRow, person: str) -> tuple[Any, Decision | None]:
        """What the gate says to a waiting action now, and what it said that by; nothing of one that does not wait."""
        from aegis_agents.agents.again import decide_again
        from aegis_agents.checkpoints import checkpoints_told

        if row.state != "awaiting":
            return None, None
        with checkpoints_told():
            return self._standing(row), decide_again(self.graph, self.context, row, person)

    def _standing(self, row: JournalRow) -> Any:
        """What others may change while the gate looks: budgets, and who said yes."""
        from aegis_agents.agents.approval import usage_now
        from aegis_agents.agents.journal_view import approvers

        return usage_now(self.context), approvers(self.store, row)

    def _not_in_shadow(self, what: str) -> None:
        if self.settings.mode == "shadow":
            raise ActionError(f"nothing is {what} in shadow: it touches nothing; answer in the mode live")

    def deny(self, action_id: str, *, by: str | None = None, reason: str = "", token: Token = None) -> ActionReport:
        """Deny a waiting action. Raises UnknownAction or AlreadyDecided."""
        reason = _said_why(reason)
        who = self._who("approver", by, token)
        row = self.store.action(action_id)
        self.store.answer(action_id, False, who, reason)
        return self._resume(row, approved=False)

    def undo(
        self, action_id: str, *, by: str | None = None, wrong: bool = False, reason: str = "", token: Token = None
    ) -> ActionReport:
        """Take an action back; `wrong` says that it should not have been done, which costs what its cell has earned.

        Raises UnknownAction, NotReversible, ActionError if there is nothing to undo, ConnectorError if the system
        would not.
        """
        reason = _said_why(reason)
        self._not_in_shadow("taken back")
        who = self._who("operator", by, token)
        row = self.store.action(action_id)
        if reason:
            said = {"action_id": action_id, "reason": reason, "by": who.shown, "principal": who.entry()}
            self.store.append(UNDO_ASKED, row.incident_id, said)
        try:
            self._write_path.undo(action_id, who)
        finally:
            self._refresh(row.incident_id)
        if wrong:
            self._mistaken(action_id, "undo", who, reason)
        return self.store.action(action_id).report()

    # time

    def keep(self, action_id: str, *, by: str | None = None, reason: str = "", token: Token = None) -> ActionReport:
        """Let an action stay that would lift itself. Raises UnknownAction, ActionError if it is not in effect."""
        reason = _said_why(reason)
        who = self._who("operator", by, token)
        return self.store.set_expiry(action_id, None, who, reason).report()

    def timers(self) -> list[JournalRow]:
        """Actions that will lift themselves, the next first."""
        return self.store.timers()

    def expire_due(self) -> list[ActionReport]:
        """Lift what is past its time. What does not lift is tried again in five minutes.

        Nothing is lifted while the kill switch is engaged, nor in shadow. `investigate` calls it at its
        end; where nothing is investigated, `aegis expire --watch` does. Safe beside others: one lifts it.
        """
        from aegis_agents.gate.killswitch import engaged

        now = datetime.now(UTC)
        due = self.store.due(now)
        if not due or self.settings.mode == "shadow" or engaged(self.settings.kill_switch_file):
            return []
        lifted = []
        for row in due:
            at = self.store.action(row.action_id).expires_at
            if at is None or at > now:
                continue  # kept, or put off, while the others were lifted
            try:
                self._expire(row, now)
            except ActionError:
                continue  # taken back by somebody else meanwhile
            self._refresh(row.incident_id)
            lifted.append(self.store.action(row.action_id).report())
        return lifted

    def _expire(self, row: JournalRow, now: datetime) -> None:
        try:
            self._write_path.undo(row.action_id, AEGIS, outcome="expired")
        except ConnectorError as error:
            self.store.set_expiry(row.action_id, now + RETRY_EXPIRY, AEGIS, f"not lifted yet: {error}")

    # within

    def _resume(self, row: JournalRow, *, approved: bool) -> ActionReport:
        """Wake the action's own subgraph; the others go on waiting. The journal decides what is done."""
        from aegis_agents.checkpoints import CheckpointError, checkpoints_told

        try:
            with checkpoints_told():
                self._wake(row, approved=approved)
        except CheckpointError:
            pass  # what it could not keep is in the journal
        finally:
            # The checkpoint was lost, was never written or can't be read; the journal was answered all the same.
            if self.store.action(row.action_id).state == "approved":
                self._do(row.action_id)
            self._refresh(row.incident_id)
        return self.store.action(row.action_id).report()

    def _do(self, action_id: str) -> None:
        try:
            self._write_path.execute(action_id)
        except (AlreadyDecided, TransientConnectorError):
            pass  # begun by somebody else; or another's undo of the same is in the way: recover does it then

    def _wake(self, row: JournalRow, *, approved: bool) -> None:
        from langgraph.types import Command

        config = {"configurable": {"thread_id": row.incident_id}}
        with self._resuming:  # two resumes of one thread at once would overwrite each other's checkpoint
            for task in self.graph.get_state(config).tasks:
                for waiting in task.interrupts:
                    if waiting.value.get("action_id") == row.action_id:
                        answer = {waiting.id: {"action_id": row.action_id, "approved": approved}}
                        self.graph.invoke(Command(resume=answer), config, context=self.context, durability="exit")

    def _refresh(self, incident_id: str) -> None:
        """Bring the kept case up to what the journal says; in one transaction, or another's news could be lost."""
        with self.store.transaction():
            case = self.store.case(incident_id)
            if case is not None:
                reports = tuple(r.report() for r in self.store.actions(incident_id))
                self.store.finish(incident_id, case.model_copy(update={"actions": reports}))


def _said_why(reason: str) -> str:
    """A reason as it is kept. Raises InputError for one that is too long."""
    if len(reason) > MOST_REASON:
        raise InputError(f"has {len(reason)} characters", field="reason", fix=f"at most {MOST_REASON}")
    return reason.encode("utf-8", "backslashreplace").decode()  # a command line can bring what is no valid Unicode
