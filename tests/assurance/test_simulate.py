"""Simulation and backtest: what would have run, told before it does, and nothing touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from aegis_agents import Aegis, InputError
from aegis_agents.assembly import open_gate
from aegis_agents.assurance.backtest import Backtest, Tally, backtest_file, confirmed, read_closed
from aegis_agents.assurance.replay import parse_since, replay
from aegis_agents.assurance.simulate import Simulation, summarise
from aegis_agents.records import Assessment, Incident
from aegis_agents.settings import load_settings
from tests.graph.conftest import ATTACK, FakeFirewall, SureModel

Make = Callable[..., Aegis]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class CertainModel(SureModel):
    """So sure that closing alone costs less than asking."""

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        found = super().assess(incident)
        rest = dict.fromkeys(found.probabilities, 0.0001) | {found.verdict: 0.9997}
        return found.model_copy(update={"confidence": 0.9997, "probabilities": rest})


def rules(tmp_path: Path, **settings: Any) -> dict[str, Any]:
    matrix = tmp_path / "tried.toml"
    matrix.write_text("".join(f'[{name}]\nstandard = "act"\n' for name in ("contain", "close_alert")))
    return {"matrix": matrix, "risk": {"contain": 0.9, "close_alert": 0.9}} | settings


def simulated(aegis: Aegis, since: datetime = LONG_AGO, **settings: Any) -> Simulation:
    gate = open_gate(load_settings(home=aegis.settings.home, **settings), aegis.context.intel)
    return summarise(replay(aegis.context, gate, since=since), confirmed(aegis.store))


def test_the_same_rules_change_nothing(make: Make) -> None:
    aegis = make(model=SureModel())
    aegis.investigate(ATTACK)
    found = simulated(aegis)
    assert found.decisions >= 3
    assert found.changes == []
    assert found.verbs_before == found.verbs_after


def test_what_other_rules_would_run_is_shown_and_not_done(
    make: Make,
    firewall: FakeFirewall,
    tmp_path: Path,
) -> None:
    aegis = make(model=SureModel())
    aegis.investigate(ATTACK)
    entries = aegis.store.verify().entries
    found = simulated(aegis, **rules(tmp_path))
    more = {c.replayed.proposal.action for c in found.changes if c.direction == "more"}
    assert "block_ip" in more
    assert firewall.calls == []
    assert aegis.store.verify().entries == entries
    assert json.loads(json.dumps(found.to_dict()))["changed"]["more"] == len(more)


def test_a_forbid_shows_what_would_stop(make: Make, tmp_path: Path) -> None:
    aegis = make(model=SureModel())
    aegis.investigate(ATTACK)
    policy = tmp_path / "mine.cedar"
    policy.write_text('@id("mine.none") forbid (principal, action == Aegis::Action::"block_ip", resource);')
    (change,) = simulated(aegis, policy=policy).changes
    assert (change.direction, change.replayed.after.rule) == ("less", "mine.none")


def test_budgets_are_spent_as_they_would_have_been(make: Make, tmp_path: Path) -> None:
    aegis = make(model=SureModel())
    for number in range(4):
        aegis.investigate(ATTACK | {"event_id": f"a-{number}", "destination_ip": f"203.0.113.{number}", "hostname": ""})
    found = simulated(aegis, **rules(tmp_path, max_actions_per_hour=2))
    assert [c.direction for c in found.changes].count("more") == 2  # of eight: a block and an isolation each
    rules_after = {c.replayed.after.rule for c in found.changes if c.direction == "other_rule"}
    assert "budget.hour" in rules_after


def test_a_confirmed_verdict_says_what_would_have_been_wrong(make: Make, tmp_path: Path) -> None:
    aegis = make(model=SureModel())
    wrong, right = (aegis.investigate(ATTACK | {"event_id": e}) for e in ("a-1", "a-2"))
    aegis.confirm(wrong.incident_id, "false_positive", by="alice")
    aegis.confirm(right.incident_id, "true_positive", by="alice")
    found = simulated(aegis, **rules(tmp_path))
    assert found.wrong_before == 0
    assert found.wrong_after >= 1
    marks = {c.replayed.incident.id: c.to_dict()["would_be_wrong"] for c in found.changes}
    assert (marks[wrong.incident_id], marks[right.incident_id]) == (True, False)


def test_only_decisions_since_then_are_replayed(make: Make) -> None:
    aegis = make(model=SureModel())
    aegis.investigate(ATTACK)
    assert simulated(aegis, datetime.now(UTC) + timedelta(seconds=5)).decisions == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)), ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2)),
    ],
)  # fmt: skip
def test_since_can_be_how_long_ago(text: str, expected: timedelta) -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    assert now - parse_since(text, now) == expected


def test_since_can_be_a_time() -> None:
    now = datetime.now(UTC)
    assert parse_since("2026-11-01", now) == datetime(2026, 11, 1, tzinfo=UTC)
    assert parse_since("2026-11-01T08:00+01:00", now) == datetime(2026, 11, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "9999999999999d", "d", "12"])
def test_since_must_be_a_time(text: str) -> None:
    with pytest.raises(InputError, match="since"):
        parse_since(text, datetime.now(UTC))


# backtest


def backtested(aegis: Aegis, tmp_path: Path, lines: list[str]) -> Backtest:
    file = tmp_path / "closed.jsonl"
    file.write_text("\n".join(lines))
    return list(backtest_file(aegis, read_closed(file), home=tmp_path / "throwaway"))[-1]


def closed(event: str, answer: str, truth: str) -> str:
    return json.dumps({"alert": ATTACK | {"event_id": event, "answer": answer}, "verdict": truth})


def test_closed_cases_are_decided_and_counted(make: Make, firewall: FakeFirewall, tmp_path: Path) -> None:
    aegis = make(model=CertainModel(), **rules(tmp_path))
    found = backtested(
        aegis, tmp_path,
        [
            closed("1", "true_positive", "true_positive"), closed("2", "true_positive", "benign_positive"),
            closed("3", "false_positive", "true_positive"), closed("4", "undetermined", "false_positive"),
        ],
    )  # fmt: skip
    assert (found.detection.hits, found.detection.total) == (1, 2)
    assert (found.rejection.hits, found.rejection.total) == (0, 2)
    assert (found.coverage.hits, found.coverage.total) == (3, 4)
    assert found.contained_alone.hits == 1
    assert found.closed_attacks.hits == 1
    assert found.wrong_alone.hits >= 2
    assert firewall.calls == []
    assert aegis.store.verify().entries == 0


def test_what_would_be_asked_is_counted(make: Make, tmp_path: Path) -> None:
    found = backtested(make(model=SureModel()), tmp_path, [closed("1", "true_positive", "true_positive")])
    assert found.asked >= 2
    assert found.wrong_alone.total == 0


def test_lines_that_are_wrong_are_said_and_the_rest_goes_on(make: Make, tmp_path: Path) -> None:
    lines = [
        "{",
        "[]",
        '{"alert": {}}',
        '{"alert": {"a": "b"}, "verdict": "undetermined"}',
        closed("1", "x", "true_positive"),
    ]
    found = backtested(make(model=SureModel()), tmp_path, lines)
    assert [line.split(":")[0] for line in found.failed] == ["line 1", "line 2", "line 3", "line 4"]
    assert found.detection.total == 1


def test_a_line_ends_where_json_lines_end(make: Make, tmp_path: Path) -> None:
    odd = json.dumps({"alert": ATTACK | {"note": "a\u2028b\x85c"}, "verdict": "true_positive"}, ensure_ascii=False)
    found = backtested(make(model=SureModel()), tmp_path, ["\ufeff" + odd])
    assert (found.failed, found.detection.total) == ([], 1)


def test_an_alert_counts_once(make: Make, tmp_path: Path) -> None:
    twice = [closed("1", "true_positive", "true_positive"), closed("1", "true_positive", "false_positive")]
    found = backtested(make(model=SureModel()), tmp_path, twice)
    assert (found.detection.total, found.rejection.total) == (1, 0)
    assert found.failed == ["line 2: is the alert of line 1 again (give each alert once)"]


def test_a_backtest_reaches_nothing_of_the_real_state(make: Make, tmp_path: Path) -> None:
    aegis = make(model=CertainModel(), **rules(tmp_path))
    aegis.investigate(ATTACK)
    before = aegis.store.verify()
    aegis.settings.kill_switch_file.touch()
    nowhere = "postgresql://nobody@127.0.0.1:1/none"  # were it asked, it would fail
    copies = tmp_path / "copies"
    aegis.settings = aegis.settings.model_copy(
        update={"database": SecretStr(nowhere), "ledger_copies": copies, "kill_switch": aegis.settings.kill_switch_file}
    )
    found = backtested(aegis, tmp_path, [closed(str(n), "true_positive", "true_positive") for n in range(3)])
    assert (found.failed, found.contained_alone.hits) == ([], 3)
    assert aegis.store.verify() == before
    assert not copies.exists()


def test_the_interval_is_exact() -> None:
    none = Tally(0, 299).to_dict()
    assert none["interval"][0] == 0
    assert none["interval"][1] == pytest.approx(1 - 0.025 ** (1 / 299), rel=1e-6)
    assert Tally().to_dict()["interval"] is None
