"""A user's project is checked by strict type checkers against the installed package, and wrong uses are refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
SAMPLE, WRONG = _HERE / "sample_project", _HERE / "wrong_use.py"
_ERROR = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+): error: .*\[(?P<code>[\w-]+)\]$", re.MULTILINE)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy --strict says of both, with a configuration of the user's own, from a folder that is not the repository."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "mypy.ini").write_text("[mypy]\nstrict = True\n[mypy-pandas.*]\nignore_missing_imports = True\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(_HERE.parents[1] / ".mypy_cache/sample"),
         "--no-error-summary", "--hide-error-context", str(SAMPLE), str(WRONG)],
        cwd=folder, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_package_says_that_it_is_typed() -> None:
    assert (resources.files("aegis_agents") / "py.typed").is_file()
    assert "Typing :: Typed" in (metadata.metadata("aegis-soc-agents").get_all("Classifier") or [])


def test_sample_project_under_mypy_strict(said: str) -> None:
    assert [line for line in said.splitlines() if WRONG.name not in line] == []


def test_wrong_uses_are_errors_under_mypy(said: str) -> None:
    found = {int(e["line"]): e["code"] for e in _ERROR.finditer(said) if e["file"].endswith(WRONG.name)}
    assert found == wrong_lines()


def wrong_lines() -> dict[int, str]:
    """Line → mypy's code, as the file itself says."""
    lines = WRONG.read_text("utf-8").splitlines()
    return {n: line.split("# wrong: ")[1] for n, line in enumerate(lines, 1) if "# wrong: " in line}


needs_pyright = pytest.mark.skipif(find_spec("pyright") is None, reason="needs pyright: pip install 'pyright[nodejs]'")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int, str]]:
    """What pyright in its strict mode says of both: (file, line, message)."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(SAMPLE, folder / SAMPLE.name)
    shutil.copy(WRONG, folder)
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11"}
    # pandas and langgraph are not typed throughout, and what comes of that is not the user's fault or ours.
    settings |= dict.fromkeys(("reportUnknownMemberType", "reportUnknownVariableType", "reportMissingTypeStubs"), False)
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright did not start (its npm package may not be had here): {done.stderr[-300:]}")
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] > 4, done.stdout
    errors = (d for d in found["generalDiagnostics"] if d["severity"] == "error")
    return [(Path(d["file"]).name, d["range"]["start"]["line"] + 1, d["message"]) for d in errors]


@needs_pyright
def test_sample_project_under_pyright_strict(told: list[tuple[str, int, str]]) -> None:
    assert [error for error in told if error[0] != WRONG.name] == []


@needs_pyright
def test_wrong_uses_are_errors_under_pyright(told: list[tuple[str, int, str]]) -> None:
    assert {line for file, line, _ in told if file == WRONG.name} == set(wrong_lines())
