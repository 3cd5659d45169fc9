"""What the gate would have said of a decision, had its cell been earned."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

from aegis_agents.gate.autonomy import AutonomyMatrix
from aegis_agents.gate.earned.rule import THRESHOLDS
from aegis_agents.gate.gate import Gate
from aegis_agents.gate.request import ACTION_CLASSES, GateRequest
from aegis_agents.gate.risk import RiskTable
from aegis_agents.gate.tiers import TIERS


def acts_at(gate: Gate, request: GateRequest) -> float:
    """The highest of THRESHOLDS at which it would be carried out alone; 0 if at none.

    Every step of the gate has its say but those that hang on the moment (budget, kill switch) and on what
    was granted so far: only what would really have been done can show that doing it is right. The
    counterfactual check asks the model again, so this is no work for the hot path.
    """
    everything: dict[str, Any] = {name: dict.fromkeys(TIERS, "act") for name in ACTION_CLASSES}
    for threshold in THRESHOLDS:
        trial = copy(gate)
        trial._settings = replace(
            gate.settings,
            autonomy="act",
            matrix=AutonomyMatrix.load(everything),
            risk=RiskTable.load(dict.fromkeys(ACTION_CLASSES, threshold)),
            kill_switch=None,
        )
        if trial.decide(request).verb == "execute":
            return threshold
    return 0.0
