"""`aegis monitor`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from aegis_agents import Aegis
from aegis_agents.cli import monitor as commands
from aegis_agents.errors import StoreError
from aegis_agents.monitor import fall_back, fallen
from aegis_agents.monitor.canaries import load_canaries
from aegis_agents.settings_monitor import MonitorSettings
from tests.monitor.test_monitor_canaries import Knowing
from tests.monitor.watched import harmless

Run = Callable[..., Result]


class _Shared(Aegis):
    """One for all commands of a test: it is closed by the fixture."""

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def aegis(tmp_path: Path, intel_home: Any) -> Iterator[Aegis]:
    opened = _Shared(model=Knowing(), intel=intel_home, home=tmp_path, monitor=MonitorSettings(every_s=1))
    yield opened
    opened.close()


@pytest.fixture
def run(aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(commands, "open_aegis", lambda settings, **given: aegis)
    app = typer.Typer()
    app.command()(commands.monitor)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_it_says_how_the_model_stands_and_feeds_the_canaries(run: Run, aegis: Aegis) -> None:
    aegis.investigate(harmless(1))
    found = run()
    assert found.exit_code == 0, found.output
    assert "fake@1: 1 cases" in found.output
    assert f"canaries {'2'}" in found.output
    assert f"{len(load_canaries())} of {len(load_canaries())} right" in found.output
    shown = json.loads(run("--json").output)
    assert (shown["cases"], shown["caution"]["fallen"]) == (1, [])


def test_it_exits_with_1_while_something_has_fallen_back_until_it_is_lifted(run: Run, aegis: Aegis) -> None:
    fall_back(aegis.store, "drift.words", "an \x1b[31malert's\n words changed")
    found = run()
    assert found.exit_code == 1
    assert "fallen back (all)" in found.output
    assert "\x1b" not in found.output
    assert run("--resume").exit_code == 1  # without a reason
    assert fallen(aegis.store).fallen
    assert run("--resume", "--reason", "looked into", "--by", "ann", "--entry", "99").exit_code == 1
    assert run("--resume", "--reason", "looked into", "--by", "ann").exit_code == 0
    assert run().exit_code == 0


def test_a_failed_canary_is_shown(run: Run, aegis: Aegis) -> None:
    model: Any = aegis.context.model
    model.lies = {"vssadmin": "benign_positive"}
    found = run()
    model.lies = {}
    assert found.exit_code == 1
    assert "ransomware: it is attack, and was judged benign_positive" in found.output


def test_watching_goes_on_until_it_is_ended(run: Run, aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        aegis.investigate(harmless(len(waits)))
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(commands, "time", SimpleNamespace(sleep=wait))
    found = run("--watch", "--json")
    assert waits == [1.0, 1.0, 1.0]
    assert [json.loads(line)["cases"] for line in found.output.splitlines() if line.startswith("{")] == [0, 1, 2]
    assert aegis.store.entries(kind="watch.state")


def test_a_store_that_is_locked_for_a_while_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import aegis_agents.monitor as package

    looked: list[int] = []

    class Ended(BaseException):
        """The service was stopped."""

    def look() -> None:
        looked.append(1)
        if len(looked) == 1:
            raise StoreError("database is locked")
        raise Ended

    monkeypatch.setenv("AEGIS_HOME", str(tmp_path))
    monkeypatch.setattr(package, "ticks", lambda watching: [SimpleNamespace(function=look)])
    monkeypatch.setattr(commands.time, "sleep", lambda s: None)
    with pytest.raises(Ended):
        commands.monitor(watch=True)
    assert len(looked) == 2
