"""What every step of the gate can see beside the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.autonomy import AutonomyMatrix
from aegis_agents.gate.budget import BudgetLimits
from aegis_agents.gate.cedar import CedarPolicy
from aegis_agents.gate.cost_model import CostModel
from aegis_agents.gate.request import ActionClass, GateRequest, Ruling, Verb
from aegis_agents.gate.risk import RiskTable
from aegis_agents.records import ActionSpec, Autonomy


@dataclass(frozen=True)
class GateSettings:
    """The gate's settings, checked once when it is built."""

    autonomy: Autonomy
    matrix: AutonomyMatrix
    risk: RiskTable
    costs: CostModel
    budgets: BudgetLimits
    policy: CedarPolicy
    kill_switch: Path | None
    is_technique: Callable[[str], bool]
    counterfactual_groups: int


@dataclass(frozen=True)
class GateContext:
    """One decision: the action's specification, its target's asset facts, and what is allowed so far."""

    settings: GateSettings
    spec: ActionSpec
    action_class: ActionClass
    asset: AssetFacts
    so_far: Verb = "execute"


Step = Callable[[GateRequest, GateContext], Ruling]
"""Every step has this form."""
