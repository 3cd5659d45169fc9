"""`aegis simulate`: what would have run under other rules, and how that differs from what did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aegis_agents.assurance.replay import Replayed, Unreplayed
from aegis_agents.gate.request import VERBS
from aegis_agents.records import Verdict

Truth = dict[str, Verdict]
"""Incident id → what it really was, as a person said."""

Direction = Literal["more", "less", "same", "other_rule"]
"""Whether the new rules allow more, less or the same; other_rule: the same, for another reason."""

_HARMLESS: Final = ("benign_positive", "false_positive")


@dataclass(frozen=True)
class Change:
    """One decision that differs."""

    replayed: Replayed
    direction: Direction
    truth: Verdict | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values."""
        r = self.replayed
        return {
            "at": r.at.isoformat(), "incident_id": r.incident.id, "title": r.incident.title,
            "action_id": r.proposal.action_id, "action": r.proposal.action, "target": r.proposal.target.model_dump(),
            "before": {"verb": r.before.verb, "rule": r.before.rule, "reason": r.before.reason},
            "after": {"verb": r.after.verb, "rule": r.after.rule, "reason": r.after.reason},
            "direction": self.direction, "outcome": r.outcome, "truth": self.truth,
            "would_be_wrong": is_wrong(r, self.truth),
        }  # fmt: skip


@dataclass
class Simulation:
    """What a replay showed. `wrong` are decisions to act alone that a person's verdict contradicts."""

    decisions: int = 0
    incidents: set[str] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)
    left_out: list[Unreplayed] = field(default_factory=list)
    verbs_before: Counter[str] = field(default_factory=Counter)
    verbs_after: Counter[str] = field(default_factory=Counter)
    known_before: int = 0
    known_after: int = 0
    wrong_before: int = 0
    wrong_after: int = 0
    other_model: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values."""
        return {
            "decisions": self.decisions, "incidents": len(self.incidents),
            "before": dict(self.verbs_before), "after": dict(self.verbs_after),
            "changed": Counter(change.direction for change in self.changes),
            "alone_with_known_verdict": {"before": self.known_before, "after": self.known_after},
            "alone_and_wrong": {"before": self.wrong_before, "after": self.wrong_after},
            "left_out": len(self.left_out), "decided_by_another_model": self.other_model,
            "changes": [change.to_dict() for change in self.changes],
        }  # fmt: skip


def is_wrong(replayed: Replayed, truth: Verdict | None) -> bool | None:
    """Whether acting alone would have been wrong by what a person said; None where nobody did, or nothing is at stake."""
    if truth is None or replayed.proposal.action in ("open_ticket", "notify_owner", "add_watchlist", "snapshot_disk"):
        return None
    return truth == "true_positive" if replayed.proposal.action == "close_alert" else truth in _HARMLESS


def summarise(replayed: Iterable[Replayed | Unreplayed], truth: Truth) -> Simulation:
    """Count a replay and keep what differs."""
    found = Simulation()
    for item in replayed:
        if isinstance(item, Unreplayed):
            found.left_out.append(item)
            continue
        found.decisions += 1
        found.incidents.add(item.incident.id)
        found.other_model += not item.same_model
        found.verbs_before[item.before.verb] += 1
        found.verbs_after[item.after.verb] += 1
        known = truth.get(item.incident.id)
        wrong = is_wrong(item, known)
        if wrong is not None:
            found.known_before += item.before.verb == "execute"
            found.known_after += item.after.verb == "execute"
            found.wrong_before += wrong and item.before.verb == "execute"
            found.wrong_after += wrong and item.after.verb == "execute"
        direction = _direction(item)
        if direction != "same":
            found.changes.append(Change(item, direction, known))
    return found


def _direction(item: Replayed) -> Direction:
    before, after = VERBS.index(item.before.verb), VERBS.index(item.after.verb)
    if before != after:
        return "more" if after > before else "less"
    return "same" if item.before.rule == item.after.rule else "other_rule"
