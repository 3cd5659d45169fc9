"""Alerts that are campaigns of their own, and evidence made up in a ledger."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from aegis_agents import Aegis
from aegis_agents.gate.earned.rule import EarnRule
from aegis_agents.records import Assessment, Incident
from tests.gate.earned_cases import Ledger
from tests.graph.conftest import ATTACK, FakeModel

WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "flint", "grove", "hazel", "ivory", "jade", "kelp", "larch", "maple",
    "north", "olive", "pearl", "quartz", "river",
)  # fmt: skip


class SteadyModel(FakeModel):
    """Its verdict hangs on nothing that could be masked."""

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        return super().assess(incident)


EARNING = {"earn": "act_undo"}


def alert(number: int, **more: Any) -> dict[str, Any]:
    """Alerts that are campaigns of their own: another rule, host and network each."""
    return ATTACK | {
        "event_id": f"a-{number}", "title": f"Beacon {WORDS[number % 18]} {WORDS[number // 18]}",
        "hostname": f"wks-{number:03}", "destination_ip": f"203.{number}.113.9",
    } | more  # fmt: skip


def action_id(aegis: Aegis, case: Any, name: str = "block_ip") -> str:
    return next(a.action_id for a in case.actions if a.action == name)


def evidence(aegis: Aegis, reviews: int, cell: str = "block_ip/standard") -> None:
    """So many right reviews of earlier days, a campaign each."""
    made = Ledger(EarnRule(earn="off"))
    for number in range(reviews):
        made.review(number, model="fake@1", cell=cell, action_id=f"past-{cell}-{number}", links=(f"past-{number}",))
    with aegis.store.transaction():
        for line in made.lines:
            aegis.store.append(line.kind, None, dict(line.body or {}))
