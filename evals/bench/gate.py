"""What the gate costs, counterfactual apart: `python -m evals.bench.gate`. Writes evals/reports/gate_speed.{json,md}.

Real alerts through the real reader and model, the actions that planning proposes for them, a gate with rules,
assets, windows and limits of an organisation's size, guardrails loaded. Each decision is timed whole; then each
step alone, so that it shows where the time goes. `requests()` and `gate()` serve other measurements too.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aegis_agents.agents.evidence import fact_evidence, write_summary
from aegis_agents.agents.planning import propose
from aegis_agents.agents.reasoning import named_techniques
from aegis_agents.gate import Gate, GateRequest, Usage
from aegis_agents.gate import gate as gate_module
from aegis_agents.gate.context import GateContext
from aegis_agents.gate.request import class_of
from aegis_agents.gate.tiers import TIERS
from aegis_agents.gate.validators import RAILS
from aegis_agents.model import FastModel, IncidentModel
from aegis_agents.records import CATALOGUE, Conclusion
from aegis_agents.sources import parse
from evals.bench.alerts import distinct

REPORTS = Path(__file__).parents[1] / "reports"
TARGET_MS = 4.0
_ALERTS, _WARM, _ROUNDS = 60, 20, 5
OWN_RULES = """
@id("own.no-vip-laptops")
forbid (principal, action in Aegis::Action::"contain", resource) when { resource.value like "vip-*" };
@id("own.no-night-blocks")
forbid (principal, action == Aegis::Action::"block_domain", resource) when { context.severity == "low" };
"""
ASSETS: dict[str, Any] = {
    "own_networks": ["198.51.100.0/24"],
    "own_domains": ["example.com", "*.example.com"],
    "groups": {
        "domain_controllers": {"hosts": ["dc-*", "*-dc*"], "ips": ["10.0.0.0/28"]},
        "payments": {"hosts": ["pay-*", "pos-*"]},
        "executives": {"users": [f"exec{n}" for n in range(40)]},
        "servers": {"tier": "important", "hosts": [f"srv-{n:03}" for n in range(200)]},
        "lab": {"tier": "standard", "hosts": ["lab-*"]},
    },
    "windows": [
        {
            "name": "patching",
            "kind": "maintenance",
            "days": ["sun"],
            "from": "02:00",
            "to": "05:00",
            "groups": ["servers"],
        },
        {
            "name": "year end",
            "kind": "freeze",
            "start": "2026-12-20T18:00:00+01:00",
            "end": "2027-01-07T06:00:00+01:00",
        },
    ],
}


def gate(folder: Path) -> Gate:
    """One that lets a sure containment run, with rules, assets and limits in it."""
    policy = folder / "own.cedar"
    policy.write_text(OWN_RULES, "utf-8")
    act = dict.fromkeys(TIERS, "act")
    return Gate(
        policy, autonomy="act", matrix={"contain": act, "destroy": act, "close_alert": act}, assets=ASSETS,
        risk={"contain": 0.5, "destroy": 0.5, "close_alert": 0.5}, kill_switch=folder / "KILL",
    )  # fmt: skip


def requests(model: IncidentModel, alerts: int = _ALERTS) -> list[GateRequest]:
    """One request for each action that is proposed for these alerts, without a model to ask again."""
    found = []
    for number in range(alerts):
        incident = parse(distinct(number))
        assessment = model.assess(incident)
        evidence = fact_evidence(incident, assessment)
        conclusion = Conclusion(
            verdict=assessment.verdict, confidence=assessment.confidence, severity=assessment.severity,
            techniques=named_techniques(assessment), evidence=evidence, sentences=write_summary(assessment, evidence, ()),
        )  # fmt: skip
        usage = Usage(by_class={"contain": 3}, by_tier={"standard": 3}, targets=frozenset({"host:a", "ip:b", "user:c"}))
        found += [
            GateRequest(
                incident=incident, assessment=assessment, conclusion=conclusion, action=action, now=datetime.now(UTC),
                versions={"model": model.version}, usage=usage,
            )
            for action in propose(incident, conclusion)
        ]  # fmt: skip
    return found


def _ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def spread(times: list[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds, and how many."""
    cut = statistics.quantiles(times, n=100)
    return {"p50": round(cut[49], 4), "p95": round(cut[94], 4), "p99": round(cut[98], 4), "n": len(times)}


def steps(asked: list[GateRequest], of: Gate) -> dict[str, dict[str, float]]:
    """Each step alone over the same requests, rails as guardrails' validators together and one by one as functions."""
    times: dict[str, list[float]] = defaultdict(list)
    for request in asked:
        spec = CATALOGUE[request.action.action]
        look = lambda r=request: of.assets.look_up(r.incident, r.action.target, r.now)  # noqa: E731
        times["asset look-up"].append(_ms(look))
        context = GateContext(of.settings, spec, class_of(spec), look())
        for name, step in gate_module._AFTER_RAILS.items():
            times[name].append(_ms(lambda step=step, r=request, c=context: step(r, c)))  # type: ignore[misc]
        times["rails, as guardrails validators"].append(_ms(lambda r=request, c=context: of._runner.run(r, c)))  # type: ignore[misc]
        for name, rail in RAILS.items():
            times[f"rail {name}"].append(_ms(lambda rail=rail, r=request, c=context: rail(r, c)))  # type: ignore[misc]
    return {name: spread(found) for name, found in times.items()}


def measure() -> dict[str, Any]:
    """All figures."""
    load = os.getloadavg()[0]
    asked = requests(FastModel(threads=1))
    contain = [r for r in asked if class_of(CATALOGUE[r.action.action]) != "record"]
    with tempfile.TemporaryDirectory() as folder:
        made = gate(Path(folder))
        first = _ms(lambda: made.decide(contain[0]))  # imports guardrails
        for request in asked[:_WARM]:
            made.decide(request)
        whole = [_ms(lambda r=r: made.decide(r)) for _ in range(_ROUNDS) for r in contain]  # type: ignore[misc]
        cold = []
        for request in contain:  # what an alert costs whose facts nobody saw before
            _forget()
            cold.append(_ms(lambda r=request: made.decide(r)))  # type: ignore[misc]
        return {
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": [load, os.getloadavg()[0]]},
            "actions": len(contain), "alerts": _ALERTS,
            "facts an incident, median": statistics.median(len(r.incident.facts) for r in contain),
            "target p50 ms": TARGET_MS, "whole decision": spread(whole),
            "whole decision, no fact seen before": spread(cold),
            "first decision of a process, ms": round(first, 1), "steps": steps(asked, made),
        }  # fmt: skip


def _forget() -> None:
    from aegis_agents.gate import asset_signs
    from aegis_agents.gate.injection import detect

    detect._find_cached.cache_clear()
    asset_signs.groups_in_text.cache_clear()
    asset_signs.groups_in_name.cache_clear()


def to_markdown(found: dict[str, Any]) -> str:
    """The tables for people."""
    whole, machine = found["whole decision"], found["machine"]
    held = "held" if whole["p50"] <= found["target p50 ms"] else "MISSED"
    lines = [
        "# Speed of the gate", "",
        f"`python -m evals.bench.gate`, counterfactual apart. {machine['cpus']} CPUs, Python {machine['python']}, load average "
        f"{machine['load'][0]:.1f} before and {machine['load'][1]:.1f} after. {found['actions']} proposed actions of "
        f"{found['alerts']} alerts, {found['facts an incident, median']:.0f} facts an incident (median).", "",
        f"Target: p50 under {found['target p50 ms']:g} ms: {held}. The first decision of a process takes "
        f"{found['first decision of a process, ms']:.0f} ms: it imports guardrails.", "",
        "| | p50 ms | p95 ms | p99 ms | n |", "|---|---|---|---|---|",
    ]  # fmt: skip
    rows = {name: found[name] for name in ("whole decision", "whole decision, no fact seen before")} | found["steps"]
    lines += [f"| {name} | {r['p50']:.3f} | {r['p95']:.3f} | {r['p99']:.3f} | {r['n']} |" for name, r in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write, print."""
    found = measure()
    (REPORTS / "gate_speed.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (REPORTS / "gate_speed.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))


if __name__ == "__main__":
    main()
