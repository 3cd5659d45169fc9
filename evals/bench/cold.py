"""What a fresh process costs: import, first verdict, first gated action, memory.

Every run has a state of its own: an alert that was decided before is answered from its case,
without model or graph, and would look fast.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
_CLI = ("-m", "aegis_agents.cli.main")

_MEMORY = """
import pathlib, resource, sys
from aegis_agents import Aegis
from evals.bench.alerts import stream
with Aegis(home=pathlib.Path(sys.argv[1])) as aegis:
    for number in range(int(sys.argv[2])):
        aegis.investigate(stream(number))
# Linux hands a parent's ru_maxrss down through fork and exec: read this process's own peak where there is one.
status = pathlib.Path("/proc/self/status")
peaks = [l.split()[1] for l in status.read_text().splitlines() if l.startswith("VmHWM")] if status.exists() else []
print(int(peaks[0]) / 1024 if peaks else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


class First(NamedTuple):
    """Seconds from starting a process to its first answer: intelligence built beforehand, and by this process."""

    ready: float
    empty: float


def _environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AEGIS_")}
    return kept | {"AEGIS_HOME": str(home)}


def _python(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=_ROOT, env=_environment(home)
    )
    return done.stdout


def import_seconds(statement: str) -> float:
    """Median of nine fresh interpreters; their own start is not counted."""
    code = f"import time; begun = time.perf_counter(); {statement}; print(time.perf_counter() - begun)"
    return statistics.median(float(_python(Path(), "-c", code)) for _ in range(9))


def _first_answer(home: Path, alert: Path, options: tuple[str, ...]) -> tuple[float, dict[str, object]]:
    """Seconds until `aegis investigate` has printed its first line, and the case in it."""
    begun = time.perf_counter()
    command = [sys.executable, *_CLI, "investigate", str(alert), "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=_environment(home)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - begun
        process.stdout.read()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}")
    return seconds, json.loads(line)


def first_answer(*, shadow: bool, rounds: int = 5) -> First:
    """Medians. Live, the case must hold an action that passed every rail and was done; in shadow, that would be."""
    options, wanted = (("--shadow",), "would_execute") if shadow else ((), "executed")
    with tempfile.TemporaryDirectory() as folder, resources.as_file(resources.files("aegis_agents.cli")) as cli:
        alert, prepared = cli / "demo_alerts" / "1_attack.json", Path(folder) / "prepared"
        _python(prepared, *_CLI, "intel", "sync")
        taken: dict[str, list[float]] = {"ready": [], "empty": []}
        for number in range(rounds):
            for kind in taken:
                home = Path(folder) / f"{kind}{number}"
                if kind == "ready":
                    shutil.copytree(prepared, home)
                seconds, case = _first_answer(home, alert, options)
                actions = case["actions"]
                assert isinstance(actions, list)
                if not any(a["outcome"] == wanted for a in actions):
                    raise RuntimeError(f"no action passed the gate, so there is nothing to time: {actions}")
                taken[kind].append(seconds)
    return First(**{kind: statistics.median(found) for kind, found in taken.items()})


def peak_megabytes(alerts: int = 300) -> float:
    """Peak resident memory of a process that builds the intelligence and decides so many alerts."""
    with tempfile.TemporaryDirectory() as home:
        return float(_python(Path(home), "-c", _MEMORY, home, str(alerts)))
