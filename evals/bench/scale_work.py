"""One worker of a measurement, in a process of its own: it says that it is ready, waits for the word, and works.

What it works on are whole investigations with the real model, or what journal and ledger are asked for one
(see evals/bench/ledger.py). `after_lock` tries a change that is proposed and not made: see `flush_after_lock`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from aegis_agents.ledger.database import Left
from aegis_agents.sources import parse
from evals.bench.alerts import distinct, meet_everybody, stream
from evals.bench.ledger import Prepared, _case, _decisions, investigate
from evals.bench.scale_place import Place

ROOT = Path(__file__).parents[2]
_MOST = 1500
"""Incidents of one worker in one measurement, at most."""
_PARSED = 50


def flush_after_lock(store: Any) -> None:
    """Let go of the ledger's lock before the disk is waited for, and wait then, together with others.

    Now the lock is given back when COMMIT returns, after the flush: nobody's flush can be shared. Here the commit
    itself waits for nothing, and a message of no content is written to the write-ahead log and flushed without
    the lock: the log is flushed in order, so that what was committed before is on disk too when it returns.
    """
    real_begin, real_committed = store._begin, store._committed

    def begin(*, flush: bool) -> int:
        return int(real_begin(flush=False))

    def committed(left: Left) -> None:
        store._run("SELECT pg_logical_emit_message(true, 'aegis', '')")
        real_committed(left)

    store._begin, store._committed = begin, committed


def _ledger_work(place: Place, first: int, step: int, after_lock: bool) -> tuple[Any, Callable[[int], object]]:
    store: Any = place.store()
    if after_lock:
        flush_after_lock(store)
    parsed = [(alert, parse(alert)) for alert in map(distinct, range(_PARSED))]
    made = []
    for turn in range(_MOST):
        alert, incident = parsed[turn % _PARSED]
        incident = incident.model_copy(update={"id": f"{incident.id}-{first + turn * step}"})
        decided = list(_decisions(incident))
        case = _case(incident, [proposal for proposal, _ in decided[:2]])
        made.append(Prepared(incident, json.dumps(alert), decided, case))
    return store, lambda turn: investigate(store, made[turn])


def _whole_work(place: Place, first: int, step: int) -> tuple[Any, Callable[[int], object]]:
    aegis = place.aegis(threads=1)
    meet_everybody(aegis)
    for number in range(5):
        aegis.investigate(stream(10_000_000 + first * 5 + number))
    return aegis, lambda turn: aegis.investigate(stream(first + turn * step))


def _megabytes() -> dict[str, float]:
    found = {}
    for line in Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()[1:]:
        name, value = line.split()[:2]
        if name in ("Rss:", "Pss:"):
            found[name[:-1]] = int(value) / 1024
    return found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def work(given: argparse.Namespace) -> None:
    """Be such a worker."""
    place = Place(given.home, given.database, given.schema)
    if given.what == "ledger":
        thing, one = _ledger_work(place, given.first, given.step, given.after_lock)
    else:
        thing, one = _whole_work(place, given.first, given.step)
    with closing(thing):
        print("ready", flush=True)
        sys.stdin.readline()
        taken: list[float] = []
        begun, used = time.perf_counter(), time.process_time()
        while (now := time.perf_counter()) < begun + given.seconds and len(taken) < _MOST:
            one(len(taken))
            taken.append(1000 * (time.perf_counter() - now))
        seconds, used = time.perf_counter() - begun, time.process_time() - used
    print(json.dumps({"seconds": seconds, "cpu": used, "ms": taken, "MB": _megabytes()}), flush=True)


def together(
    place: Place, processes: int, seconds: float, *, what: str, first: int, after_lock: bool = False
) -> list[dict[str, Any]]:
    """So many workers at once, each with its own incidents; what each measured."""
    where = ["--database", place.database, "--schema", place.schema] if place.database else []
    workers = [
        subprocess.Popen(
            [
                sys.executable, "-m", "evals.bench.scale_work", "--home", str(place.home), *where, "--what", what,
                "--first", str(first + number), "--step", str(processes), "--seconds", str(seconds),
                *(["--after-lock"] if after_lock else []),
            ],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) for number in range(processes)
    ]  # fmt: skip
    try:
        for worker in workers:
            _read(worker, "ready")
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return [json.loads(_read(worker)) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _read(worker: subprocess.Popen[str], expected: str | None = None) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline().strip()
    if not line or (expected and line != expected):
        raise RuntimeError(f"a worker answered {line!r} and ended with {worker.poll()}")
    return line


def main(argv: Sequence[str] | None = None) -> None:
    """The command line of one worker; `together` starts it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--database")
    parser.add_argument("--schema", default="aegis")
    parser.add_argument("--what", choices=("whole", "ledger"), default="whole")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--after-lock", action="store_true")
    work(parser.parse_args(argv))


if __name__ == "__main__":
    main()
