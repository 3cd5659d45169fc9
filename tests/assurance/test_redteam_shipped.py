"""With the shipped model: the shipped settings hold, and dangerous ones are seen to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_agents.assurance.redteam import Attempt, attack
from aegis_agents.assurance.redteam import fields as fields_module
from aegis_agents.assurance.redteam.cases import alerts
from aegis_agents.assurance.redteam.run import chosen
from aegis_agents.settings import load_settings
from tests.assurance.redteam_ground import permissive


@pytest.fixture(autouse=True)
def the_weakest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack from inside an approved window: its trusted facts say harmless by themselves."""
    weakest = tuple(s for s in alerts("attacks") if s.name == "approved window, another job")
    assert weakest
    monkeypatch.setattr(fields_module, "alerts", lambda kind: weakest if kind == "attacks" else ())


def run(**settings: object) -> list[Attempt]:
    return list(attack(load_settings(**settings), chosen(["fields.silence"])).attempts)


def test_the_shipped_settings_hold(tmp_path: Path) -> None:
    found = run(home=tmp_path)
    assert {a.result for a in found} == {"held"}
    assert "turned by the text" not in found[0].detail  # it is seen for what it is until a text is planted


def test_closing_alone_at_any_confidence_is_seen_to_be_dangerous(tmp_path: Path) -> None:
    names = [a.name for a in run(home=tmp_path, **permissive(tmp_path)) if a.result == "got_through"]
    assert names
    guarded = permissive(tmp_path) | {"risk": {"close_alert": 0.99}}
    assert all(a.result == "held" for a in run(home=tmp_path, **guarded))
