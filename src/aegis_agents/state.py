"""What flows along the graph: records only, no handles and no raw alert."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from aegis_agents.records import Assessment, Conclusion, Decision, Incident, Passage, ProposedAction, Receipt


def _both(left: tuple[Receipt, ...], right: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
    """Receipts of actions that ran beside each other; a later one for the same action replaces the earlier."""
    found = {r.action_id: r for r in (*left, *right)}
    return tuple(found.values())


def _notes(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*left, *right)))


class IncidentState(TypedDict, total=False):
    """The state of one incident; each agent returns what it adds."""

    incident: Incident
    assessment: Assessment
    passages: tuple[Passage, ...]
    conclusion: Conclusion
    proposals: tuple[ProposedAction, ...]
    decisions: tuple[Decision, ...]
    receipts: Annotated[tuple[Receipt, ...], _both]
    notes: Annotated[tuple[str, ...], _notes]


class ActionState(TypedDict, total=False):
    """The state of one action's own subgraph: wait, then respond."""

    incident: Incident
    proposal: ProposedAction
    decision: Decision
    approved: bool
    receipts: Annotated[tuple[Receipt, ...], _both]


class ActionResult(TypedDict, total=False):
    """What an action's subgraph gives back: its receipt and nothing else, since many may end in one step."""

    receipts: Annotated[tuple[Receipt, ...], _both]
