"""Nothing phones home: every look-up and connection of a process is watched from its first import on."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.graph.conftest import FakeModel
from tests.telemetry.collector import collecting

ROOT = Path(__file__).parents[2]
_TOLD_TO = ("LANGSMITH", "LANGCHAIN", "OTEL_", "HF_", "AEGIS_", "RAY_", "GUARDRAILS")


@pytest.fixture(scope="module")
def intel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot on disk: building it takes a second."""
    from aegis_agents.intel import Intel

    folder = tmp_path_factory.mktemp("quiet")
    Intel.open(folder, FakeModel()).close()
    return folder


def _run(home: Path, intel: Path, endpoint: str) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_TOLD_TO)}
    # What a machine may have set for other programs: a key of LangSmith alone must not turn tracing on.
    environment |= {"LANGSMITH_API_KEY": "lsv2_nobody", "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.telemetry.quiet_program", str(home), str(intel), endpoint],
        capture_output=True, text=True, cwd=ROOT, env=environment, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _outside(went: list[list[str]]) -> list[list[str]]:
    """What left this machine, or began another program."""
    left = []
    for event, target in went:
        host = target.strip("'b\"")
        try:
            here = ipaddress.ip_address(host).is_loopback
        except ValueError:
            here = host in ("localhost", "None", "")
        if not event.startswith("socket.") or not here:
            left.append([event, target])
    return left


def test_a_day_with_telemetry_off_reaches_nobody_and_loads_none_of_it(tmp_path: Path, intel_folder: Path) -> None:
    found = _run(tmp_path, intel_folder, "")
    assert (found["verified"], found["decided"], found["served"]) == (True, 1, 200)
    assert _outside(found["went"]) == []
    assert found["threads"] == []
    assert found["loaded"] == []


def test_a_day_with_telemetry_on_reaches_the_collector_alone(tmp_path: Path, intel_folder: Path) -> None:
    with collecting() as collector:
        found = _run(tmp_path, intel_folder, collector.url)
    assert (found["verified"], found["decided"], found["served"]) == (True, 1, 200)
    assert _outside(found["went"]) == []
    assert {s.name for s in collector.spans} >= {"invoke_workflow aegis", "execute_tool block_ip", "GET /metrics"}
    assert "aegis.approvals_waiting" in collector.metrics
    assert [t for t in found["threads"] if t.startswith("Otel")]
