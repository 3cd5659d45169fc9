"""One alert through LangGraph's own server, offline: what `langgraph.json` names runs there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"}), timeout=120
    ) as answer:
        return json.loads(answer.read())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The server's address, with the graph of this checkout; it writes into a folder of the test's own."""
    if find_spec("langgraph_api") is None:
        pytest.skip("langgraph-cli[inmem] is not installed")
    named = json.loads((ROOT / "langgraph.json").read_text("utf-8"))
    graphs = {name: str(ROOT / place) for name, place in named["graphs"].items()}
    (tmp_path / "langgraph.json").write_text(json.dumps({**named, "dependencies": [str(ROOT)], "graphs": graphs}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = shutil.which("langgraph", path=str(Path(sys.executable).parent))
    assert program is not None
    quiet = {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1", "AEGIS_HOME": str(tmp_path / "home")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "dev", "--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(port)],
            cwd=tmp_path, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                _ask(f"{url}/ok")
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (tmp_path / "log").read_text("utf-8", "replace")[-3000:]
                time.sleep(0.1)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_an_alert_goes_through_langgraphs_server(served: str, tmp_path: Path) -> None:
    text = (resources.files("aegis_agents.cli") / "demo_alerts" / "2_authorised.json").read_text("utf-8")
    run = {"assistant_id": "investigate", "input": {"alert": json.loads(text)}}
    found = _ask(f"{served}/runs/wait", run)
    assert "__error__" not in found
    assert found["incident"]["source"] == "elastic_ecs"
    assert found["__interrupt__"], "what needs a person waits, as anywhere else"
    again = _ask(f"{served}/runs/wait", run)  # the graph is built once
    assert again["incident"]["id"] == found["incident"]["id"]
    assert "BlockingError" not in (tmp_path / "log").read_text("utf-8", "replace")
    from aegis_agents import Aegis

    with Aegis(home=tmp_path / "home") as aegis:
        assert {row.incident_id for row in aegis.pending()} == {found["incident"]["id"]}
        assert len({row.action_id for row in aegis.pending()}) == len(aegis.pending())
