"""What the recipes and packages send, against the real server: the same requests as against the fake one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from aegis_agents.records import AEGIS
from tests.server.conftest import ATTACK, FakeModel, firewall, intel_home, listening, make
from tests.soar.package_run import CANT_INSTALL, TOOLS
from tests.soar.test_http_recipes import OPENAPI, OPERATIONS, Story, _index

__all__ = ["firewall", "intel_home", "listening", "make"]


class Wary(FakeModel):
    """Takes what is named Beacon for an attack, in whichever field the verdict would otherwise stand."""

    def assess(self, incident: Any, **more: Any) -> Any:
        found = super().assess(incident, **more)
        if incident.title != "Beacon":
            return found
        likely = found.probabilities | {"true_positive": 0.97, "undetermined": 0.01}
        weights = tuple(weight.model_copy(update={"weight": 0.5}) for weight in found.weights)
        return found.model_copy(update={"verdict": "true_positive", "probabilities": likely, "weights": weights})


class Real:
    """The real server where the recipes expect the fake one."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self._token = url, token

    def token(self) -> str:
        return self._token


@pytest.fixture
def real(make: Callable[..., Any], listening: Callable[..., Any]) -> Iterator[Real]:
    aegis = make(model=Wary())
    with listening(aegis) as url:
        roles = ("viewer", "analyst", "approver", "operator", "admin")
        yield Real(url, aegis.store.add_token("soar", roles, AEGIS, valid_for=timedelta(days=1)))


def _ask(real: Real, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {real.token()}"}
    return httpx.request(method, real.url + path, headers=headers, json=body, timeout=60)


def test_the_tines_story_goes_all_the_way(real: Real) -> None:
    story = Story(real)  # type: ignore[arg-type]
    story.run(_index("Alert"), {"alert": {"body": ATTACK}})
    assert "Ask a person" in story.ran
    waiting = next(item for item in _ask(real, "GET", "/v1/approvals").json()["items"] if item["action"] == "block_ip")
    answer = {"action_id": waiting["action_id"], "decision": "approve", "reason": "seen"}
    story.run(_index("Answer"), {"answer": {"body": answer}})
    assert _ask(real, "GET", f"/v1/actions/{waiting['action_id']}").json()["outcome"] == "executed"
    story.run(_index("Answer"), {"answer": {"body": answer}})
    assert story.ran[-1] == "Somebody was first"


def test_every_shuffle_example_is_taken_by_the_real_server(real: Real) -> None:
    case = _ask(real, "POST", "/v1/incidents", ATTACK).json()
    waiting = [a["action_id"] for a in case["actions"] if a["outcome"] == "awaiting_approval"]
    assert waiting, json.dumps(case["actions"])
    for path, method in OPERATIONS:
        known = OPENAPI["paths"][path][method]
        body = known.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        answer = _ask(real, method, path.format(action_id=waiting[0], incident_id=case["incident_id"]), body)
        # An action is answered once: what comes after the first answer is 409, and nothing is a malformed request.
        # An entity that this incident does not have is refused (422), and a server may be without an assistant (503).
        allowed = set(known["responses"]) | {"409"}
        allowed |= {"422"} if path.endswith("/retarget") else {"503"} if path == "/v1/ask" else set()
        assert str(answer.status_code) in allowed, (path, answer.text)
        assert answer.status_code not in (400, 404, 405, 415), (path, answer.text)


@pytest.mark.timeout(600)
def test_cortex_workers_judge_a_case_and_approve_its_task(real: Real, tmp_path: Path) -> None:
    folder = TOOLS / "thehive_cortex"
    made = subprocess.run(
        [str(TOOLS / "sdk_venv.sh"), "thehive_cortex", str(folder / "requirements-test.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode == CANT_INSTALL:
        pytest.skip("cortexutils can't be installed here")
    assert made.returncode == 0, made.stderr
    python = Path(made.stdout.strip()) / "bin" / "python"
    subprocess.run(
        [str(folder / "build.sh"), str(tmp_path / "built")], env=os.environ | {"PYTHON": str(python)}, check=True
    )
    responder = tmp_path / "built" / "responders" / "Aegis" / "aegis_responder.py"

    def run(service: str, data_type: str, data: dict[str, Any]) -> dict[str, Any]:
        config = {"url": real.url, "token": real.token(), "service": service}
        job = {"dataType": data_type, "data": data, "tlp": 2, "pap": 2, "config": config}
        done = subprocess.run(
            [str(python), str(responder), str(tmp_path)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
        )
        return dict(json.loads(done.stdout))

    case = {"_id": "~1", "title": "Beacon", "severity": 2, "observables": [{"dataType": "ip", "data": "203.0.113.9"}]}
    judged = run("investigate", "thehive:case", case)
    assert judged["success"], judged
    tasks = [o for o in judged["operations"] if o["type"] == "CreateTask"]
    assert tasks, judged["full"]["case"]["actions"]
    approved = run("approve", "thehive:case_task", {"title": tasks[0]["title"]})
    assert approved["success"], approved
    again = run("approve", "thehive:case_task", {"title": tasks[0]["title"]})
    assert not again["success"], "answered once"
