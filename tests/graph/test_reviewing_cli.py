"""`aegis review` and `aegis autonomy`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aegis_agents import Aegis
from aegis_agents.cli import review as commands
from tests.graph.reviewed import EARNING, SteadyModel, alert, evidence

Run = Callable[..., Result]
CELL = "block_ip/standard"


class _Shared(Aegis):
    """One for all commands of a test: it is closed by the fixture."""

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def aegis(tmp_path: Path, intel_home: Any) -> Iterator[Aegis]:
    opened = _Shared(model=SteadyModel(), intel=intel_home, home=tmp_path, autonomy="act", **EARNING)
    yield opened
    opened.close()


@pytest.fixture
def run(aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(commands, "open_aegis", lambda settings, **given: aegis)

    def call(*words: str) -> Result:
        app = commands.autonomy_app if words[0] == "autonomy" else commands.review_app
        return CliRunner().invoke(app, list(words[1:]), env={"COLUMNS": "200"})

    return call


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_next_give_status_show_demote(aegis: Aegis, run: Run) -> None:
    assert "nothing to review" in run("review", "next").output
    evidence(aegis, 380)
    aegis.investigate(alert(1))
    items = lines(run("review", "next", "--limit", "5", "--json"))
    block = next(i for i in items if i["cell"] == CELL)
    for item in items:
        if item["blind"]:
            assert item["verdict"] is item["summary"] is item["outcome"] is None
    before = next(s for s in lines(run("review", "status", "--json")) if s["cell"] == CELL)
    assert (before["campaigns"], before["missing"], before["open"]) == (380, 1, 1)
    given = run("review", "give", block["action_id"], "--right", "--verdict", "true_positive", "--note", "seen it")
    assert f"{CELL} now: act_undo" in given.output
    rows = {row["cell"]: row for row in lines(run("autonomy", "show", "--json"))}
    assert (rows[CELL]["level"], rows[CELL]["source"]) == ("act_undo", "earned")
    assert "earned" in run("autonomy", "show").output
    assert "act_undo" in run("review", "status").output
    assert "asks again" in run("autonomy", "demote", CELL, "--reason", "new firewall", "--by", "root").output
    assert {row["cell"]: row["level"] for row in lines(run("autonomy", "show", "--json"))}[CELL] == "ask"
    assert run("autonomy", "demote", CELL, "--reason", "again").exit_code == 1


@pytest.mark.parametrize("flags", [[], ["--right", "--wrong"], ["--right", "--unclear"]])
def test_one_answer_and_not_two(run: Run, flags: list[str]) -> None:
    assert run("review", "give", "act-1", *flags).exit_code == 2


def test_an_unknown_action_is_said(run: Run) -> None:
    result = run("review", "give", "act-1", "--wrong")
    assert result.exit_code == 1
    assert "act-1" in result.output


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_text_of_an_alert_is_shown_as_text(
    aegis: Aegis, run: Run, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(aegis, "settings", aegis.settings.model_copy(update={"blind_share": share}))
    aegis.investigate(alert(1, command_line="[bold red]--right[/bold red] \x1b[2J\x07"))
    shown = run("review", "next").output
    assert "[bold red]" in shown
    assert "\x1b[2J" not in shown
    assert ("[blind]" in shown) == bool(share)
    assert ("Aegis: true_positive" in shown) != bool(share)


def test_of_ones_own_choice_only_an_error_is_taken_down(aegis: Aegis, run: Run) -> None:
    case = aegis.investigate(alert(1))
    action = next(a.action_id for a in case.actions if a.action == "block_ip")
    refused = run("review", "give", action, "--right")
    assert refused.exit_code == 1
    assert "not put before reviewers" in refused.output
    assert "an error counts whoever chose" in run("review", "give", action, "--wrong").output
