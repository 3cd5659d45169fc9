"""A storm let loose on the real thing, small: inbox, worker processes and model; and the same storm simulated.

Alerts are put by a clock; each worker writes down when it took one and how long it was at it. Their waiting times are
then compared with those that the simulation gives for the same arrivals, ranks and workers.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Held, Message
from aegis_agents.inbox.turn import PRIORITIES
from aegis_agents.settings import only
from evals.bench.alerts import meet_everybody, stream
from evals.storm_model import Arrival, Inbox, Outcome, from_samples, simulate

ROOT = Path(__file__).parents[1]
_FIRST = 100_000


def _settings(home: Path) -> Any:
    return only(home=home, threads=1, inbox={"fold_minutes": 0.0})


def work(home: Path, owner: str) -> None:
    """Be a worker until standard input ends and nothing waits; a line for each alert: number, taken at, seconds at it."""
    from aegis_agents import Aegis

    told_to_end = False
    with Aegis(settings=_settings(home)) as aegis:
        meet_everybody(aegis)
        for number in range(5):
            aegis.investigate(stream(int(owner) * 10 + number))
        inbox = open_inbox(_settings(home))
        print("ready", flush=True)
        sys.stdin.readline()
        while True:
            taken = inbox.take(owner)
            for held in taken:
                print(json.dumps(_one(aegis, inbox, owner, held)), flush=True)
            if not taken:
                if told_to_end:
                    break
                told_to_end = (home / "all").exists()
                time.sleep(0.002)
        inbox.close()


def _one(aegis: Any, inbox: Any, owner: str, held: Held) -> dict[str, Any]:
    now = time.time()
    aegis.investigate(json.loads(held.message.native))
    inbox.done(owner, held.number)
    return {
        "name": held.message.position, "rank": PRIORITIES.index(held.priority), "stream": held.message.stream,
        "taken": now, "seconds": time.time() - now,
    }  # fmt: skip


def let_loose(count: int, rate: float, workers: int, seed: int) -> dict[str, Any]:
    """Put `count` alerts, `rate` a second at random, to so many workers; what each waited, really and simulated."""
    dice = random.Random(seed)
    gaps = [dice.expovariate(rate) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        inbox = open_inbox(_settings(home))
        inbox.put([Message("warm", json.dumps(stream(0)), position="warm")])  # loads what tells priorities
        for held in inbox.take("warm", 1):
            inbox.done("warm", held.number)
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "evals.storm_real", str(home), str(number)], cwd=ROOT, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True,
            ) for number in range(workers)
        ]  # fmt: skip
        try:
            for process in processes:
                assert process.stdout is not None
                if process.stdout.readline().strip() != "ready":
                    raise RuntimeError(f"a worker ended with {process.poll()}")
            for process in processes:
                process.stdin.write("go\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            came = _bring(inbox, gaps)
            (home / "all").touch()
            lines = [json.loads(line) for process in processes for line in process.communicate()[0].splitlines()]
        finally:
            for process in processes:
                process.kill()
                process.wait()
            inbox.close()
    return _compare(came, lines, workers, seed)


def _bring(inbox: Any, gaps: Sequence[float]) -> dict[str, float]:
    came, at = {}, time.time()
    for number, gap in enumerate(gaps):
        at += gap
        time.sleep(max(0.0, at - time.time()))
        name = str(number)
        came[name] = time.time()
        inbox.put([Message("edr", json.dumps(stream(_FIRST + number)), position=name)])
    return came


def _compare(came: dict[str, float], lines: list[dict[str, Any]], workers: int, seed: int) -> dict[str, Any]:
    began = min(came.values())
    really: list[tuple[int, float]] = [(line["rank"], line["taken"] - came[line["name"]]) for line in lines]
    ranks = {line["name"]: line["rank"] for line in lines}
    arrivals = [Arrival(at - began, "edr", ranks[name]) for name, at in sorted(came.items(), key=lambda item: item[1])]
    seconds = [line["seconds"] for line in lines]
    draw = from_samples(seconds, [0.0] * len(seconds))
    runs: list[Outcome] = [
        simulate(arrivals, draw, workers=workers, inbox=Inbox(), seed=seed + turn) for turn in range(20)
    ]
    simulated = [(w.rank, w.seconds) for run in runs for w in run.waited]
    return {
        "alerts": len(lines), "workers": workers, "seconds at one, mean": sum(seconds) / len(seconds),
        "came in, s": max(came.values()) - began,
        "really, drained after s": max(line["taken"] + line["seconds"] for line in lines) - began,
        "simulated, drained after s": sorted(run.drained_at for run in runs)[len(runs) // 2],
        "by priority": {
            PRIORITIES[rank]: {"really": waits(really, rank), "simulated": waits(simulated, rank)}
            for rank in sorted({rank for rank, _ in really}, reverse=True)
        },
    }  # fmt: skip


def waits(found: Sequence[tuple[int, float]], rank: int | None = None) -> dict[str, float]:
    """n, p50, p95 and the longest, in seconds, of one rank or of all."""
    own = sorted(seconds for of, seconds in found if rank is None or of == rank)
    pick: Callable[[float], float] = lambda share: own[min(len(own) - 1, int(share * len(own)))] if own else 0.0  # noqa: E731
    return {"n": len(own), "p50": pick(0.5), "p95": pick(0.95), "max": own[-1] if own else 0.0}


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])
