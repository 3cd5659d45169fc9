"""The report of evals/bench/scale.py for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def _q(q: dict[str, float]) -> str:
    return f"{q['mean']:.1f} ({q['low']:.1f} to {q['high']:.1f}) | {q['p50']:.1f} | {q['p95']:.1f}"


def _table(head: str, rows: Iterable[str]) -> list[str]:
    return ["", head, "|".join(["", *["---"] * (head.count("|") - 1), ""]), *rows]


def _one(found: dict[str, Any]) -> Iterable[str]:
    kinds = (
        "ms", "processor ms, worker", "processor ms, database (blocks)", "ms the ledger's lock is held",
        "processor ms, worker, under the lock",
    )  # fmt: skip
    lines = [
        f"| {store} | {what} | {of[what]['n']} | {_q(of[what])} |" for store, of in found.items() for what in kinds
        if store != "SQLite" or "database" not in what
    ]  # fmt: skip
    yield from _table("| store | an investigation | n | mean (95 % interval) | p50 | p95 |", lines)
    yield ""
    for store, of in found.items():
        yield (
            f"- {store}: {of['transactions']:.2f} transactions an incident, {of['of them flushed']:.2f} of them flushed; "
            f"{of['statements under the lock']:.1f} statements under the ledger's lock"
        )
    names = list(dict.fromkeys(part for of in found.values() for part in of["parts, mean ms"]))
    lines = [
        f"| {name} | " + " | ".join(f"{of['parts, mean ms'].get(name, 0):.2f}" for of in found.values()) + " |"
        for name in names
    ]
    yield from _table("| part, own time, mean ms (threads count in full) | " + " | ".join(found) + " |", lines)


def _writes(found: dict[str, Any]) -> Iterable[str]:
    lines = [
        f"| {store} | {name} | {rows:.2f} | {size / 1024:.1f} |" for store, of in found.items()
        for name, (rows, size) in of["rows and bytes"].items()
    ]  # fmt: skip
    yield from _table("| store | table or file | rows an incident | KB an incident, indexes too |", lines)
    yield ""
    for store, of in found.items():
        whole = sum(size for _, size in of["rows and bytes"].values()) / 1024
        said = "; ".join(f"{name} {value:.1f}" for name, value in of.get("log", {}).items())
        yield f"- {store}, n = {of['n']}: {whole:.0f} KB in all{'; ' + said if said else ''}; actions {of['actions by state']}"


def _workers(found: dict[str, Any]) -> Iterable[str]:
    lines = []
    for store, by in found.items():
        for number, of in by.items():
            memory = max(mb["peak"] for mb in of["MB"]), max(mb["Pss"] for mb in of["MB"])
            lines.append(
                f"| {store} | {number} | {of['incidents']} | {of['a second']:.1f} | {of['ms']['p50']:.1f} | {of['ms']['p95']:.1f}"
                f" | {of['processor ms an incident, workers']:.1f} | {memory[0]:.0f} | {memory[1]:.0f} |"
            )
    head = (
        "| store | workers | incidents | a second | p50 ms | p95 ms | processor ms of the worker | peak MB | PSS MB |"
    )
    yield from _table(head, lines)


def _ceiling(found: list[dict[str, Any]]) -> Iterable[str]:
    lines = [
        f"| {of['flush us more']} | {'after' if of['after the lock'] else 'within'} | {of['processes']} | {of['incidents']}"
        f" | {of['a second']:.0f} | {of['ms']['p50']:.1f} | {of['ms']['p95']:.1f} |"
        for of in found
    ]
    head = (
        "| flush slower by us | flushed within or after the lock | processes | incidents | a second | p50 ms | p95 ms |"
    )
    yield from _table(head, lines)


def _history(found: dict[str, Any]) -> Iterable[str]:
    runs = [(store, of) for store, by in found.items() for of in by]
    head = "| | " + " | ".join(f"{store}, {of['incidents']}" for store, of in runs) + " |"
    rows = {
        "investigation, p50": [of["ms"]["p50"] for _, of in runs],
        "ledger's lock held, p50": [of["ms the lock is held"]["p50"] for _, of in runs],
    } | {name: [of["look-ups, ms"][name] for _, of in runs] for name in runs[0][1]["look-ups, ms"]}
    lines = [f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |" for name, row in rows.items()]
    for what in ("waiting", "begun in the last hour"):
        lines.append(f"| (actions {what}) | " + " | ".join(str(of[what]) for _, of in runs) + " |")
    yield from _table(head, lines)


def _inbox(found: dict[str, Any]) -> Iterable[str]:
    lines = [
        f"| {store} | {what} | {of['at once']} | {of['messages']} | {of[what]['a second']:.0f} | {of[what]['processor ms, client']:.2f}"
        f" | {of[what]['processor ms, database']:.2f} |"
        for store, by in found.items() for of in by for what in ("put", "take and done", "put, copies of one")
    ]  # fmt: skip
    head = "| store | | at once | messages | a second | processor ms, client | processor ms, database |"
    yield from _table(head, lines)


_SECTIONS: dict[str, tuple[str, str, Callable[[Any], Iterable[str]]]] = {
    "one incident": ("An incident and its parts", "In turns, in blocks.", _one),
    "writes": ("What it writes", "", _writes),
    "workers": ("Workers beside each other", "The database works on the same cores.", _workers),
    "history": (
        "With a long history: ms, medians",
        "Copies of real rows fill the store, spread as if a million came in a day.", _history,
    ),
    "ceiling": (
        "The ledger alone on PostgreSQL",
        "Seven commits an incident, two actions (evals/bench/ledger.py). A slower disk is had by `commit_delay`. “After the lock” "
        "is a change that is proposed and not made: see `flush_after_lock` in evals/bench/scale_work.py.", _ceiling,
    ),
    "inbox": ("The inbox", "One process, one connection; all messages differ but the copies.", _inbox),
}  # fmt: skip


def to_markdown(found: dict[str, Any]) -> str:
    """The whole report, of the parts that there are."""
    machine = found["machine"]
    lines = [
        "# What an incident costs a shared store",
        "",
        f"`python -m evals.bench.scale`. {machine['cpus']} CPUs, Python {machine['python']}. Alerts: the demo's five kinds, users and "
        "hosts in turn; each worker one thread; budgets without limit; PostgreSQL as it ships, on the same machine, over a socket. "
        "Processor time is what capacity is computed with: the machine was shared, and waits say how busy it was.",
    ]
    for name, (title, said, table) in _SECTIONS.items():
        if name in found:
            part = found[name]
            load = f"{part['at']}, size {part['size']}, load average {part['load'][0]:.1f} before and {part['load'][1]:.1f} after."
            lines += ["", f"## {title}", "", f"{said} {load}".strip(), *table(part["figures"])]
    return "\n".join(lines) + "\n"
