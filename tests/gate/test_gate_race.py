"""Incidents that are decided at once share one budget."""

from __future__ import annotations

import threading
from pathlib import Path

from gate_machine import House, Told

from aegis_agents.gate.request import ACTION_CLASSES
from aegis_agents.gate.tiers import TIERS

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
