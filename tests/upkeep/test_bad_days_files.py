"""Half-written files, a model that vanished, and clocks that jump: said clearly, decided closed, nothing lost."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.assembly import open_gate, open_model
from aegis_agents.errors import AegisError, IdentityError, IntelError, ModelError, PolicyError, SettingsError
from aegis_agents.ledger import SqliteStore
from aegis_agents.model import registry
from aegis_agents.model.fast import FastModel
from aegis_agents.records import AEGIS
from aegis_agents.settings import load_settings, only
from aegis_agents.tools.owners import may_take_over
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, firewall, intel_home, make  # noqa: F401 - fixtures
from tests.ledger.ledgers import Clock, decided
from tests.people import person

Make = Callable[..., Aegis]
HOURS = timedelta(hours=6)


def blocks(case: Any) -> list[Any]:
    return [a for a in case.actions if a.action == "block_ip"]


# files


@pytest.mark.parametrize("left", ["empty", "half", "folder", "dangling"])
def test_a_kill_switch_counts_whatever_is_in_it(make: Make, firewall: FakeFirewall, tmp_path: Path, left: str) -> None:
    aegis = make()
    (waits,) = blocks(aegis.investigate(ATTACK))
    switch = tmp_path / "KILL"
    if left == "folder":
        switch.mkdir()
    elif left == "dangling":
        switch.symlink_to(tmp_path / "nowhere")
    else:
        switch.write_bytes(b"" if left == "empty" else b"\xff\x00st")
    with pytest.raises(AegisError, match="kill switch"):
        aegis.approve(waits.action_id)
    assert firewall.calls == []
    assert aegis.store.action(waits.action_id).state == "awaiting"


HALF = {
    "policy": ("rules.cedar", "forbid (principal, action == Action::", PolicyError),
    "matrix": ("matrix.toml", "[matrix.stan", SettingsError),
    "assets": ("assets.toml", '[groups]\ndomain_controllers = ["dc-', SettingsError),
    "costs": ("costs.toml", "[costs", SettingsError),
}


@pytest.mark.parametrize("setting", HALF)
def test_a_half_written_file_of_the_gate_stops_at_the_start_and_is_named(tmp_path: Path, setting: str) -> None:
    name, text, kind = HALF[setting]
    (tmp_path / name).write_text(text)
    settings = only(home=tmp_path / "home", **{setting: tmp_path / name})
    with pytest.raises(kind, match=name.replace(".", r"\.")):
        open_gate(settings, None)
    with Aegis(settings=settings, model=FakeModel()) as aegis:
        with pytest.raises(kind):  # nothing is decided by the rest of the rules
            aegis.investigate(ATTACK)
        assert aegis.store.unfinished() == []  # the alert was not taken in: whoever brought it still has it


def test_half_written_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "aegis.toml").write_text("undo_window = 4.0\n[lifetimes]\nblock_ip = ")
    with pytest.raises(SettingsError, match=r"aegis\.toml"):
        load_settings(tmp_path / "aegis.toml")
    (tmp_path / "aegis.toml").write_text("[lifetimes]\nblock_i = 2\n")
    aegis = Aegis.from_settings(tmp_path / "aegis.toml", home=tmp_path, model=FakeModel())
    with aegis, pytest.raises(SettingsError, match="block_i"):
        aegis.investigate(ATTACK)


@pytest.fixture(scope="module")
def built_intel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Intelligence on the disk, to be copied and damaged."""
    from aegis_agents.intel import Intel

    folder = tmp_path_factory.mktemp("built") / "intel"
    Intel.open(folder, FakeModel())
    return folder


@pytest.mark.parametrize("damage", ["manifest", "current", "gone"])
def test_intelligence_that_was_half_written_is_named(tmp_path: Path, built_intel: Path, damage: str) -> None:
    shutil.copytree(built_intel, tmp_path / "intel")
    (manifest,) = (tmp_path / "intel/snapshots").glob("*.json")
    if damage == "manifest":
        manifest.write_bytes(manifest.read_bytes()[:200])
    elif damage == "current":
        (tmp_path / "intel/current").write_text("")
    else:
        shutil.rmtree(next((tmp_path / "intel/segments").iterdir()))
    with Aegis(home=tmp_path, model=FakeModel()) as aegis, pytest.raises(IntelError, match=str(tmp_path / "intel")):
        aegis.investigate(ATTACK)


# the model


@pytest.fixture
def own_model(tmp_path: Path) -> Path:
    """A home whose model was promoted."""
    from aegis_agents.model.files import shipped_folder
    from aegis_agents.model.pin import MANIFEST_SHA256

    made = registry.install(tmp_path, shipped_folder(), MANIFEST_SHA256)
    registry.use(tmp_path, made)
    return made.folder


def test_a_model_that_vanished_at_the_start_is_named_and_nothing_stands_in_for_it(
    tmp_path: Path, own_model: Path
) -> None:
    settings = only(home=tmp_path)
    shutil.rmtree(own_model)
    with pytest.raises(ModelError, match=own_model.name):
        open_model(settings)
    with Aegis(settings=settings) as aegis, pytest.raises(ModelError):
        aegis.investigate(ATTACK)
    (tmp_path / "models/current.json").write_text('{"name": "x", "fol')
    with pytest.raises(ModelError, match="aegis model use shipped"):
        open_model(settings)


def test_a_model_that_vanishes_while_it_runs_goes_on_from_memory(tmp_path: Path, own_model: Path) -> None:
    from aegis_agents.reading import read_alert

    model = open_model(only(home=tmp_path))
    incident, _ = read_alert(ATTACK, format=None, tenant="default")
    before = model.assess(incident)
    shutil.rmtree(own_model)
    other, _ = read_alert(ATTACK | {"event_id": "z", "hostname": "wks-999"}, format=None, tenant="default")
    assert model.assess(incident) == before
    assert model.assess(other).model == before.model
    assert isinstance(model, FastModel)


# the clock


def test_a_clock_set_back_gives_no_budget_back_and_no_token(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with closing(SqliteStore(tmp_path / "aegis.sqlite", clock=clock)) as store:
        key = decided(store, "inc-1", "approved")
        store.begin(key, owner="h:1:x")
        store.settle(key, "executed", "c", "")
        token = store.add_token("alice", ["approver"], AEGIS, valid_for=timedelta(hours=1))
        revoked = store.add_token("bob", ["approver"], AEGIS, valid_for=timedelta(hours=1))
        store.revoke_token(next(row.token_id for row in store.tokens() if row.name == "bob"), AEGIS)
        clock.now -= HOURS
        assert store.usage(clock.now - timedelta(hours=1)).actions == 1  # what lies ahead counts as used
        with pytest.raises(IdentityError):
            store.authenticate(revoked)  # an end that was said is no matter of time
        assert store.authenticate(token).name == "alice"
        clock.now += 2 * HOURS
        with pytest.raises(IdentityError):
            store.authenticate(token)  # run ahead, the clock ends tokens early
        assert store.verify().entries == len(store.entries())


def test_a_clock_that_runs_ahead_lifts_early_and_does_nothing_more(tmp_path: Path) -> None:
    clock = Clock()
    with closing(SqliteStore(tmp_path / "aegis.sqlite", clock=clock)) as store:
        key, waits = decided(store, "inc-1", "approved"), decided(store, "inc-2")
        store.begin(key, owner="h:1:x")
        store.settle(key, "executed", "c", "", until=clock.now + timedelta(hours=1))
        assert store.due(clock.now) == []
        clock.now += HOURS
        assert [row.action_id for row in store.due(clock.now)] == [key]
        clock.now -= 2 * HOURS
        assert store.due(clock.now) == []  # set back, it stays in effect longer
        assert [row.action_id for row in store.timers()] == [key]
        assert store.action(waits).state == "awaiting"  # no clock approves
        store.answer(waits, False, person("alice"))
        store.verify()


def test_work_of_another_machine_is_not_taken_over_by_a_clock_that_was_set_back() -> None:
    owner = "elsewhere/00000000:1:boot.ns.1"
    assert not may_take_over(owner, -HOURS, timedelta(minutes=15))
    assert may_take_over(owner, HOURS, timedelta(minutes=15))
