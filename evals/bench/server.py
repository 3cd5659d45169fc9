"""The server beside the library, in one run: `python -m evals.bench.server` (writes evals/reports/server.{json,md}).

The library decides and one client asks, in turns, over the same kinds of alerts, so that the machine's noise falls on
both. Then 200 clients at once: errors, throughput and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from aegis_agents import Aegis
from aegis_agents.records import AEGIS
from evals.bench.alerts import stream

REPORTS = Path(__file__).parents[1] / "reports"
P50_TARGET_MS = 5.0
EVERYBODY = 200
"""Alerts after which every user and host of the stream has been met."""
KINDS = 5
_POST, _KEYED = "POST /v1/incidents", "the same with Idempotency-Key"
_KNOWN_HERE, _KNOWN = "library, an alert that is known", "POST of an alert that is known"
_READ, _QUEUE, _TIMERS = "GET /v1/incidents/{id}", "GET /v1/incidents (50 rows)", "GET /v1/timers"


def serve(home: Path, port: int) -> None:
    """The server, in a process of its own."""
    from aegis_agents.server.running import serve as run
    from aegis_agents.settings_server import ServerSettings

    with Aegis(home=home) as aegis:
        run(aegis, ServerSettings(port=port))


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Served:
    """A running server with a token for it."""

    def __init__(self, home: Path) -> None:
        with Aegis(home=home) as aegis:
            self.token = aegis.store.add_token("bench", ("admin",), AEGIS, valid_for=timedelta(days=1))
        self.url = f"http://127.0.0.1:{(port := _port())}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evals.bench.server", "--serve", str(home), "--port", str(port)],
            cwd=Path(__file__).parents[2],
        )
        self.headers = {"Authorization": f"Bearer {self.token}"}
        for _ in range(600):
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise RuntimeError("the server did not come up")

    def megabytes(self, what: str = "VmRSS") -> float:
        """Memory of the server's process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith(f"{what}:"))
        return int(line.split()[1]) / 1024

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(60)


def quantiles(taken: list[float]) -> dict[str, float]:
    """p10 (the least disturbed), p50, p95 and p99."""
    cuts = statistics.quantiles(taken, n=100)
    return {"n": len(taken), "p10": cuts[9], "p50": statistics.median(taken), "p95": cuts[94], "p99": cuts[98]}


def _alert(kind: int, turn: int) -> dict[str, Any]:
    """The alert of a kind (of five) for a turn: none comes twice, and everybody in it has been met."""
    return stream(EVERYBODY + turn * KINDS + kind)


def side_by_side(count: int) -> dict[str, Any]:
    """Milliseconds of the library and of the API over the same Aegis, in turns, with alerts of one kind next to each other.

    The server runs in a thread of this process, so that both have one state, one cache and one share of the machine.
    """
    names = ("library", _POST, _KEYED, _KNOWN_HERE, _KNOWN, _READ, _QUEUE, _TIMERS)
    taken: dict[str, list[float]] = {name: [] for name in names}
    processor = dict.fromkeys(names, 0.0)
    with tempfile.TemporaryDirectory() as home, Aegis(home=Path(home)) as aegis, listening(aegis) as (port, token):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

        def ask(method: str, path: str, body: Any = None, **more: str) -> Any:
            line.request(method, path, None if body is None else json.dumps(body), headers | more)
            answer = line.getresponse()
            text = answer.read()
            if answer.status not in (200, 201):
                raise RuntimeError(f"{path} answered {answer.status}")
            return json.loads(text)

        def timed(name: str, call: Callable[[], Any]) -> Any:
            used, begun = time.process_time(), time.perf_counter()
            found = call()
            taken[name].append(1000 * (time.perf_counter() - begun))
            processor[name] += 1000 * (time.process_time() - used)
            return found

        for number in range(EVERYBODY):
            aegis.investigate(stream(number))
        for number in range(count):
            kind, turn = number % KINDS, number * 3
            timed("library", partial(aegis.investigate, _alert(kind, turn)))
            case = timed(_POST, partial(ask, "POST", "/v1/incidents", _alert(kind, turn + 1)))
            key = {"Idempotency-Key": str(number)}
            timed(_KEYED, partial(ask, "POST", "/v1/incidents", _alert(kind, turn + 2), **key))
            timed(_KNOWN_HERE, partial(aegis.investigate, _alert(kind, turn)))
            timed(_KNOWN, partial(ask, "POST", "/v1/incidents", _alert(kind, turn)))
            timed(_READ, partial(ask, "GET", f"/v1/incidents/{case['incident_id']}"))
            timed(_QUEUE, partial(ask, "GET", "/v1/incidents"))
            timed(_TIMERS, partial(ask, "GET", "/v1/timers"))
        line.close()
    more = [api - own for own, api in zip(taken["library"], taken[_POST], strict=True)]
    known = [api - own for own, api in zip(taken[_KNOWN_HERE], taken[_KNOWN], strict=True)]
    return {
        "ms": {name: quantiles(of) | {"cpu": processor[name] / len(of)} for name, of in taken.items()},
        "p50 over the library's": statistics.median(taken[_POST]) - statistics.median(taken["library"]),
        "median of pairs": statistics.median(more),
        "median of pairs, known alert": statistics.median(known),
    }


@contextmanager
def listening(aegis: Aegis) -> Iterator[tuple[int, str]]:
    """A server over an Aegis in a thread; its port, and a token."""
    from aegis_agents.server.app import create_app
    from aegis_agents.server.running import make_server
    from aegis_agents.settings_server import ServerSettings

    settings = ServerSettings(port=0)
    server = make_server(create_app(aegis, settings), settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        token = aegis.store.add_token("bench", ("admin",), AEGIS, valid_for=timedelta(days=1))
        yield server.servers[0].sockets[0].getsockname()[1], token
    finally:
        server.should_exit = True
        thread.join()


async def _client(url: str, headers: dict[str, str], numbers: list[int], taken: list[float], codes: list[int]) -> None:
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=300) as client:
        for number in numbers:
            begun = time.perf_counter()
            answer = await client.post("/v1/incidents", json=stream(number))
            taken.append(time.perf_counter() - begun)
            codes.append(answer.status_code)


def crowd(clients: int, each: int) -> dict[str, Any]:
    """So many clients at once, each with its own alerts one after the other."""
    with tempfile.TemporaryDirectory() as home:
        served = Served(Path(home))
        try:
            taken: list[float] = []
            codes: list[int] = []

            async def all_at_once(of: int, first: int) -> None:
                ours = [list(range(first + c * each, first + (c + 1) * each)) for c in range(of)]
                await asyncio.gather(*(_client(served.url, served.headers, n, taken, codes) for n in ours))

            asyncio.run(all_at_once(4, 0))
            before = served.megabytes()
            taken.clear()
            codes.clear()
            begun = time.perf_counter()
            asyncio.run(all_at_once(clients, 1_000_000))
            seconds = time.perf_counter() - begun
            answered = {str(code): codes.count(code) for code in sorted(set(codes))}
            found = {
                "clients": clients, "requests": len(codes), "answers": answered, "seconds": seconds,
                "a second": len(codes) / seconds, "ms": quantiles([1000 * t for t in taken]),
                "MB before": before, "MB after": served.megabytes(), "MB peak": served.megabytes("VmHWM"),
            }  # fmt: skip
        finally:
            found["exit code after SIGTERM"] = served.stop()
    return found


def to_markdown(found: dict[str, Any]) -> str:
    """The report for people."""
    beside, many, machine = found["side by side"], found["crowd"], found["machine"]
    more = beside["p50 over the library's"]
    held = "held" if more <= P50_TARGET_MS else "MISSED"
    lines = [
        "# The server beside the library",
        "",
        "`python -m evals.bench.server`: both over one Aegis, in turns, over loopback; the crowd asks a server in a process of "
        f"its own. {machine['cpus']} CPUs, Python {machine['python']}, load average {machine['load'][0]:.1f} before and "
        f"{machine['load'][1]:.1f} after.",
        "",
        f"p50 of POST /v1/incidents over the library's own: {more:.2f} ms (target {P50_TARGET_MS:g}): {held}. Median of the "
        f"differences of pairs: {beside['median of pairs']:.2f} ms; where the alert is known, so that next to nothing is decided: "
        f"{beside['median of pairs, known alert']:.2f} ms.",
        "",
        "| ms | n | p10 | p50 | p95 | p99 | processor, mean |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, q in beside["ms"].items():
        lines.append(
            f"| {name} | {q['n']} | {q['p10']:.2f} | {q['p50']:.2f} | {q['p95']:.2f} | {q['p99']:.2f} | {q['cpu']:.2f} |"
        )
    q = many["ms"]
    lines += [
        "",
        f"{many['clients']} clients at once, {many['requests']} alerts: answers {many['answers']}, "
        f"{many['a second']:.1f} a second, p50 {q['p50']:.0f} ms, p95 {q['p95']:.0f} ms, p99 {q['p99']:.0f} ms; memory "
        f"{many['MB before']:.0f} MB before, {many['MB after']:.0f} after, peak {many['MB peak']:.0f}; exit code after "
        f"SIGTERM {many['exit code after SIGTERM']}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, keep; or be the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count",
        type=int,
        default=150,
        help="alerts of the library, and of the API with and without a key (default: 150)",
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--each", type=int, default=5, help="alerts of each client")
    parser.add_argument("--out", type=Path, default=REPORTS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port)
        return 0

    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    load = [os.getloadavg()[0]]
    found = {"side by side": side_by_side(given.count), "crowd": crowd(given.clients, given.each)}
    load.append(os.getloadavg()[0])
    found["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": load}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "server.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (given.out / "server.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
