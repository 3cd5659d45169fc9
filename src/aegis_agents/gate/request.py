"""What the gate is asked, and what one of its steps answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from aegis_agents.gate.caution import NO_CAUTION, Caution
from aegis_agents.gate.earned.cells import NOTHING_EARNED, EarnedAutonomy
from aegis_agents.gate.spelling import plain
from aegis_agents.records import ActionSpec, Assessment, Conclusion, Incident, ProposedAction
from aegis_agents.records.base import Record

Verb = Literal["refuse", "recommend", "ask", "execute"]
VERBS: Final[tuple[Verb, ...]] = ("refuse", "recommend", "ask", "execute")
"""From least to most allowed."""

ActionClass = Literal["record", "contain", "destroy", "close_alert"]
ACTION_CLASSES: Final[tuple[ActionClass, ...]] = ("record", "contain", "destroy", "close_alert")
"""An action's effect, with closing an alert apart: it touches nothing, and hides an attack if it is wrong."""

Number = str | int | float | bool | None


def lowest(verbs: Iterable[Verb]) -> Verb:
    """The least that any of them allows; "refuse" when there is none."""
    return min(verbs, key=VERBS.index, default="refuse")


def class_of(spec: ActionSpec) -> ActionClass:
    """The class that autonomy, risk and budgets are counted by."""
    if spec.name == "close_alert":
        return "close_alert"
    if spec.effect in ("record", "destroy"):
        return "record" if spec.effect == "record" else "destroy"
    return "contain"


@dataclass(frozen=True, slots=True)
class Ruling:
    """One step's answer: the most it allows, and why.

    `approvals` is how many distinct persons can lift an "ask" together; nothing
    lifts "recommend" or "refuse". `numbers` is what the step looked at.
    """

    ceiling: Verb
    rule: str
    reason: str
    approvals: int = 1
    numbers: Mapping[str, Number] = field(default_factory=dict)


def allow(rule: str, **numbers: Number) -> Ruling:
    """The ruling of a step that has nothing against it."""
    return Ruling("execute", rule, "nothing against it", numbers=numbers)


class Usage(Record):
    """What was done in the last hour, as the journal knows it.

    `by_class` counts executed actions per ActionClass, closed alerts apart from records; `by_tier`
    counts contain and destroy actions per asset tier, `by_group` the same per asset group; `targets`
    are the distinct targets that they touched ("host:web-01"); `failed` and `undone` count actions that
    ended so.
    """

    by_class: dict[ActionClass, int] = Field(default_factory=dict)
    by_tier: dict[str, int] = Field(default_factory=dict)
    by_group: dict[str, int] = Field(default_factory=dict)
    targets: frozenset[str] = frozenset()
    failed: int = 0
    undone: int = 0


class GateRequest(Record):
    """One proposed action, with all that the gate may look at.

    `now` is an aware time (naive is an error); `usage` None means that the journal could not say,
    and a person decides; `earned` is what reviewed decisions have unlocked, `caution` what fell back; `left` is the share of the
    attack, 0..1, that earlier actions of the incident leave; `reassess` asks the fast model again with the
    given facts masked; `approved_by` names the authenticated persons who said yes already.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    incident: Incident
    assessment: Assessment
    conclusion: Conclusion
    action: ProposedAction
    now: AwareDatetime
    versions: dict[str, str] = Field(default_factory=dict)
    usage: Usage | None = None
    earned: EarnedAutonomy = NOTHING_EARNED
    caution: Caution = NO_CAUTION
    left: float = Field(default=1.0, ge=0, le=1)
    reassess: Callable[[frozenset[str]], Assessment] | None = None
    approved_by: tuple[str, ...] = ()

    @property
    def approvals(self) -> int:
        """How many distinct persons approved ("Alice" and "alice " are one)."""
        return len({plain(name) for name in self.approved_by} - {""})

    @property
    def target_key(self) -> str:
        """The target as budgets count it: "kind:value"."""
        return f"{self.action.target.kind}:{self.action.target.value}"
