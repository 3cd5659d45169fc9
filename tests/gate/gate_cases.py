"""Small incidents and requests for the gate's tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aegis_agents.gate import Gate, GateRequest, Usage
from aegis_agents.gate.assets import AssetFacts, AssetRegister
from aegis_agents.gate.autonomy import AutonomyMatrix
from aegis_agents.gate.budget import BudgetLimits
from aegis_agents.gate.cedar import CedarPolicy
from aegis_agents.gate.context import GateContext, GateSettings
from aegis_agents.gate.cost_model import CostModel
from aegis_agents.gate.gate import looks_like_technique
from aegis_agents.gate.request import class_of
from aegis_agents.gate.risk import RiskTable
from aegis_agents.records import (
    CATALOGUE,
    ActionSpec,
    Assessment,
    Claim,
    Conclusion,
    Entity,
    Fact,
    FactEvidence,
    Incident,
    ProposedAction,
    Sentence,
    Target,
    Verdict,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

FACTS = (
    Fact(id="f1", path="device.hostname", value="web-01", trust="product"),
    Fact(id="f2", path="process.commandLine", value="powershell -nop -w hidden -c whoami", trust="external"),
    Fact(id="f3", path="network.remoteIp", value="203.0.113.9", trust="product"),
    Fact(id="f4", path="user.name", value="j.doe", trust="product"),
    Fact(id="f5", path="dns.question", value="bad.example.net", trust="product"),
    Fact(id="f6", path="process.pid", value="4711", trust="product"),
    Fact(id="f7", path="email.to", value="x@attacker.example", trust="external"),
)
ENTITIES = (
    Entity(kind="host", value="web-01", role="subject", facts=("f1",)),
    Entity(kind="ip", value="203.0.113.9", role="peer", facts=("f3",)),
    Entity(kind="user", value="j.doe", role="actor", facts=("f4",)),
    Entity(kind="domain", value="bad.example.net", role="peer", facts=("f5",)),
    Entity(kind="process", value="4711", role="observed", facts=("f6",)),
    Entity(kind="email", value="x@attacker.example", role="observed", facts=("f7",)),
    Entity(kind="alert", value="native-1", role="observed", facts=()),
)
TARGETS = {
    "isolate_host": ("host", "web-01"),
    "disable_user": ("user", "j.doe"),
    "revoke_sessions": ("user", "j.doe"),
    "kill_process": ("process", "4711"),
    "block_ip": ("ip", "203.0.113.9"),
    "block_domain": ("domain", "bad.example.net"),
    "snapshot_disk": ("host", "web-01"),
    "add_watchlist": ("host", "web-01"),
    "open_ticket": ("alert", "native-1"),
    "notify_owner": ("user", "j.doe"),
    "close_alert": ("alert", "native-1"),
}

SPECS: dict[str, ActionSpec] = {str(name): spec for name, spec in CATALOGUE.items()}

OPEN: dict[str, Any] = {
    "autonomy": "act",
    "matrix": {
        name: {"standard": "act", "important": "act", "protected": "act"}
        for name in ("record", "contain", "destroy", "close_alert")
    },
    "risk": {"contain": 0.9, "destroy": 0.9, "close_alert": 0.9},
}
"""Settings that allow all that settings can allow."""


def incident(extra_facts: tuple[Fact, ...] = (), extra_entities: tuple[Entity, ...] = ()) -> Incident:
    return Incident(
        id="inc-1",
        source="test",
        native_id="native-1",
        title="Something happened",
        observed_at=NOW,
        claim=Claim(),
        facts=(*FACTS, *extra_facts),
        entities=(*ENTITIES, *extra_entities),
        digest="0" * 64,
    )


REST: dict[Verdict, Verdict] = {
    "true_positive": "false_positive", "benign_positive": "false_positive", "false_positive": "benign_positive",
    "undetermined": "true_positive",
}  # fmt: skip
"""Where the mass goes that a verdict of the tests leaves: not to an attack, where it was called harmless."""


def assessment(verdict: Verdict = "true_positive", confidence: float = 0.99) -> Assessment:
    return Assessment(
        verdict=verdict,
        confidence=confidence,
        probabilities={verdict: confidence, REST[verdict]: 1 - confidence},
        severity="high",
        weights=(),
        techniques=(),
        model="test",
        facts_read=7,
        facts_skipped=0,
    )


def conclusion(verdict: Verdict = "true_positive", confidence: float = 0.99, **changes: Any) -> Conclusion:
    values: dict[str, Any] = {
        "verdict": verdict,
        "confidence": confidence,
        "severity": "high",
        "techniques": ("T1059.001",),
        "evidence": (FactEvidence(id="f1", path="device.hostname", value="web-01", weight=0.4, trust="product"),),
        "sentences": (Sentence(text="A shell ran on web-01.", cites=("f1", "f2")),),
    }
    return Conclusion(**(values | changes))


def target_of(kind: str, value: str) -> Target:
    return Target.model_validate({"kind": kind, "value": value})


def action(name: str, target: tuple[str, str] | None = None, **changes: Any) -> ProposedAction:
    kind, value = target or TARGETS[name]
    values: dict[str, Any] = {
        "action_id": f"inc-1/{name}",
        "action": name,
        "target": target_of(kind, value),
        "reason": "it fits",
        "cites": ("f1",),
    }
    return ProposedAction(**(values | changes))


def request(name: str = "isolate_host", verdict: Verdict = "true_positive", **changes: Any) -> GateRequest:
    target = changes.pop("target", None)
    confidence = changes.pop("confidence", 0.99)
    values: dict[str, Any] = {
        "incident": incident(),
        "assessment": assessment(verdict, confidence),
        "conclusion": conclusion(verdict, confidence),
        "action": action(name, target),
        "now": NOW,
        "usage": Usage(),
        "reassess": lambda masked: assessment(verdict, confidence),
    }
    return GateRequest(**(values | changes))


def open_gate(**changes: Any) -> Gate:
    return Gate(**(OPEN | changes))


def context(name: str = "isolate_host", asset: AssetFacts | None = None, **changes: Any) -> GateContext:
    """A context for one step alone."""
    policy: str | Path | None = changes.pop("policy", None)
    values: dict[str, Any] = {
        "autonomy": "act",
        "matrix": AutonomyMatrix.load(OPEN["matrix"]),
        "risk": RiskTable.load(OPEN["risk"]),
        "costs": CostModel.load(),
        "budgets": BudgetLimits(),
        "policy": CedarPolicy.load(policy),
        "kill_switch": None,
        "is_technique": looks_like_technique,
        "counterfactual_groups": 24,
    }
    spec = SPECS[name]
    return GateContext(GateSettings(**(values | changes)), spec, class_of(spec), asset or AssetFacts())


def asset_of(target: tuple[str, str], settings: dict[str, Any] | None = None, **changes: Any) -> AssetFacts:
    """What the register says of a target of the test incident."""
    return AssetRegister.load(settings).look_up(incident(**changes), target_of(*target), NOW)
