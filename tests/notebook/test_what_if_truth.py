"""What-if says what an investigation of the changed alert would say, and leaves no trace."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import InputError
from aegis_agents.records import Case, Fact, Incident
from aegis_agents.sources import parse
from aegis_agents.supposing import replay, what_if
from aegis_agents.training.alerts.situations import situation_groups

SAID = {"execute": "executed", "ask": "awaiting_approval", "recommend": "recommended", "refuse": "refused"}


def alerts() -> list[tuple[dict[str, Any], str | None]]:
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    shipped = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    told = [group[at % len(group)] for at, group in enumerate(islice(situation_groups("train"), 20))]
    return [(json.loads(f.read_text("utf-8")), None) for f in shipped] + [(e.alert, e.format) for e in told if e.alert]


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from leaves(value, (*path, at))
    else:
        yield path, node


def changed(alert: dict[str, Any], path: tuple[str | int, ...], value: str | None) -> dict[str, Any]:
    made = copy.deepcopy(alert)
    node: Any = made
    for key in path[:-1]:
        node = node[key]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return made


def comparable(before: Incident, after: Incident, fact: Fact, new: str | None) -> bool:
    """Not where what-if says in its documentation that it differs: what stays as it was, whatever a field says now.

    The alert's own id, who could have written the field, another field that gives the time, an object left empty.
    """
    trust = {f.trust for f in after.facts if f.path == fact.path}
    emptied = any(f.value == "(empty)" and f.path not in {b.path for b in before.facts} for f in after.facts)
    same = (after.native_id, after.observed_at) == (before.native_id, before.observed_at)
    return same and not emptied and (new is None or trust == {fact.trust})


def outcomes(case: Case) -> dict[tuple[str, str, str], str]:
    return {(a.action, a.target.kind, a.target.value): a.outcome for a in case.actions}


def test_it_is_what_investigating_the_changed_alert_says(parts: tuple[Any, Any], tmp_path: Path) -> None:
    model, intel = parts
    compared = 0
    with Aegis(home=tmp_path / "was", model=model, intel=intel) as was:
        for number, (alert, format) in enumerate(alerts()):
            case = was.investigate(alert, format=format)
            assert case.incident is not None
            facts: dict[str, list[Any]] = {}
            for fact in case.incident.facts:
                facts.setdefault(fact.value, []).append(fact)
            new = (None, "wscript.exe Invoice_8841.js", "2026-03-01T00:00:00Z")[number % 3]
            fields = [(p, v) for p, v in leaves(alert) if isinstance(v, str) and len(facts.get(v, ())) == 1]
            fields = [(p, v) for p, v in fields if not (new is None and isinstance(p[-1], int))]
            for path, value in fields[number % 5 :: 3]:
                other = changed(alert, path, new)
                if not comparable(
                    case.incident, parse(other, format=format or case.incident.source), facts[value][0], new
                ):
                    continue
                asked = what_if(was, case, {facts[value][0].id: new})
                with Aegis(home=tmp_path / f"now-{compared}", model=model, intel=intel) as now:
                    found = now.investigate(other, format=format or case.incident.source)
                assert asked.before.verdict == case.verdict
                assert asked.before.probabilities == pytest.approx(case.probabilities, abs=1e-5)
                assert asked.after.verdict == found.verdict, (path, new)
                assert asked.after.probabilities == pytest.approx(found.probabilities, abs=1e-5), (path, new)
                assert (asked.after.severity, asked.after.techniques) == (found.severity, found.techniques)
                says = {(a.action, a.target.kind, a.target.value): SAID[a.after] for a in asked.actions if a.after}
                assert says == outcomes(found), (path, new)
                compared += 1
                break
    assert compared >= 20


def trace(aegis: Aegis, home: Path) -> tuple[Any, ...]:
    """All that is kept: the ledger, the journal, and every file but the database's own working files."""
    kept = {
        str(f.relative_to(home)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(home.rglob("*")) if f.is_file() and not f.name.endswith(("-wal", "-shm", ".sqlite"))
    }  # fmt: skip
    entries = [e.model_dump_json() for e in aegis.store.entries(limit=100_000)]
    rows = [
        r.model_dump_json() for i in {e.incident_id for e in aegis.store.entries()} if i for r in aegis.store.actions(i)
    ]
    return kept, entries, sorted(rows)


def test_nothing_is_kept_of_it_whatever_is_asked(aegis: Aegis, tmp_path: Path) -> None:
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    case = aegis.investigate((folder / "1_attack.json").read_text("utf-8"))
    before = trace(aegis, tmp_path)
    what_if(aegis, case, {"cmdline": None})
    what_if(aegis, case, {"user_name": "x" * 100_000, "cmdline": "\ud800\u202e\x00"})
    what_if(aegis, case, {f.id: None for f in case.incident.facts[1:] if not f.derived})  # type: ignore[union-attr]
    replay(aegis, case)
    for wrong in ({}, {"no.such": None}, {"cmdline": 5}, {"cmdline": None, "f15": "x"}, {"derived.date_to_event": "x"}):
        with pytest.raises(InputError):
            what_if(aegis, case, wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        what_if(aegis, case, {f.id: None for f in case.incident.facts if not f.derived})  # type: ignore[union-attr]
    with pytest.raises(InputError):
        what_if(aegis, "inc-000000000000", {"cmdline": None})
    with pytest.raises(InputError):
        replay(aegis, "inc-000000000000")
    assert trace(aegis, tmp_path) == before


def test_nothing_is_kept_of_it_when_the_model_fails(
    aegis: Aegis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    case = aegis.investigate((folder / "1_attack.json").read_text("utf-8"))
    before = trace(aegis, tmp_path)

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(type(aegis.context.gate), "decide", fails)
    with pytest.raises(RuntimeError):
        what_if(aegis, case, {"cmdline": None})
    monkeypatch.undo()
    assert trace(aegis, tmp_path) == before
