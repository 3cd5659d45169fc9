"""Incidents a second: processes against Ray's actors, files against PostgreSQL: `python -m evals.bench.fleet`.

Each arrangement gets the same stream of alerts in its inbox; its workers open everything first and have met one alert
each, then the rest is put in and the time until all is decided is taken. Arrangements take turns, `--rounds` times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aegis_agents import Aegis
from aegis_agents.fleet.opening import for_worker
from aegis_agents.fleet.processes import Processes
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Message
from aegis_agents.settings import Settings, only
from evals.bench.alerts import stream

REPORTS = Path(__file__).parents[1] / "reports"
LONGEST_S = 300.0
"""Longest wait for what was put in: a worker that could not open would be waited for without end."""


def settings_of(home: Path, database: str | None, schema: str, threads: int = 1) -> Settings:
    """The settings of one arrangement."""
    secret = SecretStr(database) if database else None
    worker = {"threads": threads, "idle_s": 0.05, "recover_s": 3600, "watch": False}
    return only(home=home, database=secret, database_schema=schema, worker=worker, inbox={"fold_minutes": 0.0})


def open_one(home: Path, database: str | None, schema: str, threads: int = 1) -> Aegis:
    """What each worker opens (on Ray the address has no password here)."""
    return Aegis(settings=for_worker(settings_of(home, database, schema, threads)))


def _put(inbox: Inbox, numbers: range) -> int:
    """Put alerts in; answers how many incidents they are: exact copies are folded whatever the settings."""
    new = 0
    for at in range(numbers.start, numbers.stop, 100):
        part = range(at, min(at + 100, numbers.stop))
        new += inbox.put([Message("bench", json.dumps(stream(n)), str(n)) for n in part]).new
    return new


def _until_done(inbox: Inbox, many: int) -> None:
    until = time.monotonic() + LONGEST_S
    while inbox.counts().done < many:
        if time.monotonic() > until:
            raise TimeoutError(f"{inbox.counts()} after {LONGEST_S:g} s, where {many} were to be done")
        time.sleep(0.02)


@contextmanager
def _processes(opener: Any, count: int) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Processes(opener, count).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _actors(opener: Any, count: int, settings: Settings) -> Iterator[None]:
    from aegis_agents.fleet.cluster import LOCAL, Cluster, namespace
    from aegis_agents.fleet.ray_setup import join

    ray = join(LOCAL, settings, namespace=namespace(settings), num_cpus=count)
    fleet = Cluster(ray, opener, settings, count=count, say=lambda _: None)
    try:
        fleet.start()
        yield
        fleet.stop()
    finally:
        ray.shutdown()


def one(kind: str, count: int, database: str | None, alerts: int, threads: int, round: int) -> float:
    """Incidents a second of one arrangement."""
    with tempfile.TemporaryDirectory() as folder:
        home, schema = Path(folder), f"bench_{os.getpid()}_{kind}_{count}_{threads}_{round}"
        given = (home, database, schema, threads)
        with open_one(*given) as aegis:
            _ = aegis.context  # the intelligence is built once
        settings = settings_of(*given)
        inbox = open_inbox(settings)
        opener = partial(open_one, *given)
        around = _processes(opener, count) if kind == "processes" else _actors(opener, count, settings)
        with around:
            warm = 40 * count
            met = _put(inbox, range(warm))
            _until_done(inbox, met)
            begun = time.perf_counter()
            new = _put(inbox, range(warm, warm + alerts))
            _until_done(inbox, met + new)
            taken = time.perf_counter() - begun
        inbox.close()
        return new / taken


@contextmanager
def a_database() -> Iterator[str | None]:
    """A PostgreSQL of this run's own, durable as a real one; None where its programs are missing."""
    from tests.ledger.postgres_server import running, why_not

    if why_not():
        yield None
        return
    with running() as server:
        yield server.url


def measure(alerts: int, rounds: int) -> dict[str, Any]:
    """All arrangements, in turns."""
    load = [os.getloadavg()[0]]
    found: dict[str, list[float]] = {}
    with a_database() as database:
        plans: list[tuple[str, str, int, str | None, int]] = []
        for place, address in [("files", None), *([("PostgreSQL", database)] if database else [])]:
            plans += [
                (f"1 process, {place}", "processes", 1, address, 1),
                (f"2 processes, {place}", "processes", 2, address, 1),
                (f"2 Ray actors, {place}", "actors", 2, address, 1),
            ]
        plans.append(("1 process, files, 2 threads of the encoder", "processes", 1, None, 2))
        for round in range(rounds):
            for name, kind, count, address, threads in plans:
                found.setdefault(name, []).append(one(kind, count, address, alerts, threads, round))
    load.append(os.getloadavg()[0])
    return {
        "alerts": alerts, "rounds": rounds, "incidents a second": found,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load before and after": load},
    }  # fmt: skip


def to_markdown(found: dict[str, Any]) -> str:
    """The table for people."""
    machine, (before, after) = found["machine"], found["machine"]["load before and after"]
    lines = [
        "# Bench of the fleet", "",
        f"`python -m evals.bench.fleet --alerts {found['alerts']} --rounds {found['rounds']}`, all in one run, in turns. "
        f"{machine['cpus']} CPUs, Python {machine['python']}, load average {before:.1f} before and {after:.1f} after"
        + ("; the machine was busy with other work, so that these say little." if max(before, 0) >= 2 else "."),
        "", "| arrangement | incidents a second, median | least | most | n |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, rates in found["incidents a second"].items():
        lines.append(
            f"| {name} | {statistics.median(rates):.1f} | {min(rates):.1f} | {max(rates):.1f} | {len(rates)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=600, help="alerts of each arrangement and round (default: 600)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=REPORTS)
    given = parser.parse_args()
    found = measure(given.alerts, given.rounds)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "bench_fleet.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (given.out / "bench_fleet.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
