"""A replay decides with what reviews had unlocked then, and counts as the gate counted: else its diff would lie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from aegis_agents import Aegis
from aegis_agents.agents.earning import Earning, Hindsight, rule_from
from aegis_agents.assembly import open_gate
from aegis_agents.assurance.backtest import backtest_file, read_closed
from aegis_agents.assurance.replay import EarnedAt, Replayed, Unreplayed, _Purse, replay
from aegis_agents.assurance.simulate import Simulation, summarise
from aegis_agents.cli import simulate as command
from aegis_agents.gate.earned.cells import NOTHING_EARNED, EarnedAutonomy, EarnedCell
from aegis_agents.gate.earned.rule import EarnRule
from aegis_agents.settings import load_settings
from tests.graph.conftest import FakeFirewall, SureModel
from tests.graph.reviewed import EARNING, action_id, alert, evidence
from tests.people import token_of

APP = typer.Typer()
APP.command()(command.simulate)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ENOUGH = 381


@pytest.fixture
def earner(tmp_path: Path, firewall: FakeFirewall, intel_home: Any) -> Iterator[Aegis]:
    """block_ip is asked about, then acts alone, then asks again; a decision in each of these times."""
    aegis = Aegis(
        model=SureModel(), intel=intel_home, tools=[firewall], home=tmp_path, autonomy="act", **EARNING,
    )  # fmt: skip
    evidence(aegis, ENOUGH)
    aegis.investigate(alert(1))
    for item in aegis.reviews(9, by="alice"):
        aegis.review(item.action_id, correct=True, by="alice")
    alone = action_id(aegis, aegis.investigate(alert(2)))
    assert aegis.store.action(alone).state == "executed"
    aegis.review(alone, correct=False, by="bob")
    aegis.investigate(alert(3))
    yield aegis
    aegis.close()


def replayed(aegis: Aegis, earned: EarnedAt | None = None, since: datetime = LONG_AGO, **settings: Any) -> Simulation:
    asked: dict[str, Any] = {"home": aegis.settings.home, "autonomy": "act", **EARNING, **settings}
    tried = load_settings(**asked)
    had = Hindsight(aegis.store, rule_from(tried)) if earned is None else earned
    gate = open_gate(tried, aegis.context.intel)
    return summarise(replay(aegis.context, gate, since=since, earned=had), {})


def test_with_what_was_earned_then_the_same_rules_change_nothing(earner: Aegis) -> None:
    found = replayed(earner)
    assert found.verbs_before["execute"] == 3 + 1  # a ticket each, and the block of the second incident
    assert [c.to_dict() for c in found.changes] == []


def test_as_if_nothing_were_earned_the_block_is_missing(earner: Aegis) -> None:
    (change,) = replayed(earner, lambda seq, model, at: NOTHING_EARNED).changes
    assert (change.replayed.proposal.action, change.direction) == ("block_ip", "less")


def test_a_rule_that_asks_for_more_takes_back_what_it_does_not_bear_out(earner: Aegis) -> None:
    (change,) = replayed(earner, earn_error_undo=0.011).changes
    assert (change.replayed.proposal.action, change.direction) == ("block_ip", "less")
    (off,) = replayed(earner, earn="off").changes
    assert off.direction == "less"


def test_what_is_earned_by_now_is_another_question(earner: Aegis) -> None:
    now = Earning(earner.store, EarnRule(earn="act_undo")).now("fake@1")
    (change,) = replayed(earner, lambda seq, model, at: now).changes  # taken back meanwhile
    assert change.direction == "less"


def test_what_another_model_earned_is_not_this_ones(earner: Aegis) -> None:
    had = Hindsight(earner.store, EarnRule(earn="act_undo"))
    assert had(10**9, "other@1", datetime.now(UTC)) == NOTHING_EARNED


def test_a_ledger_that_cannot_be_understood_had_earned_nothing(earner: Aegis) -> None:
    first = earner.store.entries(kind="autonomy.promoted", limit=1)[0].seq
    assert Hindsight(earner.store, EarnRule(earn="act_undo"))(first + 1, "fake@1", datetime.now(UTC)).cells
    with earner.store.transaction():
        earner.store.append("review.given", None, {"answer": "right"})
    assert not Hindsight(earner.store, EarnRule(earn="act_undo"))(10**9, "fake@1", datetime.now(UTC)).cells


def test_the_kill_switch_of_today_says_nothing_of_then(earner: Aegis) -> None:
    earner.settings.kill_switch_file.touch()
    assert replayed(earner).changes == []
    earner.investigate(alert(4))
    found = replayed(earner)
    assert found.changes == []
    assert {item.reason for item in found.left_out} == {"the kill switch was engaged"}


def test_every_decision_that_cannot_be_replayed_is_counted(earner: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replayed(earner)
    monkeypatch.setattr(earner.store, "intake", lambda incident_id: None)
    gone = replayed(earner)
    assert (gone.decisions, len(gone.left_out)) == (0, whole.decisions)


def test_an_entry_of_another_shape_is_said_and_the_rest_goes_on(earner: Aegis) -> None:
    whole = replayed(earner).decisions
    with earner.store.transaction():
        earner.store.append("action.decided", "inc-1", {"proposal": {"action": "fly"}, "decision": {}})
    earner.investigate(alert(5))
    found = replayed(earner)
    assert found.decisions > whole
    assert ["can't be read" in item.reason for item in found.left_out] == [True]


def test_an_approval_is_counted_when_it_was_begun_and_a_failure_not_at_all(earner: Aegis) -> None:
    asked = action_id(earner, earner.investigate(alert(6)))
    earner.approve(asked, token=token_of(earner.store, "dora"))
    row = earner.store.action(asked)
    assert row.begun_at is not None
    purse = _Purse()
    purse.note(row, row.decision, row.proposal, row.created_at)
    assert purse.usage(row.created_at).by_class == {}
    assert purse.usage(row.begun_at).by_class == {"contain": 1}
    assert purse.usage(row.begun_at + timedelta(hours=1, seconds=1)).by_class == {}
    failed = _Purse()
    failed.note(row.model_copy(update={"state": "failed"}), row.decision, row.proposal, row.created_at)
    used = failed.usage(row.updated_at)
    assert (used.by_class, used.failed) == ({}, 1)


def since_of(aegis: Aegis, action: str) -> datetime:
    return aegis.store.action(action).created_at - timedelta(microseconds=1)


def test_the_hour_before_counts_in_the_budgets(earner: Aegis, tmp_path: Path) -> None:
    late = action_id(earner, earner.investigate(alert(8)))
    tried = {"max_actions_per_hour": 1}
    matrix = tmp_path / "tried.toml"
    matrix.write_text('[block_ip]\nstandard = "act"\n')
    tried |= {"matrix": matrix, "risk": {"contain": 0.9}}
    found = replayed(earner, since=since_of(earner, late), **tried)
    assert "more" not in {c.direction for c in found.changes}
    assert "budget.hour" in {c.replayed.after.rule for c in found.changes}


def test_each_action_leaves_less_of_the_attack_to_the_next(earner: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    gate = open_gate(load_settings(home=earner.settings.home, autonomy="act", **EARNING), earner.context.intel)
    decide = type(gate).decide
    monkeypatch.setattr(
        type(gate), "decide", lambda self, request: (asked.append(request.left), decide(self, request))[1]
    )
    had = Hindsight(earner.store, EarnRule(earn="act_undo"))
    found = list(replay(earner.context, gate, since=LONG_AGO, earned=had))
    assert all(isinstance(item, Replayed) for item in found)
    assert min(asked) < 1.0
    assert sum(left == 1.0 for left in asked) >= 3  # each incident begins anew
    assert not any(isinstance(item, Unreplayed) for item in found)


def test_a_backtest_decides_with_what_is_earned_by_now(earner: Aegis, tmp_path: Path) -> None:
    file = tmp_path / "closed.jsonl"
    file.write_text(json.dumps({"alert": alert(9), "verdict": "true_positive"}))
    cell = EarnedCell(cell="block_ip/standard", level="act_undo", threshold=0.9, evidence=1)
    decided = []
    for had in (NOTHING_EARNED, EarnedAutonomy(cells={cell.cell: cell})):
        earner.context = replace(earner.context, earned=lambda _, had=had: had)  # type: ignore[misc]
        found = list(backtest_file(earner, read_closed(file), home=tmp_path / str(len(decided))))[-1]
        decided.append((found.decided["block_ip: execute"], found.contained_alone.hits))
    assert decided == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("option", "directions"), [((), []), (("--earned", "none"), ["less"])])
def test_the_command_decides_with_what_was_earned_then(
    earner: Aegis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: tuple[str, ...], directions: list[str]
) -> None:
    tried = tmp_path / "tried.toml"
    tried.write_text('autonomy = "act"\nearn = "act_undo"\n')
    monkeypatch.setattr(command, "open_aegis", lambda settings: earner)
    monkeypatch.setattr(earner, "close", lambda: None)
    said = CliRunner().invoke(APP, ["--since", "1d", "--with", str(tried), "--json", *option])
    assert said.exit_code == 0, said.output
    assert [change["direction"] for change in json.loads(said.stdout)["changes"]] == directions


def test_until_must_be_after_since(earner: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "open_aegis", lambda settings: earner)
    monkeypatch.setattr(earner, "close", lambda: None)
    said = CliRunner().invoke(APP, ["--since", "1d", "--until", "2d"])
    assert said.exit_code == 1
    assert "until" in said.stderr
