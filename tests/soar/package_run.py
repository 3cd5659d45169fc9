"""Runs a SOAR package's own tests, in the virtual environment of its own that its run_tests.sh makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
CANT_INSTALL = 75
_SECONDS = 900  # the first run installs an SDK


def run_package(folder: str) -> None:
    """Run it; skips, visibly, where the platform's SDK can't be installed. Its report is shown if it fails."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "VIRTUAL_ENV", "PYTHONPATH"))}
    done = subprocess.run(
        [str(TOOLS / folder / "run_tests.sh")],
        env=env | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode == CANT_INSTALL:
        pytest.skip(f"{folder}: " + (done.stderr.strip().splitlines() or ["its SDK can't be installed here"])[-1])
    assert done.returncode == 0, f"{folder}/run_tests.sh: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout, done.stdout
