"""The analyzers over real jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Worker
from fake_aegis import FakeAegis

ALERT = {"title": "Beacon </td><script>alert(1)</script>", "host": "wks-1"}


def investigate(worker: Worker, data: Any = None, **more: Any) -> dict[str, Any]:
    return worker(
        "analyzers", "Aegis_Investigate", json.dumps(ALERT) if data is None else data, more.pop("kind", "other"), **more
    )


def test_an_alert_is_judged_and_its_taxonomies_say_so(worker: Worker) -> None:
    out = investigate(worker)
    assert out["success"], out
    assert out["full"]["case"]["verdict"] == "true_positive"
    verdict, waiting = out["summary"]["taxonomies"]
    assert verdict == {
        "level": "malicious",
        "namespace": "Aegis",
        "predicate": "Verdict",
        "value": "true_positive 0.97",
    }
    assert waiting["value"] == 1


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        ("benign_positive", "safe"),
        ("false_positive", "safe"),
        ("undetermined", "suspicious"),
        ("true_positive", "malicious"),
        ("new", "info"),
    ],
)
def test_each_verdict_has_its_level(worker: Worker, fake: FakeAegis, verdict: str, level: str) -> None:
    case = {
        "incident_id": "inc-1",
        "verdict": verdict,
        "confidence": 0.6,
        "severity": "low",
        "actions": [],
        "evidence": [],
    }
    facts = case | {"incident": {"entities": []}}
    fake.script((201, {}, json.dumps(case).encode()), (200, {}, json.dumps(facts).encode()))
    assert [t["level"] for t in investigate(worker)["summary"]["taxonomies"]] == [level]


def test_the_incidents_entities_become_artifacts_and_nothing_else_does(worker: Worker, fake: FakeAegis) -> None:
    quoted = "see 198.51.100.7 and http://evil.test/"
    case = {
        "incident_id": "inc-1",
        "verdict": "true_positive",
        "confidence": 0.9,
        "severity": "high",
        "actions": [],
        "summary": quoted,
    }
    entities = [
        {"kind": "ip", "value": "203.0.113.9", "role": "peer"}, {"kind": "email", "value": "a@b.test", "role": "actor"},
        {"kind": "alert", "value": "a-1", "role": "subject"},
    ]  # fmt: skip
    facts = json.dumps(case | {"incident": {"entities": entities}}).encode()
    fake.script((201, {}, json.dumps(case).encode()), (200, {}, facts))
    out = investigate(worker)
    assert [(a["dataType"], a["data"]) for a in out["artifacts"]] == [("ip", "203.0.113.9"), ("mail", "a@b.test")]


def test_a_file_is_read(worker: Worker, fake: FakeAegis) -> None:
    out = investigate(
        worker,
        "ignored",
        kind="file",
        file="alert.json",
        filename="a.json",
        files={"alert.json": json.dumps(ALERT).encode()},
    )
    assert out["success"], out
    assert json.loads(fake.requests[0].body) == ALERT


def test_shadow_and_format_reach_the_server(worker: Worker, fake: FakeAegis) -> None:
    investigate(worker, config={"shadow": True, "format": "okta"})
    assert fake.requests[0].query == {"shadow": "true", "format": "okta"}


@pytest.mark.parametrize("bad", ["[]", "no json", "7", "[" * 100_000, ""])
def test_what_is_no_alert_is_said_and_not_sent(worker: Worker, fake: FakeAegis, bad: str) -> None:
    out = investigate(worker, bad)
    assert not out["success"]
    assert "alert" in out["errorMessage"]
    assert fake.requests == []


@pytest.mark.parametrize(("more", "told"), [({"tlp": 3}, "TLP"), ({"pap": 3}, "PAP")])
def test_what_is_too_secret_is_not_sent(worker: Worker, fake: FakeAegis, more: dict[str, int], told: str) -> None:
    out = investigate(worker, **more)
    assert not out["success"]
    assert told in out["errorMessage"]
    assert fake.requests == []


def test_an_error_shows_no_token(worker: Worker, fake: FakeAegis) -> None:
    out = investigate(worker, role="nobody")
    assert not out["success"]
    assert "token is needed" in out["errorMessage"]
    assert "token-nobody" not in json.dumps(out)


def test_a_token_never_travels_unencrypted(worker: Worker) -> None:
    out = investigate(worker, config={"url": "http://aegis.test"})
    assert "unencrypted" in out["errorMessage"]


def test_a_job_on_standard_input_answers_on_standard_output(worker: Worker) -> None:
    job = worker.job("analyzers", "Aegis_Investigate", json.dumps(ALERT), "other")
    done = worker.run("analyzers", "Aegis_Investigate", str(worker.folder), stdin=json.dumps(job))
    assert json.loads(done.stdout)["full"]["case"]["verdict"] == "true_positive", done.stderr


def test_an_observable_is_asked_after(worker: Worker, fake: FakeAegis) -> None:
    out = worker("analyzers", "Aegis_Ask", "203.0.113.9", "ip")
    assert out["success"], out
    assert json.loads(fake.requests[0].body) == {"question": "What is known of the ip 203.0.113.9?"}
    assert out["summary"]["taxonomies"][0]["level"] == "info", "an answer is no verdict"
