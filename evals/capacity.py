"""How many machines: `python -m evals.capacity` computes it from what evals/bench/scale.py measured.

Writes evals/reports/capacity.{json,md} and the tables in docs/capacity.md. Every assumption is a field of
`Assumed`, and can be set: `python -m evals.capacity --set peak=3 --set usd_core_hour=0.08`.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

REPORTS = Path(__file__).parent / "reports"
PAGE = Path(__file__).parents[1] / "docs" / "capacity.md"
_TABLES = re.compile(r"(<!-- begin: python -m evals.capacity -->\n).*?(<!-- end -->)", re.DOTALL)
DAY_S = 86_400


@dataclass(frozen=True)
class Assumed:
    """What was not measured and has to be said."""

    per_day: float = 1_000_000
    """Incidents a day, after folding."""
    peak: float = 1.6
    """The busiest hour over the mean of the day."""
    load: float = 0.7
    """Share of a core, and of the ledger's lock, that is used at the peak: the rest is for queues to stay short."""
    burst: float = 1_000
    """Incidents a second in a burst, all different."""
    burst_s: float = 60
    """How long it lasts."""
    kept_days: float = 90
    """Days that cases, and checkpoints of the graph, are kept (`aegis ledger prune`)."""
    core_speed: float = 1.0
    """Speed of a core over one of the machine that was measured."""
    round_trip_ms: float = 0.4
    """From worker to database and back, a statement's own time there included: a network of one site."""
    flush_ms: float = 1.0
    """What a commit that waits for the disk waits: a disk rented with a machine."""
    database_other: float = 0.5
    """Memory of the database over its tables of a day, for what is read again."""
    usd_core_hour: float = 0.04
    """Prices: round figures for rented machines, assumed on 2026-11-26 and looked up nowhere."""
    usd_gb_hour: float = 0.005
    """Of memory."""
    usd_gb_month: float = 0.12
    """Of a disk."""


def _mean(q: dict[str, float]) -> tuple[float, float, float]:
    return q["mean"], q["low"], q["high"]


def lock_ms(m: dict[str, tuple[float, float, float]], a: Assumed, at: int = 0) -> float:
    """How long an incident holds the ledger's one lock: work, round trips and flushes under it.

    Computed, since the time by the clock is that of whatever else the machine was at; that stands beside it in the report.
    """
    work = m["worker core ms under the lock"][at] / a.core_speed
    return work + m["statements under the lock"][at] * a.round_trip_ms + m["flushes under the lock"][at] * a.flush_ms


def measured(found: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """What is computed with: mean and 95 % interval of each; where there is one figure alone it is all three."""
    one, writes, workers = (found[part]["figures"]["PostgreSQL"] for part in ("one incident", "writes", "workers"))
    kept = sum(size for _, size in writes["rows and bytes"].values())
    graph = sum(writes["rows and bytes"][t][1] for t in writes["rows and bytes"] if t.startswith("checkpoint"))
    memory = max(mb["peak"] for of in workers.values() for mb in of["MB"])
    figures = {
        "worker core ms": _mean(one["processor ms, worker"]),
        "database core ms": _mean(one["processor ms, database (blocks)"]),
        "worker core ms under the lock": _mean(one["processor ms, worker, under the lock"]),
        "statements under the lock": (one["statements under the lock"],) * 3,
        "flushes under the lock": (one["of them flushed"],) * 3,
        "KB kept": (kept / 1024,) * 3,
        "of them checkpoints of the graph, KB": (graph / 1024,) * 3,
        "KB of write-ahead log": (writes["log"]["WAL bytes"] / 1024,) * 3,
        "commits": (writes["log"]["commits"],) * 3,
        "flushes": (writes["log"]["flushes"],) * 3,
        "MB of memory a worker, peak": (memory,) * 3,
    }
    if "inbox" in found:
        (many,) = [of for of in found["inbox"]["figures"]["PostgreSQL"] if of["at once"] > 1]
        for who, name in (("worker and stream", "client"), ("database", "database")):
            figures[f"inbox core ms, {who}"] = (
                sum(many[way][f"processor ms, {name}"] for way in ("put", "take and done")),
            ) * 3
        figures["inbox: messages put a second, one connection"] = (many["put"]["a second"],) * 3
    return figures


@dataclass(frozen=True)
class Need:
    """What a rate of incidents takes."""

    rate: float
    """Incidents a second that must be kept up."""
    worker_cores: float
    database_cores: float
    worker_gb: float
    ledgers: int
    log_mb_s: float
    commits_s: float


def need(rate: float, m: dict[str, tuple[float, float, float]], a: Assumed, at: int = 0) -> Need:
    """Cores, memory and ledgers for `rate` a second; `at` 1 and 2 take the ends of the intervals instead of the means."""
    inbox_client, inbox_database = (
        m.get(f"inbox core ms, {who}", (0.0,) * 3)[at] for who in ("worker and stream", "database")
    )
    workers = rate * (m["worker core ms"][at] + inbox_client) / 1000 / a.load / a.core_speed
    database = rate * (m["database core ms"][at] + inbox_database) / 1000 / a.load / a.core_speed
    return Need(
        rate, workers, database, math.ceil(workers) * m["MB of memory a worker, peak"][at] / 1024,
        max(1, math.ceil(rate * lock_ms(m, a, at) / 1000 / a.load)),
        rate * m["KB of write-ahead log"][at] / 1024, rate * m["commits"][at],
    )  # fmt: skip


def capacity(found: dict[str, Any], a: Assumed) -> dict[str, Any]:
    """The whole answer: a day, a burst that is kept up with, and a burst that is taken in and worked off."""
    m = measured(found)
    mean_rate = a.per_day / DAY_S
    day = [need(mean_rate * a.peak, m, a, at) for at in range(3)]
    burst = [need(a.burst, m, a, at) for at in range(3)]
    fleet = math.ceil(day[0].worker_cores)
    one_worker = 1000 * a.core_speed / m["worker core ms"][0]
    spare = fleet * one_worker - mean_rate
    backlog = a.burst_s * max(0.0, a.burst - fleet * one_worker)
    gb_day = a.per_day * m["KB kept"][0] / 2**20
    database_gb = max(8.0, a.database_other * gb_day)
    disk_gb = gb_day * a.kept_days
    hourly = (fleet + math.ceil(day[0].database_cores)) * a.usd_core_hour + (
        day[0].worker_gb + database_gb
    ) * a.usd_gb_hour
    monthly_disk = disk_gb * a.usd_gb_month
    per_incident = (hourly * 24 + monthly_disk * 12 / 365) / a.per_day
    held = [lock_ms(m, a, at) for at in (0, 2, 1)]
    return {
        "assumed": asdict(a), "measured": m, "machine": found["machine"],
        "day": [asdict(n) for n in day], "burst": [asdict(n) for n in burst],
        "one ledger": {
            "held ms": held,
            "most a second": [1000 / ms for ms in held],
            "at `load` of the lock": [1000 * a.load / ms for ms in held],
        },
        "burst worked off by the day's fleet": {
            "workers": fleet, "backlog": backlog, "minutes until it is worked off": backlog / spare / 60 if spare > 0 else math.inf,
        },
        "database": {
            "GB a day": gb_day, "GB kept": disk_gb, "GB without checkpoints of the graph": disk_gb * (1 - m["of them checkpoints of the graph, KB"][0] / m["KB kept"][0]),
            "GB per 100,000 incidents": 100_000 * m["KB kept"][0] / 2**20,
        },
        "cost": {"USD an hour": hourly, "USD a month, disk": monthly_disk, "USD per 1,000 incidents": 1000 * per_incident},
    }  # fmt: skip


def _span(values: list[float], digits: int = 1) -> str:
    mean, low, high = values
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def to_markdown(found: dict[str, Any]) -> str:
    """The tables, as they stand in docs/capacity.md."""
    a, m = found["assumed"], found["measured"]
    day, burst = found["day"], found["burst"]

    def column(needs: list[dict[str, Any]], name: str) -> str:
        return _span([n[name] for n in needs])

    lines = ["| measured on PostgreSQL, an incident | mean (95 % interval where it was repeated) |", "|---|---|"]
    lines += [
        f"| {name} | {_span(list(value), 2) if value[0] != value[1] else f'{value[0]:.2f}'} |"
        for name, value in m.items()
    ]
    lines += [
        "", f"| what it takes | {a['per_day']:,.0f} a day, peak hour ({day[0]['rate']:.1f} a second) | {a['burst']:,.0f} a second, kept up with |",
        "|---|---|---|",
        f"| worker cores, {100 * a['load']:.0f} % used | {column(day, 'worker_cores')} | {column(burst, 'worker_cores')} |",
        f"| database cores, {100 * a['load']:.0f} % used | {column(day, 'database_cores')} | {column(burst, 'database_cores')} |",
        f"| memory of the workers, GB | {column(day, 'worker_gb')} | {column(burst, 'worker_gb')} |",
        f"| ledgers (schemas), lock {100 * a['load']:.0f} % held | {day[0]['ledgers']} | {burst[0]['ledgers']} ({burst[1]['ledgers']} to {burst[2]['ledgers']}) |",
        f"| write-ahead log, MB a second | {column(day, 'log_mb_s')} | {column(burst, 'log_mb_s')} |",
        f"| commits a second | {column(day, 'commits_s')} | {column(burst, 'commits_s')} |",
    ]  # fmt: skip
    one, off, size, cost = (
        found["one ledger"],
        found["burst worked off by the day's fleet"],
        found["database"],
        found["cost"],
    )
    lines += [
        "",
        f"- An incident holds its ledger's lock {one['held ms'][0]:.1f} ms. One ledger decides at most {_span(one['most a second'], 0)} incidents a second, and {_span(one['at `load` of the lock'], 0)} "
        f"with its lock held {100 * a['load']:.0f} % of the time.",
        f"- A burst of {a['burst']:,.0f} a second for {a['burst_s']:.0f} s that only the inbox keeps up with: the day's {off['workers']} workers have "
        f"{off['backlog']:,.0f} left when it ends, and work them off in {off['minutes until it is worked off']:.0f} minutes.",
        f"- The database grows by {size['GB a day']:.0f} GB a day ({size['GB per 100,000 incidents']:.1f} GB per 100,000 incidents, extrapolated from "
        f"hundreds); kept {a['kept_days']:.0f} days that is {size['GB kept']:,.0f} GB, of which {size['GB kept'] - size['GB without checkpoints of the graph']:,.0f} GB are checkpoints of the graph.",
        f"- At the prices assumed: {cost['USD an hour']:.2f} USD an hour for cores and memory, {cost['USD a month, disk']:,.0f} USD a month for the disk, "
        f"{cost['USD per 1,000 incidents']:.3f} USD per 1,000 incidents.",
        "", "| assumed, and to be set with `--set NAME=VALUE` | |", "|---|---|",
        *(f"| {name} | {value:,.10g} |" for name, value in a.items()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def into_page(page: str, tables: str) -> str:
    """The page with these tables between its markers. Raises ValueError where it has none."""
    if not _TABLES.search(page):
        raise ValueError("the page has no <!-- begin: python -m evals.capacity --> ... <!-- end -->")
    return _TABLES.sub(lambda m: f"{m.group(1)}\n{tables}\n{m.group(2)}", page)


def assumed(given: list[str]) -> Assumed:
    """The assumptions, with these changed ("peak=3"). Raises ValueError naming what is wrong."""
    known = {f.name for f in fields(Assumed)}
    changed: dict[str, float] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in known:
            raise ValueError(f"--set: there is no {name!r}: one of {', '.join(sorted(known))}")
        try:
            changed[name] = float(value)
        except ValueError:
            raise ValueError(f"--set {name}: {value!r} is no number") from None
        if not (math.isfinite(changed[name]) and changed[name] > 0):
            raise ValueError(f"--set {name}: {value} is not above 0")
    return replace(Assumed(), **changed)


def main() -> int:
    """Compute, print; keep it, and the tables of the page, unless assumptions were changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another assumption; nothing is kept then"
    )
    parser.add_argument("--measured", type=Path, default=REPORTS / "scale.json")
    given = parser.parse_args()
    try:
        a = assumed(given.set)
    except ValueError as error:
        parser.error(str(error))
    found = capacity(json.loads(given.measured.read_text("utf-8")), a)
    tables = to_markdown(found)
    if not given.set:
        (REPORTS / "capacity.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (REPORTS / "capacity.md").write_text(
            f"# Capacity\n\n`python -m evals.capacity`, from evals/reports/scale.json.\n\n{tables}", "utf-8"
        )
        PAGE.write_text(into_page(PAGE.read_text("utf-8"), tables), "utf-8")
    print(tables)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
