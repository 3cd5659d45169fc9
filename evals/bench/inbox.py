"""What the inbox gets through: `python -m evals.bench.inbox`.

Alerts of five products, each different, are put in batches of 1, 100 and 500 and then taken and done by one and by two
processes that do nothing in between, on SQLite and on PostgreSQL, all on the disk that `--folder` is on. Reading an
alert is part of putting it. Where AEGIS_DEV_DATA is set it is also measured how well the priority ranks attacks first.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aegis_agents.inbox.likeness import likeness_of
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.priority import by_claim, prioritiser
from aegis_agents.inbox.records import Message
from aegis_agents.inbox.turn import PRIORITIES
from aegis_agents.settings import Settings, only
from aegis_agents.settings_inbox import InboxSettings
from aegis_agents.sources import parse
from evals.bench.alerts import distinct
from evals.bench.postgres import server

REPORTS = Path(__file__).parents[1] / "reports"
BATCHES = (1, 100, 500)
TAKERS = (1, 2)
_AT_ONCE = 10
_FORK = multiprocessing.get_context("fork")


def _messages(first: int, count: int) -> list[Message]:
    return [Message("bench", json.dumps(distinct(n)), str(n)) for n in range(first, first + count)]


def _put(settings: Settings, messages: list[Message], batch: int) -> tuple[float, float]:
    """Seconds, and seconds of this process's processor, to put them all."""
    inbox = open_inbox(settings)
    try:
        inbox.put(_messages(10**6, 1))  # loads what tells the priority
        begun, used = time.perf_counter(), time.process_time()
        new = sum(inbox.put(messages[at : at + batch]).new for at in range(0, len(messages), batch))
        seconds, used = time.perf_counter() - begun, time.process_time() - used
        if new != len(messages):
            raise AssertionError(f"{new} of {len(messages)} were new: folding must not be what is measured")
        return seconds, used
    finally:
        inbox.close()


def _take_all(settings: Settings, name: str, gate: Any, said: Any) -> None:
    inbox = open_inbox(settings)
    gate.wait()
    begun, done = time.perf_counter(), 0
    while held := inbox.take(name, _AT_ONCE):
        done += sum(inbox.done(name, one.number) for one in held)
    said.put((begun, time.perf_counter(), done))
    inbox.close()


def _taken(settings: Settings, takers: int) -> tuple[float, int]:
    """Seconds from the first to the last of them, and how many were done."""
    gate, said = _FORK.Barrier(takers), _FORK.SimpleQueue()
    working = [_FORK.Process(target=_take_all, args=(settings, f"w{n}", gate, said)) for n in range(takers)]
    for process in working:
        process.start()
    found = [said.get() for _ in working]
    for process in working:
        process.join()
    return max(end for _, end, _ in found) - min(begin for begin, _, _ in found), sum(done for *_, done in found)


def _database(settings: Callable[[str], Settings], count: int, rounds: int) -> dict[str, Any]:
    """Medians over rounds; in a round each batch size and each number of takers has its turn."""
    puts: dict[int, list[tuple[float, float]]] = {batch: [] for batch in BATCHES}
    takes: dict[int, list[float]] = {takers: [] for takers in TAKERS}
    for turn in range(rounds):
        for batch in BATCHES:
            some = count if batch > 1 else count // 5
            taken = _put(settings(f"p{turn}_{batch}"), _messages(0, some), batch)
            puts[batch].append((taken[0] / some, taken[1] / some))
        for takers in TAKERS:
            place = settings(f"t{turn}_{takers}")
            _put(place, _messages(0, count), 500)
            seconds, done = _taken(place, takers)
            if done != count + 1:
                raise AssertionError(f"{done} of {count + 1} were done")
            takes[takers].append(seconds / done)
    return {
        "put a second": {batch: 1 / statistics.median(s for s, _ in found) for batch, found in puts.items()},
        "put, processor ms each": {b: 1000 * statistics.median(s for _, s in found) for b, found in puts.items()},
        "take and done a second": {takers: 1 / statistics.median(found) for takers, found in takes.items()},
    }


def _parts(count: int) -> dict[str, float]:
    """Milliseconds of what reading an alert is made of, each alert seen for the first time."""
    told = prioritiser(only(home=Path("nowhere")))
    told(parse(distinct(0)))
    natives = [json.dumps(distinct(n)) for n in range(2 * 10**6, 2 * 10**6 + count)]
    spent: dict[str, list[float]] = {"parse": [], "likeness": [], "priority": []}
    for native in natives:
        at = [time.perf_counter()]
        incident = parse(native)
        for work in (lambda: None, lambda: likeness_of(incident, "bench"), lambda: told(incident)):  # noqa: B023 - run at once
            work()
            at.append(time.perf_counter())
        for name, begun, ended in zip(spent, at, at[1:], strict=False):
            spent[name].append(1000 * (ended - begun))
    return {name: statistics.median(found) for name, found in spent.items()}


def _auc(attacks: list[int], others: list[int]) -> float:
    """The share of pairs in which the attack comes first, ties half (Mann and Whitney 1947)."""
    return sum((a > o) + (a == o) / 2 for a in attacks for o in others) / (len(attacks) * len(others))


def priority(data: Path, draws: int = 2000) -> dict[str, Any]:
    """How well each rank separates the attacks of dev_cases/tune from the rest, with a bootstrap interval."""
    told = prioritiser(only(home=Path("nowhere")))
    cases = [json.loads(line) for line in (data / "dev_cases/tune/cases.jsonl").read_text("utf-8").splitlines()]
    incidents = [(parse(case["alert"]), case["truth"]["verdict"] == "true_positive") for case in cases]
    found: dict[str, Any] = {"cases": len(cases), "attacks": sum(attack for _, attack in incidents)}
    rng = random.Random(7)
    for name, way in (("the product's severity alone", by_claim), ("as shipped", told)):
        ranks = {
            want: [PRIORITIES.index(way(i)) for i, attack in incidents if attack is want] for want in (True, False)
        }
        drawn = sorted(
            _auc(rng.choices(ranks[True], k=len(ranks[True])), rng.choices(ranks[False], k=len(ranks[False])))
            for _ in range(draws)
        )
        found[name] = {"auc": _auc(ranks[True], ranks[False]), "95 %": [drawn[draws // 40], drawn[-draws // 40]]}
        found[name]["attacks by rank"] = {rank: ranks[True].count(n) for n, rank in enumerate(PRIORITIES)}
        found[name]["others by rank"] = {rank: ranks[False].count(n) for n, rank in enumerate(PRIORITIES)}
    return found


def measure(count: int, rounds: int, folder: Path | None) -> dict[str, Any]:
    """All figures."""
    limits = InboxSettings(hold_s=3600)
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        found = {
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]},
            "alerts": count, "rounds": rounds, "parts, ms": _parts(min(count, 500)),
            "sqlite": _database(lambda name: only(home=base / name, inbox=limits), count, rounds),
        }  # fmt: skip
        try:
            url = SecretStr(stack.enter_context(server(folder)))
        except RuntimeError as error:
            found["postgresql"] = str(error)
        else:
            found["postgresql"] = _database(
                lambda name: only(home=base, database=url, database_schema=name, inbox=limits), count, rounds
            )
        data = os.environ.get("AEGIS_DEV_DATA")
        found["priority"] = priority(Path(data)) if data else "AEGIS_DEV_DATA is not set"
    return found


def to_markdown(found: dict[str, Any]) -> str:
    """The tables for people."""
    machine, parts = found["machine"], found["parts, ms"]
    lines = [
        "# Bench of the inbox",
        "",
        f"`python -m evals.bench.inbox`, {found['alerts']} alerts (a fifth of them one by one), median of "
        f"{found['rounds']} rounds; {machine['cpus']} CPUs, Python {machine['python']}, load {machine['load']:.1f} at "
        "the beginning. Every put waits for the disk; what is taken and done does not, since forgotten it is done again.",
        "",
        "| | put a second, one by one | by 100 | by 500 | processor ms each, by 500 | take and done a second, 1 process | 2 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("sqlite", "postgresql"):
        told = found[name]
        if isinstance(told, str):
            lines.append(f"| {name} | {told} | | | | | |")
            continue
        put, take = told["put a second"], told["take and done a second"]
        cells = [*(f"{put[batch]:.0f}" for batch in BATCHES), f"{told['put, processor ms each'][500]:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells + [f'{take[takers]:.0f}' for takers in TAKERS])} |")
    lines += [
        "",
        f"Reading an alert for the first time, p50: parse {parts['parse']:.2f} ms, likeness {parts['likeness']:.2f} ms, "
        f"priority {parts['priority']:.2f} ms.",
        "",
        "## Priority",
        "",
    ]
    told = found["priority"]
    if isinstance(told, str):
        return "\n".join([*lines, f"Not measured: {told}."]) + "\n"
    lines += [
        f"Attacks ranked before the rest, {told['attacks']} of {told['cases']} development cases (dev_cases/tune). The "
        "thresholds were chosen with these cases in sight, and their severities are made to say nothing: read it as "
        "what the bag of words adds there, not as what it will add elsewhere.",
        "",
        "| | AUC | 95 % (bootstrap) | attacks: " + ", ".join(PRIORITIES) + " | others |",
        "|---|---|---|---|---|",
    ]
    for name in ("the product's severity alone", "as shipped"):
        one = told[name]
        low, high = one["95 %"]
        counts = (", ".join(map(str, one[which].values())) for which in ("attacks by rank", "others by rank"))
        lines.append(f"| {name} | {one['auc']:.2f} | {low:.2f} to {high:.2f} | {' | '.join(counts)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=2000, help="alerts of each measurement (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default: 3)")
    parser.add_argument("--folder", type=Path, help="where the databases lie: the disk to measure (default: temporary)")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder for the report (default: evals/reports)")
    given = parser.parse_args()
    found = measure(given.alerts, given.rounds, given.folder)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "bench_inbox.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (given.out / "bench_inbox.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
