"""The gate: may it be done. Read in this order: request, gate, then one step a module."""

from aegis_agents.gate.assets import AssetRegister
from aegis_agents.gate.budget import BudgetLimits
from aegis_agents.gate.cost_model import CostModel
from aegis_agents.gate.cost_order import Pricer
from aegis_agents.gate.gate import Gate
from aegis_agents.gate.injection import Sign, find_signs
from aegis_agents.gate.redact import redact, secrets_in
from aegis_agents.gate.request import GateRequest, Ruling, Usage
from aegis_agents.gate.risk import NEVER, threshold_from_scores, upper_bound

__all__ = [
    "NEVER", "AssetRegister", "BudgetLimits", "CostModel", "Gate", "GateRequest", "Pricer", "Ruling", "Sign", "Usage",
    "find_signs", "redact", "secrets_in", "threshold_from_scores", "upper_bound",
]  # fmt: skip
