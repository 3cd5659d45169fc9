"""The notebooks run top to bottom in a fresh kernel, offline, and come without outputs."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel", reason="needs the dev requirements")
pytest.importorskip("pandas", reason="needs the notebook extra")
nbclient = pytest.importorskip("nbclient", reason="needs the dev requirements")
nbformat = pytest.importorskip("nbformat")
traitlets = pytest.importorskip("traitlets.config")

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

OFFLINE = """
import ipaddress, socket
_connect, _lookup = socket.socket.connect, socket.getaddrinfo
def _outside(host):
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in ("", "localhost")
def connect(self, address):
    assert self.family not in (socket.AF_INET, socket.AF_INET6) or not _outside(address[0]), address
    return _connect(self, address)
def lookup(host, *more, **named):
    assert not isinstance(host, str) or not _outside(host), host
    return _lookup(host, *more, **named)
socket.socket.connect, socket.getaddrinfo = connect, lookup
"""
"""Run first in each kernel: any look-up of, or connection to, another machine fails the cell."""


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the intelligence snapshot built: each notebook's own home begins with a copy."""
    from aegis_agents.intel import Intel
    from aegis_agents.model import FastModel

    home = tmp_path_factory.mktemp("seed")
    Intel.open(home / "intel", FastModel()).close()
    return home


def run(path: Path, cwd: Path, seed: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Execute a notebook in a kernel of its own, its temporary homes seeded; answers it with its outputs."""
    monkeypatch.setenv("AEGIS_HOME", str(cwd / "never-used"))
    monkeypatch.setenv("IPYTHONDIR", str(cwd / "ipython"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    for name in [n for n in os.environ if n.startswith("AEGIS_") and n != "AEGIS_HOME"]:
        monkeypatch.delenv(name)
    seeded = f"""
import shutil, tempfile
_make = tempfile.mkdtemp
def mkdtemp(*named, **more):
    made = _make(*named, **{{**more, "dir": {str(cwd)!r}}})
    if more.get("prefix") == "aegis-notebook-":
        shutil.copytree({str(seed)!r}, made, dirs_exist_ok=True)
    return made
tempfile.mkdtemp = mkdtemp
"""
    notebook = nbformat.read(path, as_version=4)
    first = nbformat.v4.new_code_cell(OFFLINE + seeded)
    notebook.cells.insert(0, first)
    config = traitlets.Config()
    config.ConnectionFileMixin.transport = "ipc"  # no ports, and no warning about unencrypted TCP
    sockets = tempfile.TemporaryDirectory(prefix="nb-")  # not below tmp_path: a socket's path has 107 characters
    config.ConnectionFileMixin.ip = f"{sockets.name}/k"
    client = nbclient.NotebookClient(
        notebook,
        config=config,
        kernel_name="python3",
        timeout=120,
        allow_errors=True,
        resources={"metadata": {"path": str(cwd)}},
    )
    with sockets:
        client.execute()
    return notebook


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_top_to_bottom(path: Path, tmp_path: Path, seed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stem.startswith("05"):
        pytest.importorskip("pydantic_evals", reason="needs the eval extra")
        pytest.importorskip("scipy", reason="needs the eval extra")
    done = run(path, tmp_path, seed, monkeypatch)
    for cell in done.cells:
        for output in cell.get("outputs", ()):
            assert output["output_type"] != "error", f"{path.name}: {cell['source'][:200]}\n{output['evalue']}"
            assert output.get("name") != "stderr", f"{path.name}: {cell['source'][:200]}\n{output['text'][:500]}"
    last = [c for c in done.cells if c["cell_type"] == "code"]
    assert all(c["execution_count"] for c in last)
    assert not (tmp_path / "never-used").exists()  # its state is thrown away, whoever runs it


def test_there_are_six() -> None:
    assert len(NOTEBOOKS) == 6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_is_kept_without_outputs_and_says_what_it_is_for(path: Path) -> None:
    notebook = json.loads(path.read_text("utf-8"))
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")
    text = path.read_text("utf-8")
    for outside in ("/work", "/root", "AEGIS_DEV_DATA", "http://"):
        assert outside not in text
    assert len({c["id"] for c in notebook["cells"]}) == len(notebook["cells"])
