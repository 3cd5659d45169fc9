"""The script pattern, run on the demo's alerts with the real command, and with a stand-in for what takes long or breaks."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "script"
DEMO = resources.files("aegis_agents.cli") / "demo_alerts"
ALERTS = [json.loads(file.read_text("utf-8")) for file in sorted(DEMO.iterdir(), key=lambda f: f.name)]  # type: ignore[attr-defined]
REAL = f"{sys.executable} -m aegis_agents.cli.main"
FAKE = """#!{python}
import json, os, sys
with open(os.environ["SEEN"], "a") as seen:
    print(json.dumps(sys.argv[1:]), file=seen)
for number, line in enumerate(sys.stdin, 1):
    alert = json.loads(line)
    if alert.get("exit"):
        print("aegis: settings are wrong", file=sys.stderr)
        sys.exit(alert["exit"])
    print(json.dumps({{"of": alert, "cwd": 1}}), flush=True)
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, alerts: list[Any]) -> Path:
    path.write_text("".join((a if isinstance(a, str) else json.dumps(a)) + "\n" for a in alerts))
    return path


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command that answers at once."""
    program = tmp_path / "fake aegis"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("AEGIS", str(program))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    return program


def triage(alerts: Path, answers: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT / "triage.sh"), str(alerts), str(answers), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPT / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo's alerts through the real command: the first two, a line that is no alert, then the rest."""
    folder = tmp_path_factory.mktemp("script")
    program = folder / "aegis"
    program.write_text(f'#!/bin/sh\nexec {REAL} "$@"\n')
    program.chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith("AEGIS_")}
    env |= {"AEGIS": str(program), "AEGIS_HOME": str(folder / "home")}
    alerts, answers = write(folder / "alerts.jsonl", [*ALERTS[:2], "[1]"]), folder / "answers.jsonl"
    command = [str(SCRIPT / "triage.sh"), str(alerts), str(answers)]
    first = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    with alerts.open("a") as more:
        more.write("\n" + "".join(json.dumps(alert) + "\n" for alert in ALERTS[2:]) + '{"cut": ')
    answers.write_bytes(answers.read_bytes()[:-30])  # the machine stopped in the middle of the last answer
    second = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    return {"codes": (first.returncode, second.returncode), "answers": answers, "told": first.stderr + second.stderr}


@pytest.mark.timeout(600)
def test_the_real_command_answers_each_alert_once_in_order(real: dict[str, Any]) -> None:
    assert real["codes"] == (1, 1), real["told"]  # the line that is no alert, and that line again
    found = lines(real["answers"])
    assert ["error" in answer for answer in found] == [False, False, True, False, False, False]
    assert "array" in found[2]["error"] or "object" in found[2]["error"]
    incidents = [answer["incident_id"] for answer in found if "error" not in answer]
    assert len(set(incidents)) == len(ALERTS)
    assert found[0]["verdict"] == "true_positive"


@pytest.mark.timeout(600)
def test_each_outcome_of_the_real_command_is_followed_once(
    real: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = load("outcomes")
    outcomes.main(real["answers"])
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = sum(len(answer.get("actions", [0])) for answer in lines(real["answers"]))
    undecided = sum(answer.get("verdict") == "undetermined" for answer in lines(real["answers"]))
    assert len(told) == expected + undecided
    assert any(line["do"].startswith("ask a person") for line in told)
    outcomes.main(real["answers"])
    assert capsys.readouterr().out == ""


def test_every_outcome_is_known_and_a_new_one_is_no_silence() -> None:
    from typing import get_args

    from aegis_agents.records import Outcome

    outcomes = load("outcomes")
    assert set(outcomes.DO) == set(get_args(Outcome))
    case = {"incident_id": "inc-1", "verdict": "true_positive", "actions": [{"outcome": "of tomorrow"}]}
    with pytest.raises(KeyError, match="of tomorrow"):
        outcomes.follow(case)


def test_it_goes_on_behind_the_last_whole_answer(fake: Path, tmp_path: Path) -> None:
    alerts, answers = write(tmp_path / "a.jsonl", [{"n": 1}, "", {"n": 2}, "  \t"]), tmp_path / "b.jsonl"
    assert triage(alerts, answers, "--shadow").returncode == 0
    with alerts.open("a") as more:
        more.write('{"n": 3}\n{"n": 4')
    with answers.open("a") as cut:
        cut.write('{"of": {"n"')
    assert triage(alerts, answers).returncode == 0
    assert triage(alerts, answers).returncode == 0
    assert [answer["of"]["n"] for answer in lines(answers)] == [1, 2, 3]
    assert lines(tmp_path / "seen")[0] == ["investigate", "-", "--json", "--shadow"]


def test_two_runs_at_once_answer_nothing_twice(fake: Path, tmp_path: Path) -> None:
    alerts, answers = write(tmp_path / "a.jsonl", [{"n": n} for n in range(300)]), tmp_path / "b.jsonl"
    runs = [threading.Thread(target=triage, args=(alerts, answers)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [answer["of"]["n"] for answer in lines(answers)] == list(range(300))


@pytest.mark.parametrize("code", [2, 3])
def test_its_exit_code_is_that_of_the_command(fake: Path, tmp_path: Path, code: int) -> None:
    alerts, answers = write(tmp_path / "a.jsonl", [{"n": 1}, {"exit": code}, {"n": 3}]), tmp_path / "b.jsonl"
    assert triage(alerts, answers).returncode == code
    assert [answer["of"]["n"] for answer in lines(answers)] == [1]
    write(alerts, [{"n": 1}, {"n": 2}, {"n": 3}])  # mended
    assert triage(alerts, answers).returncode == 0
    assert [answer["of"]["n"] for answer in lines(answers)] == [1, 2, 3]


def test_names_and_alerts_become_no_command(fake: Path, tmp_path: Path) -> None:
    hostile = {"title": "$(touch pwned); `touch pwned` ' \" \\ \n\r", "path": "../../etc"}
    alerts, answers = write(tmp_path / "-a $(touch pwned).jsonl", [hostile]), tmp_path / "b;c.jsonl"
    assert triage(alerts, answers).returncode == 0
    assert [answer["of"] for answer in lines(answers)] == [hostile]
    assert not list(tmp_path.rglob("pwned"))
    assert triage(tmp_path / "none.jsonl", answers).returncode == 2


def test_in_python_each_alert_comes_with_its_answer(fake: Path) -> None:
    module = load("triage")
    alerts = [{"n": n, "text": "x" * 5_000} for n in range(400)]  # more than pipes hold
    found = list(module.judge(alerts, command=[str(fake)]))
    assert [(alert["n"], case["of"]["n"]) for alert, case in found] == [(n, n) for n in range(400)]


def test_in_python_alerts_may_be_endless(fake: Path) -> None:
    import itertools

    module = load("triage")
    judged = module.judge(({"n": n} for n in itertools.count()), command=[str(fake)])
    assert [case["of"]["n"] for _, case in itertools.islice(judged, 3)] == [0, 1, 2]
    judged.close()


def test_in_python_a_command_that_ends_is_said(fake: Path) -> None:
    module = load("triage")
    got: list[int] = []
    judged = module.judge([{"n": 1}, {"exit": 2}, {"n": 3}], command=[str(fake)])
    with pytest.raises(module.AegisFailed, match="settings are wrong") as failed:
        got.extend(case["of"]["n"] for _, case in judged)
    assert (failed.value.code, got) == (2, [1])


def test_in_python_what_the_alerts_raise_is_raised(fake: Path) -> None:
    module = load("triage")

    def source() -> Any:
        yield {"n": 1}
        raise LookupError("the export broke")

    with pytest.raises(LookupError, match="the export broke"):
        list(module.judge(source(), command=[str(fake)]))
    with pytest.raises(TypeError):
        list(module.judge([{"n": object()}], command=[str(fake)]))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_the_units_are_read_by_systemd() -> None:
    units = [str(SCRIPT / "systemd" / name) for name in ("aegis-triage.service", "aegis-triage.timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60, check=False
    )
    wrong = [line for line in done.stderr.splitlines() if "Unknown" in line or "Failed to parse" in line]
    assert wrong == []
