"""Replays decisions of the ledger through another gate: the same incidents at the same times, other rules.

Nothing is written and nothing is done. Budgets are counted as they would have been spent: by
what the other gate would have done, and by what people approved. What reviews had unlocked is known
for each moment, since the ledger holds the reviews too. The kill switch is taken as off.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from aegis_agents.agents.approval import BUDGET_WINDOW
from aegis_agents.agents.rebuild import rebuild_state
from aegis_agents.errors import InputError
from aegis_agents.gate import Gate, GateRequest, Usage
from aegis_agents.gate.earned.cells import NOTHING_EARNED, EarnedAutonomy
from aegis_agents.gate.request import ActionClass, class_of
from aegis_agents.model.reask import Reask
from aegis_agents.records import CATALOGUE, Decision, Incident, Outcome, ProposedAction
from aegis_agents.state import IncidentState

if TYPE_CHECKING:
    from aegis_agents.context import Context
    from aegis_agents.ledger import JournalRow, LedgerEntry

_PAGE = 1000

EarnedAt = Callable[[int, str, datetime], EarnedAutonomy]
"""What was earned when an entry of the ledger was written (its number), by which version of the model, at which time."""


@dataclass(frozen=True)
class Replayed:
    """One decision, as it was and as it would have been. `outcome` is what became of it in the end."""

    at: datetime
    incident: Incident
    proposal: ProposedAction
    before: Decision
    after: Decision
    outcome: Outcome
    same_model: bool
    """Whether the model that is asked now is the one that was asked then."""


@dataclass(frozen=True)
class Unreplayed:
    """A decision that can't be replayed, and why."""

    at: datetime
    incident_id: str | None
    reason: str


@dataclass(frozen=True)
class _Spent:
    at: datetime
    action_class: ActionClass
    tier: str
    groups: tuple[str, ...]
    target: str


class _Purse:
    """What budgets would have counted at each moment; decisions come in order of time, answers to them later."""

    def __init__(self) -> None:
        self._spent: list[_Spent] = []
        self._gone_wrong: list[tuple[datetime, str]] = []

    def usage(self, now: datetime) -> Usage:
        """As of `now`, not before the last."""
        start = now - BUDGET_WINDOW
        while self._spent and self._spent[0].at < start:
            del self._spent[0]
        while self._gone_wrong and self._gone_wrong[0][0] < start:
            del self._gone_wrong[0]
        spent = [item for item in self._spent if item.at <= now]
        by_class: dict[ActionClass, int] = {}
        by_tier: dict[str, int] = {}
        by_group: dict[str, int] = {}
        for item in spent:
            by_class[item.action_class] = by_class.get(item.action_class, 0) + 1
            if item.action_class in ("contain", "destroy"):
                by_tier[item.tier] = by_tier.get(item.tier, 0) + 1
                for group in item.groups:
                    by_group[group] = by_group.get(group, 0) + 1
        wrong = [state for at, state in self._gone_wrong if at <= now]
        return Usage(
            by_class=by_class,
            by_tier=by_tier,
            by_group=by_group,
            targets=frozenset(item.target for item in spent if item.action_class in ("contain", "destroy")),
            failed=wrong.count("failed"),
            undone=wrong.count("undone"),
        )

    def note(self, row: JournalRow | None, after: Decision, proposal: ProposedAction, at: datetime) -> None:
        """Count an action that would have run at once, or that a person let run later; one that failed used up nothing."""
        begun = row.begun_at if row is not None and row.by is not None else None
        if after.verb != "execute" and (after.verb != "ask" or begun is None):
            return
        target = f"{proposal.target.kind}:{proposal.target.value}"
        tier, groups = str(after.inputs.get("asset.tier", "")), str(after.inputs.get("asset.groups", ""))
        kind = class_of(CATALOGUE[proposal.action])
        if row is not None and row.state in ("failed", "undone") and kind in ("contain", "destroy"):
            insort(self._gone_wrong, (row.updated_at, row.state))
        if row is None or row.state != "failed":
            when = at if after.verb == "execute" or begun is None else begun
            insort(self._spent, _Spent(when, kind, tier, tuple(groups.split()), target), key=lambda item: item.at)


def replay(
    context: Context,
    gate: Gate,
    *,
    since: datetime,
    until: datetime | None = None,
    earned: EarnedAt = lambda seq, model, at: NOTHING_EARNED,
) -> Iterator[Replayed | Unreplayed]:
    """Every decision of the ledger from `since` on, through `gate`, in order.

    The verdict, its confidence and the evidence are those of the case; the model is asked again
    where the counterfactual check wants to know what it says without some facts. What was
    approved by a person then is decided here as if nobody had answered yet. `earned` says what reviews had
    unlocked; what the kill switch stopped is left out, since nobody can know how long it would have been on.
    """
    gate, purse, last = _without_switch(gate), _Purse(), 0
    state: IncidentState | str = ""
    of, left, reask = None, 1.0, None
    while batch := context.store.entries(after=last, limit=_PAGE, kind="action.decided"):
        for entry in batch:
            at = datetime.fromisoformat(entry.at).astimezone(UTC)
            if at < since - BUDGET_WINDOW or (until is not None and at >= until):
                continue  # an hour more than is told: what was done in it is used up of the budgets
            found = _decided(entry)
            if isinstance(found, str):
                if at >= since:
                    yield Unreplayed(at, entry.incident_id, found)
                continue
            proposal, before = found
            if of != (entry.incident_id or ""):
                of, left, state = entry.incident_id or "", 1.0, _state(context, entry.incident_id or "")
                reask = None if isinstance(state, str) else Reask(context.model, state["incident"])
            if isinstance(state, str):
                if at >= since:
                    yield Unreplayed(at, entry.incident_id, state)
                continue
            row = next((r for r in context.store.actions(of) if r.action_id == proposal.action_id), None)
            had = earned(entry.seq, before.versions.get("model", ""), at)
            after = gate.decide(_request(context, state, proposal, at, purse.usage(at), reask, had, left))
            purse.note(row, after, proposal, at)
            if after.verb == "execute":
                left = gate.settings.costs.left_after(left, proposal.action)
            if at < since:
                continue
            yield Replayed(
                at=at, incident=state["incident"], proposal=proposal, before=before, after=after,
                outcome=row.outcome if row else "unconfirmed",
                same_model=before.versions.get("model") == context.model.version,
            )  # fmt: skip
        last = batch[-1].seq


def _without_switch(gate: Gate) -> Gate:
    """The same gate, with its kill switch off: that it is engaged today says nothing of the days that are replayed."""
    found = copy(gate)
    found._settings = replace(gate.settings, kill_switch=None)
    return found


def _state(context: Context, incident_id: str) -> IncidentState | str:
    """The incident as it was decided, or why it can't be known."""
    try:
        return rebuild_state(context.store, context, incident_id)
    except InputError as error:
        return str(error)


def _decided(entry: LedgerEntry) -> tuple[ProposedAction, Decision] | str:
    """What the entry says was proposed and decided, or why it can't be known."""
    if not entry.body:
        return "its body was removed (retention)"
    try:
        proposal = ProposedAction.model_validate(entry.body["proposal"])
        decision = Decision.model_validate(entry.body["decision"])
    except (KeyError, ValidationError) as error:
        return f"entry {entry.seq} can't be read: {type(error).__name__}"
    return "the kill switch was engaged" if decision.rule == "kill_switch.engaged" else (proposal, decision)


def _request(
    context: Context, state: IncidentState, proposal: ProposedAction, at: datetime, usage: Usage, reask: Reask | None,
    earned: EarnedAutonomy, left: float,
) -> GateRequest:  # fmt: skip
    return GateRequest(
        incident=state["incident"],
        assessment=state["assessment"],
        conclusion=state["conclusion"],
        action=proposal,
        now=at,
        versions=context.versions,
        usage=usage,
        earned=earned,
        left=left,
        reassess=reask,
    )


def parse_since(text: str, now: datetime, field: str = "since") -> datetime:
    """A date, a time, or how long ago: "2026-11-01", "2026-11-01T08:00+01:00", "30d", "12h". Raises InputError.

    A date or time without a zone is UTC.
    """
    units = {"h": "hours", "d": "days", "w": "weeks"}
    text = text.strip()
    try:
        if text[-1:] in units and text[:-1].isdecimal():
            return now - timedelta(**{units[text[-1]]: int(text[:-1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is no time", field=field, fix="as in 2026-11-01, 30d or 12h") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
