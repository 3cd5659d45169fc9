"""What people ask of Aegis: which cases there are, why, and for actions that it did not propose itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from aegis_agents.answering import MOST_REASON
from aegis_agents.errors import InputError
from aegis_agents.identity import Token
from aegis_agents.once import opened_once
from aegis_agents.records import ActionReport, Case, Incident
from aegis_agents.retargeting import retarget
from aegis_agents.reviewing import Reviewing

if TYPE_CHECKING:
    from aegis_agents.assistant import Answer, Assistant, Event
    from aegis_agents.ledger.queue import QueuePage, QueueState
    from aegis_agents.records import Verdict
    from aegis_agents.supposing import Replayed, WhatIf
    from aegis_agents.taking_back import UndoneSince


class Asking(Reviewing):
    """The part of Aegis that answers questions and takes wishes. A wish waits for a person like any other action."""

    @opened_once
    def assistant(self) -> Assistant:
        """What answers questions; opened with the first one."""
        from aegis_agents.assistant import Assistant

        kept = self.settings.home / "assistant"
        return Assistant(
            self.context, autonomy=self.autonomy_in_force, standings=self.standings, cache=kept, tenant=self.settings.tenant
        )  # fmt: skip

    def ask(self, question: str, case: str | Case | None = None, *, thread: str | None = None) -> Answer:
        """Answer a question about a case, the queue or intelligence; every statement of fact cites.

        `case` (or its id) is the one that the question is about, where it names none; questions with the same
        `thread` are a conversation. Nothing is done: a wish becomes a proposal in the answer, which `propose` puts
        before the gate. Raises InputError for a question that is empty or longer than 2,000 characters.
        """
        return self.assistant.ask(question, case, thread=thread)

    def ask_stream(
        self, question: str, case: str | Case | None = None, *, thread: str | None = None
    ) -> Iterator[Event]:
        """`ask`, as it is found: events with words ("token") and what they rest on ("cite"), at the end the "answer"."""
        return self.assistant.ask_stream(question, case, thread=thread)

    def cases(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        verdict: Verdict | None = None,
        state: QueueState | None = None,
    ) -> QueuePage:
        """A page of the queue, the newest first: at most `limit` (1 to 500) incidents, after the page before's `next`.

        `state` is "waiting" for those with an action that waits for a person, "open" for those not decided yet, "decided"
        for the others. Raises InputError.
        """
        return self.store.queue(limit=limit, after=after, verdict=verdict, state=state)

    def what_if(self, case: str | Case | Incident, changes: Mapping[str, str | None]) -> WhatIf:
        """Judge a case as if facts had been others: by path or id of the fact, its new value, or None to leave it out.

        Answers verdict, techniques and actions before and after. Nothing is kept or done. Raises InputError.
        """
        from aegis_agents.supposing import what_if

        return what_if(self, case, changes)

    def replay(self, case: str | Case) -> Replayed:
        """How a case came to be, from the ledger, and how it would be decided now. Nothing is kept or done."""
        from aegis_agents.supposing import replay

        return replay(self, case)

    def propose(
        self,
        incident_id: str,
        action: str,
        kind: str,
        value: str,
        *,
        reason: str = "",
        by: str | None = None,
        token: Token = None,
    ) -> ActionReport:
        """Put an action that a person wishes before the gate; whatever the autonomy, it waits for an answer.

        `kind` and `value` name an entity of the incident. Needs the role analyst. Raises InputError for what is no
        action or no target of it, ActionError where it is under way already, IdentityError.
        """
        from aegis_agents.assistant import propose

        row = propose(self.context, incident_id, action, kind, value, self._who("analyst", by, token), reason)
        self._refresh(incident_id)
        return row.report()

    def retarget(
        self, action_id: str, kind: str, value: str, *, reason: str = "", by: str | None = None, token: Token = None
    ) -> ActionReport:
        """Aim a waiting action at another entity of its incident; answers the new action, which waits in its place.

        Needs the role approver. Raises UnknownAction, AlreadyDecided, InputError, ActionError (see `retargeting`).
        """
        if len(reason) > MOST_REASON:
            raise InputError(f"has {len(reason)} characters", field="reason", fix=f"at most {MOST_REASON}")
        self._not_in_shadow("aimed elsewhere")
        who = self._who("approver", by, token)
        old = self.store.action(action_id)
        new = retarget(self.graph, self.context, action_id, kind, value, who, reason)
        self._resume(old, approved=False)
        return new.report()

    def undo_since(
        self, since: datetime, *, by_aegis_only: bool = False, dry_run: bool = False, reason: str = "",
        by: str | None = None, token: Token = None,
    ) -> UndoneSince:  # fmt: skip
        """Take back everything that was begun at `since` or later, newest first; see `taking_back.undo_since`."""
        from aegis_agents.taking_back import undo_since

        return undo_since(self, since, by_aegis_only=by_aegis_only, dry_run=dry_run, reason=reason, by=by, token=token)
