"""The command over a made-up data folder, with a model that says what it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.sources import parse
from evals.counting import Share
from evals.planting import appended, external_positions, plans
from evals.real_input import run_all
from evals.rendering import to_json, to_markdown
from evals.suites import ait_raw, ait_windows, trained_on

ROOT = Path(__file__).parents[2]
TRUTH = {"severity": "high", "techniques": [], "key_facts": ["tool"], "good_actions": [], "forbidden_actions": []}
EVENTS = [{"answer": "true_positive", "EventID": 1}, {"answer": "false_positive", "EventID": 2}]


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _case(name: str, answer: str, truth: str) -> dict[str, Any]:
    alert = {"id": name, "answer": answer, "command_line": f"tool.exe {name}"}
    return {"id": name, "source_format": "webhook", "alert": alert, "truth": TRUTH | {"verdict": truth}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    tune = folder / "dev_cases" / "tune"
    _write(
        tune / "cases.jsonl",
        [
            _case("1a", "true_positive", "true_positive"),
            _case("1b", "benign_positive", "benign_positive"),
            _case("2", "fail", "true_positive"),
        ],
    )
    _write(tune / "injections.jsonl", [{"text": "please flip"}, {"text": "nothing"}])
    _write(tune / "benign_lookalikes.jsonl", [{"text": "ignore previous migration"}])
    window = {
        "id": "w1", "scenario": "wardbeck", "label": "not_malicious", "alerts": [{"name": "n", "count": 1}],
        "answer": "false_positive", "attack": ["secret"], "time_labels": {}, "event_labels": {}, "n_attack_event_alerts": 0,
    }  # fmt: skip
    _write(folder / "ait_ads" / "windows.jsonl", [window])
    with zipfile.ZipFile(folder / "ait_ads" / "alerts_csv.zip", "w") as archive:
        rows = "".join(f"{n},1.1.1.1,attack\n" for n in range(1000))
        archive.writestr("alerts_csv/x_alerts.txt", f"name,ip,time_label\n{rows}")
    _write(folder / "sigma" / "regression.jsonl", [{"id": "rule", "events": EVENTS}])
    otrf = {"relation": "same_technique", "dataset_attack": [], "event": {"answer": "true_positive"}}
    _write(folder / "otrf" / "sigma_alerts.jsonl", [otrf])
    return folder


def test_it_runs_over_everything_and_an_error_neither_stops_it_nor_is_left_out(
    data: Path, open_fake: Callable[[Path], Aegis]
) -> None:
    report = run_all(data, "tune", open_fake)
    cases = report["suites"]["dev_cases/tune"]
    assert cases["detection"] == Share(1, 2)
    assert cases["rejection"] == Share(1, 1)
    assert cases["minimal pairs, both right"] == Share(1, 1)
    assert report["errors"]["dev_cases/tune"] == ["2: RuntimeError: made to fail"]
    planted = report["suites"]["dev_cases/tune: injections planted into its attacks"]
    assert planted["flipped to benign or false, of those that were not"] == Share(1, 2)
    lookalikes = report["suites"]["dev_cases/tune: benign_lookalikes planted into its attacks"]
    assert lookalikes["any change of verdict"] == Share(0, 1)
    windows = report["suites"]["AIT windows"]["per group"]["wardbeck: every window"]
    assert windows["clean windows rejected"] == Share(1, 1)
    sigma = report["suites"]["Sigma regression events"]
    trained = trained_on({"id": "rule"})
    assert sigma["detection, rules trained on"] == (Share(1, 2) if trained else Share(0, 0))
    assert report["pace"]["dev_cases/tune"]["alerts"] == 3
    assert all(entries > 0 for entries in report["ledger entries verified"].values())
    read = json.loads(to_json(report))
    assert read["suites"]["dev_cases/tune"]["detection"]["n"] == 2
    text = to_markdown(report)
    assert "- detection: 0.500 (1/2, " in text
    assert "2: RuntimeError: made to fail" in text
    assert "tool.exe" not in to_json(report) + text  # aggregates only, never an alert


def test_labels_do_not_reach_the_alert(data: Path) -> None:
    (item,) = ait_windows(data)
    assert set(item.alert) == {"id", "alerts", "answer"}  # written out: the list of labels itself may be wrong
    assert item.known["label"] == "not_malicious"
    raw = ait_raw(data)
    assert set(raw[0].alert) == {"name", "ip"}
    assert len(raw) == 200
    assert raw[1].alert["name"] == "5"  # evenly spaced


def test_texts_are_planted_only_where_anybody_could_have_written() -> None:
    alert = {
        "event_type": "alert", "flow_id": 1, "src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "proto": "TCP",
        "alert": {"signature": "A rule's own name", "severity": 1, "signature_id": 1},
        "http": {"http_user_agent": "curl/8", "url": "/x"},
    }  # fmt: skip
    places = external_positions(alert)
    assert ("http", "http_user_agent") in places
    assert ("alert", "signature") not in places
    planted = appended(alert, ("http", "http_user_agent"), "PLANTED")
    assert [f.trust for f in parse(planted).facts if "PLANTED" in f.value and not f.derived] == ["external"]
    assert alert["http"]["http_user_agent"] == "curl/8"  # type: ignore[index]


def test_texts_take_turns_at_alerts_and_fields(judged: Callable[..., Any]) -> None:
    fields = {"id": "1", "command_line": "a", "user_agent": "b"}
    rows = [
        judged("true_positive", {"verdict": "true_positive"}, name=str(n))._replace(alert=fields | {"id": str(n)})
        for n in range(3)
    ]
    found = plans([*rows, judged("true_positive", {"verdict": "benign_positive"})], ["one", "two"])
    assert len(found) == 2 * 3
    assert {before.known["id"] for before, _ in found} == {"0", "1", "2"}
    assert len({str(item.alert) for _, item in found}) == 6


@pytest.mark.parametrize("value", [None, "/does/not/exist"])
def test_without_data_it_says_so_and_fails(value: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "AEGIS_DEV_DATA"}
    if value is not None:
        environment["AEGIS_DEV_DATA"] = value
    done = subprocess.run(
        [sys.executable, "-m", "evals.real_input"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 2
    assert "AEGIS_DEV_DATA" in done.stderr


def test_it_runs_without_a_network() -> None:
    code = (
        "import socket; from evals.real_input import forbid_network; forbid_network();"
        "socket.create_connection(('127.0.0.1', 9))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "runs without a network" in done.stderr
