"""Runs alerts through the whole of Aegis and collects errors instead of stopping."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from aegis_agents import Aegis, Case
from evals.counting import ERROR
from evals.suites import Item, Row


class Judged(NamedTuple):
    """An alert and its case; None where the investigation ended in an error."""

    known: Row
    alert: Row
    case: Case | None

    @property
    def said(self) -> str:
        """The verdict, or ERROR."""
        return ERROR if self.case is None else self.case.verdict


class Pace(NamedTuple):
    """How fast a suite went: alerts, and the seconds they took."""

    alerts: int
    seconds: float


def open_default(home: Path) -> Aegis:
    """Aegis as it comes, live, with its state in `home`."""
    return Aegis(home=home, mode="live")


class Runner:
    """Each suite gets an Aegis with a state of its own under `home`, so that none spends another's budgets.

    The intelligence snapshot is built once and copied, and the model is loaded anew, so no
    suite finds another's facts in the cache. `errors`, `paces` and `entries` (verified
    ledger entries) are kept by suite.
    """

    def __init__(self, home: Path, open_aegis: Callable[[Path], Aegis] = open_default) -> None:
        self._home, self._open = home, open_aegis
        self.errors: dict[str, list[str]] = {}
        self.paces: dict[str, Pace] = {}
        self.entries: dict[str, int] = {}
        with open_aegis(home / "first") as aegis:
            self.versions = dict(aegis.context.versions)

    def run(self, name: str, items: Iterable[Item]) -> list[Judged]:
        """Investigate all of them, in order."""
        todo, found = list(items), []
        errors = self.errors.setdefault(name, [])
        home = self._home / f"suite{len(self.paces)}"
        if (snapshot := self._home / "first" / "intel").is_dir():
            shutil.copytree(snapshot, home / "intel")
        with self._open(home) as aegis:
            _ = aegis.graph, aegis.context  # loading is not part of an alert's time
            console = Console(stderr=True)
            started = time.perf_counter()
            bar = track(todo, description=name, console=console, transient=True, disable=not console.is_terminal)
            for number, item in enumerate(bar):
                case = None
                try:
                    case = aegis.investigate(item.alert)
                except Exception as error:  # noqa: BLE001 - any error at all is what this run looks for
                    label = item.known.get("id", f"number {number}")
                    errors.append(f"{label}: {type(error).__name__}: {str(error)[:200]}")
                found.append(Judged(item.known, item.alert, case))
            self.paces[name] = Pace(len(todo), time.perf_counter() - started)
            self.entries[name] = aegis.store.verify().entries
        return found
