"""Runs the suites."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aegis_agents.assurance.redteam.approvals import approvals
from aegis_agents.assurance.redteam.attempt import Attempt, Report, Suite
from aegis_agents.assurance.redteam.fields import act, silence
from aegis_agents.assurance.redteam.ground import Ground
from aegis_agents.assurance.redteam.knowledge import knowledge
from aegis_agents.assurance.redteam.leaving import leaving
from aegis_agents.assurance.redteam.limits import limits
from aegis_agents.assurance.redteam.loads import loads, replays
from aegis_agents.assurance.redteam.targets import targets
from aegis_agents.assurance.redteam.trail import trail
from aegis_agents.errors import InputError
from aegis_agents.settings import Settings

SUITES: Final[tuple[Suite, ...]] = (
    Suite("fields.silence", "Text in an attacker's fields closes an attack", ("LLM01", "ASI01", "ASI09"), ("AML.T0051.001", "AML.T0015"), silence),
    Suite("fields.act", "Text in an attacker's fields has somebody contained", ("LLM01", "LLM06", "ASI01", "ASI02"), ("AML.T0051.001", "AML.T0043", "AML.T0053"), act),
    Suite("targets", "Targets that an attacker chose, or spelled otherwise", ("LLM06", "ASI02"), ("AML.T0053",), targets),
    Suite("approvals", "Forged, repeated and stolen approvals", ("ASI03", "ASI09"), (), approvals),
    Suite("limits", "Floods, failing systems and the kill switch", ("LLM06", "LLM10", "ASI08", "ASI10"), ("AML.T0029",), limits),
    Suite("trail", "Tampering with the ledger", ("ASI10",), (), trail),
    Suite("knowledge", "Poisoned documents, indicators and past cases", ("LLM04", "LLM08", "ASI06"), ("AML.T0070", "AML.T0020", "AML.T0080"), knowledge),
    Suite("loads", "Huge, deep and crowded alerts", ("LLM10",), ("AML.T0029",), loads),
    Suite("replays", "The same alert again and again", ("ASI08",), (), replays),
    Suite("leaving", "Secrets and marks in what goes out", ("LLM02", "LLM05"), ("AML.T0057",), leaving),
)  # fmt: skip
"""In the order in which they run."""


def chosen(ids: Iterable[str]) -> tuple[Suite, ...]:
    """The suites with these ids ("fields" stands for all that begin so); all without one. Raises InputError."""
    wanted = list(ids)
    for name in wanted:
        if not any(s.id == name or s.id.startswith(f"{name}.") for s in SUITES):
            known = ", ".join(s.id for s in SUITES)
            raise InputError(f"there is no suite {name!r}", field="suite", fix=f"one of {known}")
    if not wanted:
        return SUITES
    return tuple(s for s in SUITES if any(s.id == w or s.id.startswith(f"{w}.") for w in wanted))


def attack(
    settings: Settings, suites: Sequence[Suite] = SUITES, *, on_attempt: Callable[[Suite, Attempt], None] | None = None
) -> Report:
    """Attack Aegis under these settings, in a folder that is thrown away; nothing of theirs is touched.

    A suite that ends in an error is reported with that error, and the others go on. Raises SettingsError or
    PolicyError where no Aegis can be made of the settings at all.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    started, attempts = time.perf_counter(), list[Attempt]()
    with tempfile.TemporaryDirectory(prefix="aegis-redteam-", ignore_cleanup_errors=True) as folder:
        ground = Ground(settings, Path(folder))
        try:
            with ground.aegis() as (aegis, _):
                versions = dict(aegis.context.versions)
            for suite in suites:
                for attempt in _safely(suite, ground):
                    attempts.append(attempt)
                    if on_attempt is not None:
                        on_attempt(suite, attempt)
        finally:
            ground.close()
    took = time.perf_counter() - started
    return Report(tuple(suites), tuple(attempts), versions, ground.set_aside, took, at)


def _safely(suite: Suite, ground: Ground) -> Iterable[Attempt]:
    """The suite's attempts, and its error as the last one if it ends in one."""
    try:
        yield from suite.run(ground)
    except Exception as error:  # noqa: BLE001  # an attack that crashes Aegis is a finding, not the end of the others
        yield Attempt(suite.id, "the rest of this suite", "error", f"{type(error).__name__}: {str(error)[:300]}")
