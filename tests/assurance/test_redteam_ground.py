"""The ground: the user's settings decide, and nothing of theirs is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aegis_agents.assurance.redteam.ground import KEPT, without_reach
from aegis_agents.records import CATALOGUE
from aegis_agents.settings import Settings, load_settings
from tests.assurance.redteam_ground import make_ground, permissive
from tests.graph.conftest import ATTACK


def test_only_what_decides_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_WEBHOOK_URL", "https://tickets.example/hook")
    given = load_settings(
        home=tmp_path / "mine", mode="shadow", risk={"contain": 0.8}, nftables=True, token="aegis_x", max_actions_per_hour=3,
        budgets={"blast_radius": 2}, kill_switch=tmp_path / "STOP",
    )  # fmt: skip
    tried, aside = without_reach(given, tmp_path / "away")
    assert (tried.risk, tried.max_actions_per_hour) == ({"contain": 0.8}, 3)
    assert tried.budgets == {"blast_radius": 2}
    assert (tried.webhook_url, tried.nftables, tried.token, tried.mode) == (None, False, None, "live")
    assert tried.kill_switch_file.is_relative_to(tmp_path / "away")
    assert set(aside) == {"webhook_url", "nftables", "token", "mode", "kill_switch"}


def test_no_setting_that_reaches_out_is_kept() -> None:
    """A new setting is not taken over until somebody names it; none of these may ever be named."""
    known = set(Settings.model_fields)
    reaching = [
        n for n in known if any(w in n for w in ("url", "token", "secret", "key", "home", "webhook", "nftables"))
    ]
    assert not set(reaching) - {"require_token"} & set(KEPT)


def test_nothing_of_the_users_is_touched_and_each_attack_starts_afresh(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, intel_home: Any
) -> None:
    ground = make_ground(monkeypatch, tmp_path, intel_home, **permissive(tmp_path))
    homes = set()
    for _ in range(2):
        with ground.aegis(certain="true_positive") as (aegis, recorder):
            aegis.investigate(ATTACK)
            homes.add(aegis.settings.home)
            assert recorder.harmful
            assert aegis.store.verify().entries
            sent = next(iter((aegis.settings.home).glob("outbox*")), None)
            assert sent is None  # every action goes to the recorder
    assert len(homes) == 2
    assert all(home.is_relative_to(tmp_path / "thrown away") for home in homes)
    assert not (tmp_path / "home of the user").exists()


def test_the_recorder_does_every_action() -> None:
    from aegis_agents.assurance.redteam.ground import Recorder

    assert Recorder().actions == frozenset(CATALOGUE)
