"""A shift's queue: investigate, look at what decided, answer what waits, and what others ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import assert_type

from aegis_agents import Aegis, AegisError, AlreadyDecided, Case, Incident, InputError, Settings
from aegis_agents.ledger import JournalRow
from aegis_agents.records import ActionReport, Evidence, Outcome, Severity, Target, Verdict


def open_shift(home: Path) -> Aegis:
    """Settings by name, as an object, or from a file."""
    if (home / "aegis.toml").exists():
        return Aegis.from_settings(home / "aegis.toml", mode="shadow")
    return Aegis(settings=Settings(home=home, mode="shadow", autonomy="ask"))


def work_off(aegis: Aegis, alerts: Iterable[dict[str, object] | str | Path | Incident]) -> dict[Verdict, int]:
    """Counts verdicts; a bad alert is told with its line."""
    counts: dict[Verdict, int] = {}
    for answer in aegis.investigate_many(alerts, format="elastic_ecs"):
        assert_type(answer, Case | InputError)
        if isinstance(answer, InputError):
            print(answer.field, answer.fix, answer.line)
            continue
        counts[answer.verdict] = counts.get(answer.verdict, 0) + 1
    return counts


def what_decided(case: Case) -> list[str]:
    """A fact's weight, or a passage's title: the union is told apart by `kind`."""
    assert_type(case.evidence, tuple[Evidence, ...])
    assert_type(case.severity, Severity)
    lines = []
    for item in case.evidence:
        if item.kind == "fact":
            lines.append(f"{item.path} = {item.value} ({item.weight:+.2f}, {item.trust})")
        else:
            lines.append(f"{item.title} [{item.snapshot}] {item.score:.2f}")
    return lines


def answer_waiting(aegis: Aegis) -> list[ActionReport]:
    """Approves what can be taken back."""
    done: list[ActionReport] = []
    for row in aegis.pending():
        assert_type(row, JournalRow)
        target: Target = row.target
        try:
            report = aegis.approve(row.action_id, by="alice", reason=f"playbook, {target.kind} {target.value}")
        except AlreadyDecided:
            continue
        outcome: Outcome = report.outcome
        if outcome == "executed" and report.reversible:
            done.append(aegis.undo(row.action_id, by="alice"))
    return done


def steps(aegis: Aegis, alert: Path) -> Iterator[str]:
    """Streaming."""
    for agent, added in aegis.stream(alert):
        yield f"{agent}: {', '.join(added)}"


async def at_once(aegis: Aegis, alerts: list[Path]) -> AsyncIterator[Case]:
    """Async."""
    for case in asyncio.as_completed([aegis.ainvestigate(alert) for alert in alerts]):
        yield await case


def recover(home: Path) -> int:
    """A context manager, and one base for all errors."""
    try:
        with Aegis(home=home) as aegis:
            return len(aegis.recover())
    except AegisError as error:
        print(error)
        return 0
