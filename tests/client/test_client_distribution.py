"""The client stands alone: as a wheel in an empty environment, on the oldest Python it names, and quick to import."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.soar.fake_aegis import FakeAegis

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "aegis_agents" / "client"

_USE = """
import sys
from aegis_client import AsyncClient, Client
case = Client(sys.argv[1], sys.argv[2]).investigate({"title": "Beacon"})
assert case["verdict"] == "true_positive", case
assert not [name for name in sys.modules if name.startswith(("aegis_agents", "pydantic"))]
import aegis_client.synchronous
print(len(list(Client(sys.argv[1], sys.argv[2]).ask_stream("how many?"))))
"""


def _run(*command: object, **more: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, ROOT / "tools" / "client"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)
    if done.returncode and any(
        sign in done.stderr for sign in ("No matching distribution", "Max retries", "Connection")
    ):
        pytest.skip("no package index: hatchling can't be had")
    assert done.returncode == 0, done.stderr[-2_000:]
    return next(out.glob("aegis_soc_client-*.whl"))


def test_the_wheel_has_the_client_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        files = {n.removeprefix("aegis_client/"): packed.read(n) for n in packed.namelist() if n.startswith("aegis_")}
    files = {name: content for name, content in files.items() if ".dist-info/" not in name}
    assert files == {f.name: f.read_bytes() for f in SOURCE.glob("*.py")} | {
        "py.typed": (ROOT / "src" / "aegis_agents" / "py.typed").read_bytes(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
    }


def test_the_wheel_works_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check", wheel]
    done = subprocess.run([str(c) for c in pip], capture_output=True, text=True, timeout=300)
    if done.returncode and any(
        sign in done.stderr for sign in ("No matching distribution", "Max retries", "Connection")
    ):
        pytest.skip("no package index: httpx can't be had")
    assert done.returncode == 0, done.stderr[-2_000:]
    with FakeAegis() as fake:
        said = _run(python, "-I", "-c", _USE, fake.url, fake.token(), cwd=tmp_path)
    assert int(said) > 2


def test_the_client_imports_httpx_and_the_standard_library_alone() -> None:
    allowed = set(sys.stdlib_module_names) | {"httpx"}
    for file in SOURCE.glob("*.py"):
        tree = ast.parse(file.read_text("utf-8"), feature_version=(3, 9))
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level in (0, 1), f"{file.name}: {node.module} leaves the folder"
                names = [node.module or ""] if node.level == 0 else []
            for name in names:
                assert name.partition(".")[0] in allowed, f"{file.name} imports {name}"


def test_importing_the_client_loads_nothing_of_the_library_and_no_asyncio_client() -> None:
    loaded = _run(
        sys.executable, "-c", "import sys; from aegis_agents.client import Client; print(*sys.modules)"
    ).split()
    ours = {name for name in loaded if name.startswith("aegis_agents")} - {"aegis_agents", "aegis_agents._version"}
    assert {name for name in ours if not name.startswith("aegis_agents.client")} == set()
    assert "aegis_agents.client.asynchronous" not in ours
    assert not {"pydantic", "langgraph", "numpy", "torch"} & set(loaded)


def test_a_cold_start_takes_less_than_a_third_of_a_second_of_the_processor() -> None:
    """Processor time, and the least of five: what others do on the machine is not the client's."""
    taken = []
    for _ in range(5):
        before = os.times()
        _run(sys.executable, "-c", "from aegis_agents.client import Client")
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(taken) < 0.3, taken
