"""What changes while an incident is decided: budgets that others spend, and what an error takes back."""

from __future__ import annotations

import threading
from collections.abc import Set
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from gate_machine import House, Told

from aegis_agents.gate.earned.cells import EarnedAutonomy, EarnedCell
from aegis_agents.gate.request import ACTION_CLASSES
from aegis_agents.gate.tiers import TIERS
from aegis_agents.records import Assessment, Incident

ACT = {name: dict.fromkeys(TIERS, "act") for name in ACTION_CLASSES}
BUDGETS = {"actions_per_hour": 4, "blast_radius": 99, "per_sort": {"hosts": 99, "accounts": 99, "addresses": 99}}


def test_many_at_once_do_not_all_take_the_last(tmp_path: Path) -> None:
    risk = dict.fromkeys(("contain", "destroy", "close_alert"), 0.5)
    house = House(tmp_path, {"autonomy": "act", "matrix": ACT, "risk": risk, "budgets": BUDGETS})
    alerts = [
        Told("true_positive", 0.99, f"web-{n}", f"u{n}", f"203.0.113.{n}", external=False, flips=False)
        for n in range(12)
    ]
    with house.clock():
        threads = [threading.Thread(target=house.take_in, args=(told, ()), kwargs={"crash": ""}) for told in alerts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert house.world.broken == []
    assert len(house.world.acted) == BUDGETS["actions_per_hour"]
    house.store.close()


ATTACK = Told("true_positive", 0.99, "web-01", "ann.lee", "203.0.113.7", external=False, flips=False)


def test_what_was_earned_and_lost_while_deciding_is_not_used(tmp_path: Path) -> None:
    """An error demotes at once: also where the decision was made a moment before, and not yet written."""
    house = House(tmp_path, {"autonomy": "act"})
    cell = EarnedCell(cell="isolate_host/standard", level="act", threshold=0.9, evidence=7)
    asked: list[datetime] = []

    def earned(when: datetime) -> EarnedAutonomy:
        asked.append(when)
        return EarnedAutonomy(cells={cell.cell: cell} if len(asked) == 1 else {})

    house._context = replace(house.context, earned=earned)
    with house.clock():
        house.take_in(ATTACK, (), crash="")
    rows = [r for i in house.incidents for r in house.store.actions(i) if r.proposal.action == "isolate_host"]
    assert [(r.state, r.decision.rule) for r in rows] == [("awaiting", "autonomy.ask")]
    assert house.world.acted == []
    house.store.close()


def test_what_was_earned_and_kept_is_decided_once(tmp_path: Path) -> None:
    house = House(tmp_path, {"autonomy": "act"})
    cell = EarnedCell(cell="isolate_host/standard", level="act", threshold=0.9, evidence=7)
    house._context = replace(house.context, earned=lambda _: EarnedAutonomy(cells={cell.cell: cell}))
    with house.clock():
        house.take_in(ATTACK, (), crash="")
    assert len(house.world.acted) == 1
    house.store.close()


def test_the_model_is_asked_once_for_each_mask_of_an_incident_however_many_actions(tmp_path: Path) -> None:
    risk = dict.fromkeys(("contain", "destroy", "close_alert"), 0.5)
    house = House(tmp_path, {"autonomy": "act", "matrix": ACT, "risk": risk})
    masks: list[frozenset[str]] = []
    told = house.model.assess

    def assess(incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        if masked:
            masks.append(frozenset(masked))
        return told(incident, masked=masked)

    house.model.assess = assess  # type: ignore[method-assign]
    with house.clock():
        house.take_in(ATTACK, (), crash="")
    assert len(house.world.acted) >= 3  # the host, the user and the address were each decided about
    assert len(masks) == len(set(masks)) > 0
    house.store.close()
