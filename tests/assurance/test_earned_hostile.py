"""Earned autonomy under hostile or unlucky events: what is removed, changed or revoked between offer and answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import IdentityError
from aegis_agents.gate.earned.reviews import GIVEN
from tests.graph.conftest import FakeFirewall
from tests.graph.reviewed import EARNING, SteadyModel, action_id, alert
from tests.people import person, token_of

CELL = "block_ip/standard"
Made = Callable[..., Aegis]


@pytest.fixture
def made(tmp_path: Path, firewall: FakeFirewall, intel_home: Any) -> Iterator[Made]:
    opened: list[Aegis] = []

    def build(**settings: Any) -> Aegis:
        asked = {"model": SteadyModel(), "intel": intel_home, "tools": [firewall], "home": tmp_path, **EARNING}
        opened.append(Aegis(**(asked | settings)))
        return opened[-1]

    yield build
    for aegis in opened:
        aegis.close()


def offered(aegis: Aegis, number: int = 1) -> str:
    block = action_id(aegis, aegis.investigate(alert(number)))
    assert block in {item.action_id for item in aegis.reviews(9, by="alice")}
    return block


@pytest.mark.parametrize("correct", [None, True, False])
def test_an_offer_whose_case_was_removed_can_still_be_answered(made: Made, correct: bool | None) -> None:
    aegis = made(mode="shadow")
    block = offered(aegis)
    aegis.store.prune(datetime.now(UTC), person("ada"))
    assert aegis.store.forgotten()
    found = aegis.review(block, correct=correct, token=token_of(aegis.store, "alice"))
    assert found.standing.open == 0


def test_an_offer_under_a_policy_that_changed_can_still_be_answered(made: Made, tmp_path: Path) -> None:
    block = offered(made())
    policy = tmp_path / "mine.cedar"
    policy.write_text('@id("mine.own") forbid (principal, action == Aegis::Action::"disable_user", resource);')
    later = made(policy=policy)
    later.approve(block, token=token_of(later.store, "dora"))
    assert later.review(block, correct=True, by="alice").counts


def test_an_offer_of_an_asset_that_became_protected_can_still_be_answered(made: Made, tmp_path: Path) -> None:
    block = offered(made())
    assets = tmp_path / "assets.toml"
    assets.write_text('[groups.ot]\nips = ["203.0.0.0/8"]\n')
    later = made(assets=assets)
    later.approve(block, token=token_of(later.store, "dora"))
    found = later.review(block, correct=True, by="alice")
    assert (found.cell, found.standing.open) == (CELL, 0)


def test_a_revoked_token_says_nothing(made: Made) -> None:
    aegis = made()
    block = offered(aegis)
    token = token_of(aegis.store, "mallory")
    aegis.store.revoke_token(aegis.store.tokens()[-1].token_id, person("ada"))
    with pytest.raises(IdentityError):
        aegis.review(block, correct=True, token=token)
    assert not aegis.store.entries(kind=GIVEN)
