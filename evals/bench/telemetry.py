"""What telemetry costs: `python -m evals.bench.telemetry`.

The same alerts through Aegis without telemetry, with figures for Prometheus, with traces to a collector on loopback, and with
JSON lines as well, in turns, so that the machine's noise falls on all alike. The hooks that are there while it is off are
timed alone too, since what they cost is far below the noise of a decision.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aegis_agents import Aegis
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.telemetry.logs import configure
from aegis_agents.telemetry.watch import now
from evals.bench.alerts import stream

REPORTS = Path(__file__).parents[1] / "reports"
WARM = 60
KINDS = 5
_CALLS = 200_000


class _Collector(BaseHTTPRequestHandler):
    """Takes what comes."""

    bytes = requests = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).bytes += len(gzip.decompress(body))
        type(self).requests += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def measure(count: int) -> dict[str, Any]:
    """Milliseconds of a decision, by what listens; each alert once with each."""
    taken: dict[str, list[float]] = {}
    with ExitStack() as stack:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        wanted = {
            "off": TelemetrySettings(), "off again": TelemetrySettings(), "Prometheus": TelemetrySettings(metrics_port=0),
            "traces and metrics": TelemetrySettings(otlp_endpoint=url),
            "the same, and JSON lines": TelemetrySettings(otlp_endpoint=url, logs="json"),
        }  # fmt: skip
        null = stack.enter_context(Path(os.devnull).open("w"))
        configure(TelemetrySettings(logs="json"), stream=null)
        made: dict[str, Aegis] = {}
        for name, telemetry in wanted.items():
            home = stack.enter_context(tempfile.TemporaryDirectory())
            first = next(iter(made.values()), None)
            shared = {"model": first.context.model, "intel": first.context.intel} if first else {}
            made[name] = stack.enter_context(Aegis(home=Path(home), telemetry=telemetry, **shared))
        for number in range(WARM):
            for aegis in made.values():
                aegis.investigate(stream(number))
        taken = {name: [] for name in made}
        order = list(made)
        for number in range(WARM, WARM + count):
            random.shuffle(order)
            alert = stream(number)
            for name in order:
                begun = time.perf_counter()
                made[name].investigate(alert)
                taken[name].append(1000 * (time.perf_counter() - begun))
    return {
        "ms": {name: _quantiles(of) for name, of in taken.items()},
        "over off": {name: _ratio(taken["off"], of) for name, of in taken.items() if name != "off"},
        "collector": {"requests": _Collector.requests, "bytes": _Collector.bytes},
    }


def _quantiles(taken: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(taken, n=20)
    return {"n": len(taken), "p50": statistics.median(taken), "p95": cuts[18]}


def _ratio(off: list[float], on: list[float]) -> dict[str, float]:
    """Median of the pairs' ratios, with a 95 % bootstrap interval (percentile, 2000 resamples)."""
    pairs = [b / a for a, b in zip(off, on, strict=True)]
    draw = random.Random(7)
    medians = sorted(statistics.median(draw.choices(pairs, k=len(pairs))) for _ in range(2000))
    return {"median": statistics.median(pairs), "low": medians[50], "high": medians[1949]}


def hooks() -> float:
    """Nanoseconds of what each agent pays while nobody listens: one look at a context variable."""
    begun = time.perf_counter()
    for _ in range(_CALLS):
        now()
    return 1e9 * (time.perf_counter() - begun) / _CALLS


def to_markdown(found: dict[str, Any]) -> str:
    """The report for people."""
    machine = found["machine"]
    lines = [
        "# What telemetry costs",
        "",
        f"`python -m evals.bench.telemetry --count {found['count']}`: the same alerts through each, in random order, one state "
        f"each, model and intelligence shared. {machine['cpus']} CPUs, Python {machine['python']}, load average "
        f"{machine['load'][0]:.1f} before and {machine['load'][1]:.1f} after. The ratio is the median over pairs of one alert, with a 95 % bootstrap "
        "interval; “off again” is a second one that is off, and shows the noise.",
        "",
        "| | n | p50 ms | p95 ms | ratio to off |",
        "|---|---|---|---|---|",
    ]
    for name, q in found["ms"].items():
        ratio = found["over off"].get(name)
        shown = f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})" if ratio else ""
        lines.append(f"| {name} | {q['n']} | {q['p50']:.2f} | {q['p95']:.2f} | {shown} |")
    lines += [
        "",
        f"While it is off each agent pays one look at a context variable: {found['hook ns']:.0f} ns. The collector got "
        f"{found['collector']['requests']} messages, {found['collector']['bytes'] / 1e6:.1f} MB before compression.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="alerts (default: 300)")
    parser.add_argument("--out", type=Path, default=REPORTS)
    given = parser.parse_args()
    load = [os.getloadavg()[0]]
    found = measure(given.count) | {"hook ns": hooks(), "count": given.count}
    load.append(os.getloadavg()[0])
    found["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": load}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "telemetry.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (given.out / "telemetry.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
