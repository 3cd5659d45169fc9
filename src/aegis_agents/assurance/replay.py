"""Replays decisions of the ledger through another gate: the same incidents at the same times, other rules.

Nothing is written and nothing is done. Budgets are counted as they would have been spent: by
what the other gate would have done, and by what people approved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from aegis_agents.agents.approval import BUDGET_WINDOW
from aegis_agents.agents.rebuild import rebuild_state
from aegis_agents.errors import InputError
from aegis_agents.gate import Gate, GateRequest, Usage
from aegis_agents.gate.request import ActionClass, class_of
from aegis_agents.records import CATALOGUE, Decision, Incident, Outcome, ProposedAction
from aegis_agents.state import IncidentState

if TYPE_CHECKING:
    from aegis_agents.context import Context
    from aegis_agents.ledger import JournalRow, LedgerEntry

_PAGE = 1000


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
    """What budgets would have counted at each moment."""

    def __init__(self) -> None:
        self._spent: deque[_Spent] = deque()
        self._gone_wrong: deque[tuple[datetime, str]] = deque()

    def usage(self, now: datetime) -> Usage:
        """As of `now`; decisions come in order of time."""
        start = now - BUDGET_WINDOW
        while self._spent and self._spent[0].at < start:
            self._spent.popleft()
        usage = Usage()
        by_class, by_tier, by_group = dict(usage.by_class), dict(usage.by_tier), dict(usage.by_group)
        for item in self._spent:
            by_class[item.action_class] = by_class.get(item.action_class, 0) + 1
            if item.action_class != "record":
                by_tier[item.tier] = by_tier.get(item.tier, 0) + 1
                for group in item.groups:
                    by_group[group] = by_group.get(group, 0) + 1
        wrong = [state for at, state in self._gone_wrong if start <= at <= now]
        return Usage(
            by_class=by_class,
            by_tier=by_tier,
            by_group=by_group,
            targets=frozenset(item.target for item in self._spent if item.action_class != "record"),
            failed=wrong.count("failed"),
            undone=wrong.count("undone"),
        )

    def note(self, row: JournalRow | None, after: Decision, proposal: ProposedAction, at: datetime) -> None:
        """Count an action that would have run, or that a person let run."""
        approved = row is not None and row.begun_at is not None and row.by is not None
        if after.verb == "execute" or (after.verb == "ask" and approved):
            target = f"{proposal.target.kind}:{proposal.target.value}"
            tier, groups = str(after.inputs.get("asset.tier", "")), str(after.inputs.get("asset.groups", ""))
            kind = class_of(CATALOGUE[proposal.action])
            self._spent.append(_Spent(at, kind, tier, tuple(groups.split()), target))
            if row is not None and row.state in ("failed", "undone") and kind != "record":
                self._gone_wrong.append((row.updated_at, row.state))


def replay(
    context: Context, gate: Gate, *, since: datetime, until: datetime | None = None
) -> Iterator[Replayed | Unreplayed]:
    """Every decision of the ledger from `since` on, through `gate`, in order.

    The verdict, its confidence and the evidence are those of the case; the model is asked again
    where the counterfactual check wants to know what it says without some facts. What was
    approved by a person then is decided here as if nobody had answered yet.
    """
    purse, last, cached = _Purse(), 0, ("", None)
    state: IncidentState | None = None
    while batch := context.store.entries(after=last, limit=_PAGE, kind="action.decided"):
        for entry in batch:
            at = datetime.fromisoformat(entry.at).astimezone(UTC)
            if at < since or (until is not None and at >= until):
                continue
            found = _decided(entry)
            if isinstance(found, str):
                yield Unreplayed(at, entry.incident_id, found)
                continue
            proposal, before = found
            if cached[0] != entry.incident_id:
                cached = (entry.incident_id or "", None)
                try:
                    state = rebuild_state(context.store, context, cached[0])
                except InputError as error:
                    state = None
                    yield Unreplayed(at, entry.incident_id, str(error))
            if state is None:
                continue
            row = next((r for r in context.store.actions(cached[0]) if r.action_id == proposal.action_id), None)
            after = gate.decide(_request(context, state, proposal, at, purse.usage(at)))
            purse.note(row, after, proposal, at)
            yield Replayed(
                at=at, incident=state["incident"], proposal=proposal, before=before, after=after,
                outcome=row.outcome if row else "unconfirmed",
                same_model=before.versions.get("model") == context.model.version,
            )  # fmt: skip
        last = batch[-1].seq


def _decided(entry: LedgerEntry) -> tuple[ProposedAction, Decision] | str:
    """What the entry says was proposed and decided, or why it can't be known."""
    if not entry.body:
        return "its body was removed (retention)"
    return ProposedAction.model_validate(entry.body["proposal"]), Decision.model_validate(entry.body["decision"])


def _request(
    context: Context, state: IncidentState, proposal: ProposedAction, at: datetime, usage: Usage
) -> GateRequest:
    incident = state["incident"]
    return GateRequest(
        incident=incident,
        assessment=state["assessment"],
        conclusion=state["conclusion"],
        action=proposal,
        now=at,
        versions=context.versions,
        usage=usage,
        reassess=lambda masked: context.model.assess(incident, masked=masked),
    )


def parse_since(text: str, now: datetime) -> datetime:
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
        raise InputError(f"{text!r} is no time", field="since", fix="as in 2026-11-01, 30d or 12h") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
