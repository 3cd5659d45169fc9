"""The single measurements of evals/bench/scale.py: one incident, its writes, the ledger's ceiling, a long history."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from aegis_agents import sources
from evals.bench.alerts import meet_everybody, stream
from evals.bench.postgres import cpu_seconds, settle
from evals.bench.scale_place import Place, grow
from evals.bench.scale_work import together
from evals.bench.where import Meter

WARM = 20
_HOUR = timedelta(hours=1)


class LockMeter:
    """How long a store waits for the ledger's one lock, and how long it holds it, in seconds."""

    def __init__(self, store: Any) -> None:
        self.waited: list[float] = []
        self.held: list[float] = []
        self.flushed = self.statements = 0
        self.worked = 0.0
        """Processor seconds of the thread that held it, whatever else the machine was busy with."""
        begin, execute = store._begin, store._execute
        self._since = self._worked = 0.0

        def timed_begin(*, flush: bool) -> None:
            asked = time.perf_counter()
            begin(flush=flush)
            self._since = time.perf_counter()
            self._worked = time.thread_time()
            self.waited.append(self._since - asked)
            self.flushed += flush

        def timed_execute(sql: str, values: Any) -> Any:
            done = execute(sql, values)
            self.statements += bool(store._depth)
            if sql in ("COMMIT", "ROLLBACK"):
                self.held.append(time.perf_counter() - self._since)
                self.worked += time.thread_time() - self._worked
            return done

        store._begin, store._execute = timed_begin, timed_execute

    def clear(self) -> None:
        """Begin anew."""
        self.waited.clear()
        self.held.clear()
        self.flushed = self.statements = 0
        self.worked = 0.0


def quantiles(taken: list[float]) -> dict[str, float]:
    """n, mean, p50, p95, and a 95 % interval of the mean (normal approximation)."""
    cuts = statistics.quantiles(taken, n=100)
    mean, half = statistics.fmean(taken), 1.96 * statistics.stdev(taken) / len(taken) ** 0.5
    return {
        "n": len(taken), "mean": mean, "low": mean - half, "high": mean + half, "p50": statistics.median(taken), "p95": cuts[94],
    }  # fmt: skip


def one_incident(places: list[Place], blocks: int, each: int) -> dict[str, Any]:
    """An investigation and its parts on each store; the stores take turns, so that the machine's noise meets both."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        opened = []
        for place in places:
            aegis = stack.enter_context(place.aegis(threads=1))
            meet_everybody(aegis)
            for number in range(WARM):
                aegis.investigate(stream(number))
            opened.append((place, aegis, LockMeter(aegis.store), Meter(), _database(place, stack)))
            taken: dict[str, list[float]] = {"ms": [], "processor, worker": [], "processor, database": []}
            found[place.kind] = {
                "taken": taken, "lock": [], "waited": [], "worked": [], "transactions": 0, "flushed": 0, "statements": 0
            }  # fmt: skip
        for _, aegis, _, meter, _ in opened:
            _watch(aegis, meter)
        turn = WARM
        for _ in range(blocks):
            for place, aegis, lock, meter, database in opened:
                kept = found[place.kind]
                lock.clear()
                real, sources.parse = sources.parse, meter._timed("parse", sources.parse)
                before = cpu_seconds(database) if database else 0.0
                try:
                    for number in range(turn, turn + each):
                        begun, used = time.perf_counter(), time.process_time()
                        with meter.in_part("graph, agents and the rest"):
                            aegis.investigate(stream(number))
                        kept["taken"]["ms"].append(1000 * (time.perf_counter() - begun))
                        kept["taken"]["processor, worker"].append(1000 * (time.process_time() - used))
                        kept["lock"].append(1000 * sum(lock.held))
                        kept["waited"].append(1000 * sum(lock.waited))
                        kept["transactions"] += len(lock.held)
                        kept["flushed"] += lock.flushed
                        kept["statements"] += lock.statements
                        kept["worked"].append(1000 * lock.worked)
                        lock.clear()
                finally:
                    sources.parse = real
                used_there = 1000 * ((cpu_seconds(database) if database else 0.0) - before) / each
                kept["taken"]["processor, database"].append(used_there)
            turn += each
        for place, _, _, meter, _ in opened:
            kept, n = found[place.kind], blocks * each
            found[place.kind] = {
                "ms": quantiles(kept["taken"]["ms"]), "processor ms, worker": quantiles(kept["taken"]["processor, worker"]),
                "processor ms, database (blocks)": quantiles(kept["taken"]["processor, database"]),
                "ms the ledger's lock is held": quantiles(kept["lock"]),
                "ms from asking for the lock to holding it": quantiles(kept["waited"]),
                "processor ms, worker, under the lock": quantiles(kept["worked"]),
                "statements under the lock": kept["statements"] / n,
                "samples, ms": {
                    "whole": kept["taken"]["ms"], "lock": kept["lock"], "worker": kept["taken"]["processor, worker"],
                    "worker under the lock": kept["worked"],
                },
                "transactions": kept["transactions"] / n, "of them flushed": kept["flushed"] / n,
                "parts, mean ms": {part: 1000 * taken / n for part, taken in sorted(meter.seconds.items(), key=lambda p: -p[1])},
            }  # fmt: skip
    return found


def _database(place: Place, stack: ExitStack) -> Any:
    return stack.enter_context(place.connect()) if place.database else None


def _watch(aegis: Any, meter: Meter) -> None:
    context = aegis.context
    meter.watch(context.model, "model")
    meter.watch(context.intel, "intel")
    meter.watch(context.gate, "gate")
    meter.watch(context.store, "ledger: intake, journal, chain")
    meter.watch(context.write_path, "response: the write path")
    meter.watch(aegis.graph.checkpointer, "checkpoints of the graph")


def writes(place: Place, first: int, count: int) -> dict[str, Any]:
    """Rows and bytes that an incident leaves, by table; on PostgreSQL its commits and its write-ahead log too."""
    with ExitStack() as stack:
        database = _database(place, stack)
        with place.aegis(threads=1) as aegis:
            for number in range(first, first + 50):  # the first pages of tables and indexes
                aegis.investigate(stream(number))
        before, log = place.sizes(), _log(database)
        with place.aegis(threads=1) as aegis:
            for number in range(first + 50, first + 50 + count):
                aegis.investigate(stream(number))
            states = aegis.store._rows("SELECT state, count(*) AS n FROM journal GROUP BY state")  # type: ignore[attr-defined]
        after, log_after = place.sizes(), _log(database)
    found: dict[str, Any] = {
        "n": count,
        "rows and bytes": {
            name: [(after[name][i] - before.get(name, (0, 0))[i]) / count for i in (0, 1)] for name in after
        },
        "actions by state": {row["state"]: row["n"] for row in states},
    }
    if database:
        found["log"] = {name: (log_after[name] - log[name]) / count for name in log}
    return found


def _log(database: Any) -> dict[str, float]:
    if database is None:
        return {}
    time.sleep(1.2)  # statistics arrive with a second's delay
    wal = database.execute("SELECT wal_records, wal_fpi, wal_bytes, wal_sync FROM pg_stat_wal").fetchone()
    commits = database.execute("SELECT sum(xact_commit) FROM pg_stat_database").fetchone()[0]
    names = ("WAL records", "full pages in WAL", "WAL bytes", "flushes")
    return {name: float(value) for name, value in zip(names, wal, strict=True)} | {"commits": float(commits)}


def throughput(place: Place, processes: list[int], seconds: float) -> dict[str, Any]:
    """Whole investigations a second with so many workers beside each other, and the memory of each."""
    found = {}
    for round_, number in enumerate(processes):
        with ExitStack() as stack:
            database = _database(place, stack)
            before = cpu_seconds(database) if database else 0.0
            answers = together(place, number, seconds, what="whole", first=1_000_000 * (round_ + 1))
            used = (cpu_seconds(database) - before) if database else 0.0
        found[str(number)] = _joined(answers) | {
            "processor s, database, start included": used, "MB": [answer["MB"] for answer in answers],
        }  # fmt: skip
    return found


def ceiling(
    place: Place, processes: list[int], seconds: float, delays_us: list[int], rounds: int
) -> list[dict[str, Any]]:
    """What journal and ledger alone can take: `evals.bench.ledger`'s typical incident, by ever more processes.

    A slower disk is had by commit_delay: so many microseconds are waited before each flush.
    """
    answers: dict[tuple[int, int, bool], list[dict[str, Any]]] = defaultdict(list)
    first = 0
    for _ in range(rounds):  # in turns, so that the machine's noise meets all alike
        for delay in delays_us:
            with place.connect() as database:
                for name, value in (("commit_delay", delay), ("commit_siblings", 0)):
                    database.execute(f"ALTER SYSTEM SET {name} = {value}")
                database.execute("SELECT pg_reload_conf()")
            for number in processes:
                for after_lock in (False, True):
                    first += 10_000_000
                    kept = answers[delay, number, after_lock]
                    kept += together(place, number, seconds, what="ledger", first=first, after_lock=after_lock)
    return [
        {"flush us more": delay, "processes": number, "after the lock": after_lock, "rounds": rounds}
        | _joined(kept, rounds)
        for (delay, number, after_lock), kept in answers.items()
    ]


def _joined(answers: list[dict[str, Any]], rounds: int = 1) -> dict[str, Any]:
    done = sum(len(answer["ms"]) for answer in answers)
    return {
        "incidents": done, "a second": sum(len(answer["ms"]) / answer["seconds"] for answer in answers) / rounds,
        "ms": quantiles([ms for answer in answers for ms in answer["ms"]]),
        "processor ms an incident, workers": 1000 * sum(answer["cpu"] for answer in answers) / done,
    }  # fmt: skip


def history(place: Place, sizes: list[int], each: int) -> list[dict[str, Any]]:
    """What an investigation and each look-up costs with ever more incidents in the store."""
    found = []
    for size in sizes:
        there = grow(place, size)
        if place.database:
            with place.connect() as database:
                settle(database, place.schema)
        with place.aegis(threads=1) as aegis:
            meet_everybody(aegis)
            store: Any = aegis.store
            for number in range(5):
                aegis.investigate(stream(50_000_000 + size * 10 + number))
            lock, taken, held = LockMeter(store), [], []
            for number in range(5, 5 + each):
                begun = time.perf_counter()
                case = aegis.investigate(stream(50_000_000 + size * 10 + number))
                taken.append(1000 * (time.perf_counter() - begun))
                held.append(1000 * sum(lock.held))
                lock.clear()
            looks = _looks(store, case.incident_id)
            rows = {t: store._rows(f"SELECT count(*) FROM {t}")[0][0] for t in ("journal", "ledger_entries")}
            waiting = store._rows("SELECT count(*) FROM journal WHERE state = 'awaiting'")[0][0]
            begun_lately = store._rows(
                "SELECT count(*) FROM journal WHERE begun_at >= ?",
                ((datetime.now(UTC) - _HOUR).isoformat(timespec="microseconds"),),
            )[0][0]
            found.append({
                "incidents": there, "rows": rows, "waiting": waiting, "begun in the last hour": begun_lately,
                "ms": quantiles(taken), "ms the lock is held": quantiles(held),
                "look-ups, ms": {name: _median(look) for name, look in looks.items()},
            })  # fmt: skip
    return found


def _looks(store: Any, incident_id: str) -> dict[str, Callable[[], object]]:
    hour = datetime.now(UTC) - _HOUR
    return {
        "usage (budgets; twice an incident, once under the lock)": lambda: store.usage(hour),
        "due (each investigation)": lambda: store.due(datetime.now(UTC)),
        "actions of an incident": lambda: store.actions(incident_id),
        "entries of an incident": lambda: store.entries(incident_id),
        "unfinished (recover)": store.unfinished,
        "approved (recover)": store.approved,
        "outdated_cases (recover)": store.outdated_cases,
        "timers": store.timers,
        "a page of the queue": store.queue,
        "pending, all of it": store.pending,
    }


def _median(look: Callable[[], object]) -> float:
    taken: list[float] = []
    while len(taken) < 9 and sum(taken) < 4000:
        begun = time.perf_counter()
        look()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)
