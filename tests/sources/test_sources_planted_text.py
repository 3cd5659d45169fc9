"""Text planted into any field of any format: still an Incident, and nothing but addresses as addresses."""

from __future__ import annotations

import copy
import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.agents.planning import propose
from aegis_agents.records import Conclusion
from aegis_agents.sources import parse

EXAMPLES = [json.loads(line) for line in (Path(__file__).parent / "examples.jsonl").read_text("utf-8").splitlines()]
ATTACK = Conclusion(
    verdict="true_positive", confidence=0.9, severity="high", techniques=(), evidence=(), sentences=()
)  # every kind of target is proposed


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if isinstance(value, str):
            yield (*path, key)
        yield from places(value, (*path, key))


@pytest.mark.parametrize("text", [" planted text", "/24", " (x).exe", "\n1.2.3.4.5", "%x", "%a b"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: str(e.get("format", e.get("source_format", "?"))))
def test_planted_text_never_breaks_an_investigation(example: dict[str, Any], text: str) -> None:
    native = example.get("alert", example)
    for place in list(places(native)):
        alert = copy.deepcopy(native)
        node = alert
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] += text
        incident = parse(alert)
        for entity in incident.entities:
            if entity.kind == "ip":
                ipaddress.ip_address(entity.value)
        propose(incident, ATTACK)


def test_an_address_with_text_behind_it_is_still_found() -> None:
    incident = parse({"eventType": "user.session.start", "uuid": "u", "published": "2026-01-01T00:00:00Z",
                      "actor": {"alternateId": "a@b.example"}, "client": {"ipAddress": "203.0.113.144 note"}})  # fmt: skip
    assert incident.has_entity("ip", "203.0.113.144")
