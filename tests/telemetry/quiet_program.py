"""Everything that Aegis does in a day, in a process that writes down every look-up and connection that it makes.

`python -m tests.telemetry.quiet_program HOME INTEL ENDPOINT` prints JSON: what went where, threads, and modules. An empty
ENDPOINT leaves telemetry off. It watches from the first import on, and lets nothing be taken for granted: the model, the
gate's guardrails, LangGraph, the server, a worker and an expression of the evaluation all run.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from typing import Any

WENT: list[list[str]] = []
_EVENTS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.connect", "socket.sendto")


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS:
        target = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        if event != "socket.connect" or getattr(arguments[0], "family", None) != socket.AF_UNIX:
            WENT.append([event, str(target[0] if isinstance(target, tuple) else target)])
    elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"):
        WENT.append([event, str(arguments[0])])


sys.addaudithook(_watch)


def _day(home: str, intel: str, endpoint: str) -> dict[str, Any]:
    from pathlib import Path

    from aegis_agents import Aegis
    from aegis_agents.intel import Intel
    from aegis_agents.settings_telemetry import TelemetrySettings
    from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel

    telemetry = TelemetrySettings(otlp_endpoint=endpoint or None)
    model = FakeModel()
    opened = Intel.open(Path(intel), model, build_if_missing=False)
    with Aegis(model=model, intel=opened, tools=[FakeFirewall()], home=Path(home), telemetry=telemetry) as aegis:
        aegis.investigate(ATTACK)
        row = next(r for r in aegis.pending() if r.proposal.action == "block_ip")
        aegis.approve(row.action_id, by="alice")
        aegis.undo(row.action_id, by="alice")
        verified = aegis.store.verify().entries > 0
        decided = _worker(aegis)
        served = _serve(aegis)
        # guardrails-ai imports OpenTelemetry's SDK and exporters of itself, and opens none of them.
        loaded = [m for m in sys.modules if m.startswith("structlog") or m == "aegis_agents.telemetry.incident"]
        threads = [t.name for t in threading.enumerate() if t.name.startswith(("Otel", "aegis-telemetry"))]
    from aegis_agents.model import FastModel

    FastModel(threads=1).embed(["whoami"])
    return {"verified": verified, "decided": decided, "served": served, "loaded": loaded, "threads": threads}


def _worker(aegis: Any) -> int:
    """An alert through the inbox and a worker."""
    from aegis_agents.fleet.worker import Worker
    from aegis_agents.inbox.opening import open_inbox
    from aegis_agents.inbox.records import Message
    from tests.graph.conftest import ATTACK

    inbox = open_inbox(aegis.settings)
    inbox.put([Message("test", json.dumps(ATTACK | {"event_id": "w-1"}))])
    stop = threading.Event()
    working = threading.Thread(target=Worker(aegis, inbox, aegis.settings.worker).run, args=(stop,))
    working.start()
    for _ in range(1500):
        if inbox.counts().done:
            break
        stop.wait(0.02)
    stop.set()
    working.join(30)
    done = inbox.counts().done
    inbox.close()
    return done


def _serve(aegis: Any) -> int:
    """The server, from its start to an answer at /metrics and its end."""
    import httpx

    from aegis_agents.server.app import create_app
    from aegis_agents.server.running import make_server
    from aegis_agents.settings_server import ServerSettings

    settings = ServerSettings(port=0)
    server = make_server(create_app(aegis, settings), settings)
    running = threading.Thread(target=server.run)
    running.start()
    while not server.started and running.is_alive():
        threading.Event().wait(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    found = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).status_code
    server.should_exit = True
    running.join(30)
    return found


if __name__ == "__main__":
    print(json.dumps(_day(*sys.argv[1:]) | {"went": WENT}))
