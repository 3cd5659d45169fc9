"""What journal and ledger cost an incident, durably; writes evals/reports/bench_ledger.{json,md}.

The incident is a typical one: taken in, four decisions, two actions begun and settled, the case kept, in as many
commits as the product makes. Connectors and model take no time here, since they are not what is measured. Run by
`python -m evals.bench.ledger`; nothing else should use the disk meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents.ledger import Signer, SqliteStore, action_id
from aegis_agents.records import ActionReport, Case, Decision, Incident, ProposedAction, Target
from aegis_agents.sources import parse
from evals.bench.alerts import distinct

REPORTS = Path(__file__).parents[1] / "reports"
LIMIT_MS = 3.0
_ACTIONS = ("block_ip", "isolate_host", "open_ticket", "close_alert")
_KINDS = {"block_ip": "ip", "isolate_host": "host", "open_ticket": "alert", "close_alert": "alert"}
_PINS = {"model": "m" * 20, "intel": "i" * 32, "memory": "0", "policy": "p" * 16}
_INPUTS: dict[str, str | int | float | bool | None] = {
    "asset.tier": "standard", "asset.groups": "dmz", "verdict": "true_positive", "confidence": 0.97, "level": "act",
    "risk.bound": 0.03, "budget.left": 17, "class": "contain",
}  # fmt: skip


def _decisions(incident: Incident) -> Iterator[tuple[ProposedAction, Decision]]:
    for name in _ACTIONS:
        target = Target(kind=_KINDS[name], value=f"{_KINDS[name]} of {incident.id}")  # type: ignore[arg-type]
        key = action_id(incident.id, name, target)  # type: ignore[arg-type]
        reason = "the verdict and three facts of the incident point at it [f1, f2, f3]"
        yield (
            ProposedAction(action_id=key, action=name, target=target, reason=reason, cites=("f1", "f2", "f3")),  # type: ignore[arg-type]
            Decision(action_id=key, verb="execute", rule="autonomy.act", reason=reason, inputs=_INPUTS, versions=_PINS),
        )


def _case(incident: Incident, done: list[ProposedAction]) -> Case:
    reports = tuple(
        ActionReport(
            action_id=p.action_id, action=p.action, target=p.target, outcome="executed", rule="autonomy.act",
            reason=p.reason, reversible=True, by=None, detail="",
        ) for p in done
    )  # fmt: skip
    return Case(
        incident_id=incident.id, source=incident.source, native_id=incident.native_id, title=incident.title,
        verdict="true_positive", confidence=0.97, severity="high", techniques=("T1059.001", "T1105"), evidence=(),
        actions=reports, summary="A rationale of some length, as a case has one. " * 8, probabilities={},
        versions=_PINS, timing_ms=9.0,
    )  # fmt: skip


class Prepared(NamedTuple):
    """What the agents hand the store for one incident: made beforehand, since it is not the store's work."""

    incident: Incident
    native: str
    decided: list[tuple[ProposedAction, Decision]]
    case: Case


def investigate(store: SqliteStore, given: Prepared, *, every: bool = False) -> None:
    """What the store is asked for one incident: seven commits, of which four wait for the disk, as in the product.

    `every` lets all seven wait.
    """
    store.admit(given.incident, given.native, _PINS)
    with store.transaction(flush=every):  # as `approval` does
        for proposal, decision in given.decided:
            store.record_decision(given.incident.id, proposal, decision, "approved")
    for proposal, _ in given.decided[:2]:
        store.begin(proposal.action_id, owner="host:1")
        with store.transaction() if every else nullcontext():
            until = datetime.now(UTC) + timedelta(hours=4)
            store.settle(proposal.action_id, "executed", "nftables", "in effect", until=until)
    store.finish(given.incident.id, given.case)


def _incidents(rounds: int) -> list[Prepared]:
    """Alerts, each of which differs from every other."""
    made = []
    for number in range(rounds):
        alert = distinct(number)
        incident = parse(alert)
        incident = incident.model_copy(update={"id": f"{incident.id}-{number}"})
        decided = list(_decisions(incident))
        case = _case(incident, [proposal for proposal, _ in decided[:2]])
        made.append(Prepared(incident, json.dumps(alert), decided, case))
    return made


def _take(rounds: int, home: Path, signer: Signer | None, warm: int, **how: Any) -> list[float]:
    """Milliseconds of each incident; the first `warm` don't count."""
    taken = []
    with closing(SqliteStore(home / "aegis.sqlite", signer=signer)) as store:
        for given in _incidents(rounds + warm):
            begun = time.perf_counter()
            investigate(store, given, **how)
            taken.append(1000 * (time.perf_counter() - begun))
    return taken[warm:]


def _quantiles(taken: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(taken, n=100)
    return {"p50": statistics.median(taken), "p95": cuts[94], "p99": cuts[98], "mean": statistics.fmean(taken)}


def _timed(rounds: int, work: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begun))
    return taken


def _flushes(rounds: int, home: Path) -> list[float]:
    """The disk alone: 4 KB written and flushed."""
    handle = os.open(home / "flushed", os.O_WRONLY | os.O_CREAT, 0o600)

    def flush() -> None:
        os.pwrite(handle, b"x" * 4096, 0)
        os.fdatasync(handle)

    try:
        return _timed(rounds, flush)
    finally:
        os.close(handle)


def measure(rounds: int, folder: Path | None, *, blocks: int = 3, warm: int = 20) -> dict[str, Any]:
    """All figures; the variants take turns in blocks, so that the machine's mood meets all alike."""
    variants: dict[str, list[float]] = {
        "without signing": [],
        "with signing": [],
        "with signing, all seven commits flushed": [],
    }
    opening: dict[str, list[float]] = {"without a signer": [], "with a signer": []}
    flushed: list[float] = []
    for _ in range(blocks):
        with tempfile.TemporaryDirectory(dir=folder) as base:
            homes = {name: Path(base) / str(number) for number, name in enumerate(variants)}
            for name, home in homes.items():
                home.mkdir()
                signer = None if name.startswith("without") else Signer(home / "ledger.key")
                variants[name] += _take(rounds // blocks, home, signer, warm, every=name.endswith("flushed"))
            flushed += _flushes(rounds // blocks, homes["with signing"])
            file, key = homes["with signing"] / "aegis.sqlite", homes["with signing"] / "ledger.key"
            opening["without a signer"] += _timed(warm, lambda: SqliteStore(file).close())  # noqa: B023 - run at once
            opening["with a signer"] += _timed(warm, lambda: SqliteStore(file, signer=Signer(key)).close())  # noqa: B023
            with closing(SqliteStore(file, signer=Signer(key))) as store:
                found = store.verify()
                verified = _timed(5, store.verify)
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform(), "load": os.getloadavg()[0]},
        "n": len(flushed),
        "ms an incident": {name: _quantiles(taken) for name, taken in variants.items()},
        "ms a flush of 4 KB, nothing else": _quantiles(flushed),
        "ms to open and close": {name: _quantiles(taken) for name, taken in opening.items()},
        "us an entry to verify": 1000 * statistics.median(verified) / found.entries,
        "entries and checkpoints verified": [found.entries, found.checkpoints],
        "limit, ms": LIMIT_MS,
    }  # fmt: skip


def to_markdown(found: dict[str, Any]) -> str:
    """The table for people."""
    machine, flush = found["machine"], found["ms a flush of 4 KB, nothing else"]
    lines = [
        "# Bench of journal and ledger",
        "",
        f"`python -m evals.bench.ledger`, n = {found['n']} incidents of each kind. {machine['cpus']} CPUs, Python "
        f"{machine['python']}, load {machine['load']:.1f}; a bare flush of 4 KB takes p50 {flush['p50']:.2f} ms, "
        f"p95 {flush['p95']:.2f}.",
        "",
        "| an incident on SQLite: seven commits, four flushed | p50 ms | p95 ms | p99 ms | limit |",
        "|---|---|---|---|---|",
    ]
    for name, q in found["ms an incident"].items():
        held = "held" if q["p50"] <= found["limit, ms"] else "MISSED"
        lines.append(f"| {name} | {q['p50']:.2f} | {q['p95']:.2f} | {q['p99']:.2f} | {held} at p50 |")
    opened = found["ms to open and close"]
    lines += [
        "",
        *(f"- open and close a store {name}: p50 {q['p50']:.2f} ms" for name, q in opened.items()),
        f"- verify: {found['us an entry to verify']:.1f} us an entry",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, keep. A missed limit is said, and is no error: the machine may be busy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=900, help="incidents of each kind (default: 900)")
    parser.add_argument("--folder", type=Path, help="where the databases lie: the disk to measure (default: temporary)")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder for the report (default: evals/reports)")
    given = parser.parse_args()
    found = measure(given.rounds, given.folder)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "bench_ledger.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (given.out / "bench_ledger.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
