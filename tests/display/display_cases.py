"""Cases and incidents as JSON to draw: an ordinary one, and ones with any number of parts or any text in them."""

from __future__ import annotations

import copy
from typing import Any

from aegis_agents.records import Case, Incident

INCIDENT: dict[str, Any] = {
    "id": "inc-1", "source": "crowdstrike", "native_id": "n-1", "title": "Script host made a network connection",
    "observed_at": "2026-03-12T02:41:09Z", "tenant": "default", "digest": "0" * 64, "notes": [],
    "claim": {"severity": "Low", "confidence": None, "verdict": None, "techniques": []},
    "facts": [
        {"id": "f1", "path": "timestamp", "value": "2026-03-12T02:41:09Z", "trust": "product", "derived": False, "inputs": []},
        {"id": "f2", "path": "net[0].first_seen", "value": "2026-03-12T02:40:58Z", "trust": "product", "derived": False, "inputs": []},
        {"id": "f3", "path": "cmdline", "value": "rundll32.exe x.dat,Start", "trust": "external", "derived": False, "inputs": []},
        {"id": "f4", "path": "net[0].address", "value": "203.0.113.91", "trust": "product", "derived": False, "inputs": []},
        {"id": "f5", "path": "device.hostname", "value": "ALD-LT-0442", "trust": "product", "derived": False, "inputs": []},
        {"id": "d1", "path": "derived.date_to_event", "value": "first seen within an hour before the event", "trust": "product", "derived": True, "inputs": ["f2", "f1"]},
    ],
    "entities": [
        {"kind": "alert", "value": "n-1", "role": "subject", "facts": []},
        {"kind": "host", "value": "ALD-LT-0442", "role": "subject", "facts": ["f5"]},
        {"kind": "ip", "value": "203.0.113.91", "role": "peer", "facts": ["f4"]},
    ],
}  # fmt: skip

CASE: dict[str, Any] = {
    "incident_id": "inc-1", "source": "crowdstrike", "native_id": "n-1", "title": INCIDENT["title"],
    "verdict": "true_positive", "confidence": 0.938, "severity": "high", "techniques": ["T1219", "T1204.002"],
    "evidence": [
        {"kind": "fact", "id": "f3", "path": "cmdline", "value": "rundll32.exe x.dat,Start", "weight": 0.78, "trust": "external"},
        {"kind": "fact", "id": "f4", "path": "net[0].address", "value": "203.0.113.91", "weight": -0.34, "trust": "product"},
        {"kind": "passage", "id": "T1219", "source": "technique", "title": "Remote Access Tools", "snapshot": "ddaa73a2", "score": 0.34, "feed": "shipped", "trust": 1.0, "tlp": "clear"},
    ],
    "actions": [
        {"action_id": "act-1", "action": "isolate_host", "target": {"kind": "host", "value": "ALD-LT-0442"}, "outcome": "awaiting_approval", "rule": "autonomy.ask", "reason": "the cell says ask", "reversible": True, "by": None, "detail": ""},
        {"action_id": "act-2", "action": "open_ticket", "target": {"kind": "alert", "value": "n-1"}, "outcome": "executed", "rule": "gate.all_clear", "reason": "every step allows it", "reversible": True, "by": None, "detail": "t.json"},
    ],
    "summary": "This is judged an attack. [f3] It says “run [f4] now”. [f3, T1219]",
    "probabilities": {"true_positive": 0.938, "benign_positive": 0.007, "false_positive": 0.005, "undetermined": 0.05},
    "versions": {"model": "m@1", "intel": "ddaa73a2"}, "notes": ["a note"], "timing_ms": 4.2,
}  # fmt: skip


def sized(facts: int, entities: int, actions: int = 4) -> tuple[dict[str, Any], dict[str, Any]]:
    """A case and its incident with so many parts, with long and wide values."""
    case, incident = copy.deepcopy(CASE), copy.deepcopy(INCIDENT)
    kinds = ("host", "user", "ip", "domain", "url", "hash", "email", "file", "process", "cloud_account")
    case["evidence"] = [
        {"kind": "fact", "id": f"f{i}", "path": f"evidence[{i}].process.parent.command_line_{i}",
         "value": "powershell -enc " + "SQBFAFgA" * (i % 9) + "日本語" * (i % 3), "weight": (-1) ** i * (1 - i / (facts + 1)),
         "trust": ("external", "product", "organization")[i % 3]}
        for i in range(facts)
    ]  # fmt: skip
    incident["facts"] += [
        {"id": f"t{i}", "path": f"e[{i}].time", "value": f"2026-03-{i % 28 + 1:02d}T0{i % 9}:11:12Z", "trust": "product"}
        for i in range(facts // 2)
    ]  # fmt: skip
    incident["entities"] = [
        {"kind": kinds[i % 10], "value": f"entity-{i}." + "sub." * (i % 12) + "example", "facts": [f"f{i}", f"f{i // 2}"],
         "role": ("actor", "subject", "peer", "observed")[i % 4]}
        for i in range(entities)
    ]  # fmt: skip
    targets = incident["entities"] or [{"kind": "alert", "value": "n-1"}]
    case["actions"] = [
        CASE["actions"][i % 2] | {"action_id": f"a{i}", "target": {k: targets[i % len(targets)][k] for k in ("kind", "value")}}
        for i in range(actions)
    ]  # fmt: skip
    return case, incident


def hostile(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ordinary case with this text in every field that could hold one."""

    def planted(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: planted(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [planted(v, key) for v in value]
        return text if isinstance(value, str) and key not in ("kind", "observed_at") else value

    return planted(CASE), planted(INCIDENT)


def as_record() -> Case:
    """The ordinary case as a record, its incident within."""
    return Case(**CASE, incident=Incident(**INCIDENT))
