"""What the pages find: a home of their own, the alerts that they speak of, and the `aegis` command."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.docs.warm_cli import WarmCli

_DEMO = resources.files("aegis_agents.cli") / "demo_alerts"
_FILES = {
    "alert.json": "1_attack", "authorised.json": "2_authorised", "wrong.json": "3_wrong_detection",
    "unclear.json": "4_unclear", "injection.json": "5_injection",
}  # fmt: skip


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with what takes long to build: the intelligence that ships, and what the assistant keeps."""
    from aegis_agents import Aegis

    home = tmp_path_factory.mktemp("built")
    with Aegis(home=home) as aegis:
        _ = aegis.context
    return home


@pytest.fixture(scope="module")
def cli() -> Iterator[WarmCli]:
    """The `aegis` command for shell blocks; its socket needs a short path."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        served = WarmCli(Path(folder))
        yield served
        served.close()


@pytest.fixture
def page_folder(tmp_path: Path, built: Path, cli: WarmCli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run a page in, with an AEGIS_HOME of its own; `your-export` is a command that writes JSON Lines."""
    home, folder = tmp_path / "home", tmp_path / "work"
    for part in ("intel", "assistant"):
        if (built / part).exists():
            shutil.copytree(built / part, home / part)
    folder.mkdir()
    for name, alert in _FILES.items():
        (folder / name).write_text((_DEMO / f"{alert}.json").read_text("utf-8"), "utf-8")
    lines = [json.dumps(json.loads((_DEMO / f"{name}.json").read_text("utf-8"))) for name in _FILES.values()]
    (folder / "alerts.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    verdicts = ("true_positive", "benign_positive", "false_positive", "benign_positive", "true_positive")
    closed = [f'{{"alert": {line}, "verdict": "{verdict}"}}\n' for line, verdict in zip(lines, verdicts, strict=True)]
    (folder / "closed.jsonl").write_text("".join(closed), "utf-8")
    export = cli.path / "your-export"
    export.write_text(f"#!/bin/sh\ncat '{folder}/alerts.jsonl'\n")
    export.chmod(0o755)
    cli.new_page()
    for name in [n for n in os.environ if n.startswith("AEGIS_") and n != "AEGIS_DEV_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AEGIS_HOME", str(home))
    monkeypatch.chdir(folder)
    yield folder
    if (home / "assistant").exists() and not (built / "assistant").exists():
        shutil.copytree(home / "assistant", built / "assistant")
