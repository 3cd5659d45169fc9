"""Every fenced block of README and docs: which are run, which are read, which are left out and why.

python   run, in order, in one namespace a page
bash     run by bash -eu, `aegis` being the real command (warm_cli)
toml, json, yaml, cedar   read; where the first line is a comment with a file name, checked by what reads that file, and
         kept under that name for the blocks after it
text     shown: output, or a picture

What can't be run here is preceded by `<!-- skip: next "reason" -->`. Nothing else is left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import SkipTest

import yaml
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from tests.docs.served import ADDRESS

ROOT = Path(__file__).parents[2]
RUN, READ, SHOWN = ("python", "bash"), ("toml", "json", "yaml", "cedar"), ("text", "")
_FENCE = re.compile(r"^[ >]*```(?P<language>[^\n`]*)\n.*?^[ >]*```[ ]*$", re.MULTILINE | re.DOTALL)
_SKIP = re.compile(
    r'^[ ]*<!-- skip: next (?P<reason>"[^"\n]{10,}"|if\(.+, reason="[^"\n]{10,}"\)) -->\s*\Z', re.MULTILINE
)
MARKED = re.compile(r"^[ ]*<!--+ ?skip:", re.MULTILINE)
_HIDDEN = re.compile(r"^<!---? invisible-code-block: (?P<language>\w+)$", re.MULTILINE)
_NAMED = re.compile(r"^# ([a-z_]+\.(?:toml|cedar))\b")


def pages() -> list[Path]:
    """README and all of docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line it begins at, and why it is left out, if it is."""

    language: str
    line: int
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, found without sybil, so that none that it overlooks stays unseen."""
    text = page.read_text("utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        before = text[: fence.start()]
        marked = _SKIP.search(before)
        reason = marked["reason"] if marked else None
        found.append(Block(fence["language"].strip().split(" ")[0], before.count("\n") + 1, reason))
    found += [Block(h["language"], text[: h.start()].count("\n") + 1, None) for h in _HIDDEN.finditer(text)]
    return found


@dataclass
class Ran:
    """What became of a page's blocks."""

    run: int = 0
    read: int = 0
    skipped: list[str] = field(default_factory=list)


def run_page(page: Path, path: Path, address: str = ADDRESS) -> Ran:
    """Run a page in the folder and environment that are current; `path` is where `aegis` is, `address` the server's.

    Raises what a block raises.
    """
    ran = Ran()

    def counted(evaluate: Callable[[Example], None]) -> Callable[[Example], None]:
        def evaluator(example: Example) -> None:
            evaluate(example)
            ran.read += 1

        return evaluator

    def shell(example: Example) -> None:
        run_shell(example, path)
        ran.run += 1

    reading = [CodeBlockParser(language, counted(READERS[language])) for language in READ]
    parsers: list[Any] = [SkipParser(), PythonCodeBlockParser(), CodeBlockParser("bash", shell), *reading]
    document = Document(page.read_text("utf-8").replace(ADDRESS, address), str(page))
    for parser in parsers:
        for region in parser(document):
            document.add(region)
    document.namespace["__name__"] = "__docs__"
    try:
        for example in document.examples():
            evaluate_block(example, ran, page.relative_to(ROOT))
    finally:
        close_left(document.namespace)
    return ran


def evaluate_block(example: Example, ran: Ran, where: Path) -> None:
    """One block; where it is is noted with what it raises."""
    try:
        example.evaluate()
    except SkipTest as reason:
        ran.skipped.append(f"{where}:{example.line}: {reason}")
        return
    except BaseException as error:
        error.add_note(f"in the block at {where}:{example.line}")
        raise
    ran.run += isinstance(example.region.evaluator, PythonEvaluator)


def close_left(namespace: dict[str, Any]) -> None:
    """Close what a page opened and did not close."""
    from aegis_agents import Aegis
    from aegis_agents.client import Client

    for left in namespace.values():
        if isinstance(left, Aegis | Client):
            left.close()


def run_shell(example: Example, path: Path) -> None:
    """A shell block; fails on the first command that does."""
    env = {k: v for k, v in os.environ.items() if k.startswith(("AEGIS_", "LANG", "HOME", "TMP", "TOKEN"))}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example.parsed], env=env | {"PATH": f"{path}:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(
            f"exit code {done.returncode}\n{example.parsed}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        )
    example.namespace["said"] = done.stdout


def _toml(example: Example) -> None:
    tomllib.loads(example.parsed)
    _check_file(example)


def _cedar(example: Example) -> None:
    from aegis_agents.gate.cedar import CedarPolicy

    file = Path("rules.cedar")
    file.write_text(example.parsed, "utf-8")
    CedarPolicy.load(file)


def _check_file(example: Example) -> None:
    """Keep what is a named file, and have it read by what reads such files."""
    named = _NAMED.match(example.parsed)
    if not named:
        return
    file = Path(named[1])
    file.write_text(example.parsed, "utf-8")
    file.chmod(0o600)
    if file.name in FILES:
        FILES[file.name](file)


def _settings(file: Path) -> None:
    from aegis_agents.settings import load_settings

    load_settings(file)


def _server(file: Path) -> None:
    """The table [server], by what reads it, until Settings does."""
    from aegis_agents.settings import Settings
    from aegis_agents.settings_server import ServerSettings

    table = tomllib.loads(file.read_text("utf-8"))
    if "server" not in Settings.model_fields:
        ServerSettings.model_validate(table.pop("server", {}))
        return
    _settings(file)


def _connectors(file: Path) -> None:
    """Secrets that the page keeps out of the file are given, as `connector_secrets` would."""
    from pydantic import SecretStr

    from aegis_agents.tools.connectors.config import read_connectors
    from aegis_agents.tools.connectors.registry import connector_class

    tables = tomllib.loads(file.read_text("utf-8"))
    missing = [f"{n}.{s}" for n, t in tables.items() for s in connector_class(t["kind"]).secrets if s not in t]
    read_connectors(file, {name: SecretStr("x" * 40) for name in missing})


def _matrix(file: Path) -> None:
    from aegis_agents.gate.autonomy import AutonomyMatrix

    AutonomyMatrix.load(file)


def _assets(file: Path) -> None:
    from aegis_agents.gate.assets import AssetRegister

    AssetRegister.load(file)


def _feeds(file: Path) -> None:
    from aegis_agents.intel.feeds.load import load_feeds

    load_feeds(file)


FILES: dict[str, Callable[[Path], None]] = {
    "aegis.toml": _server, "connectors.toml": _connectors, "matrix.toml": _matrix, "assets.toml": _assets,
    "feeds.toml": _feeds,
}  # fmt: skip
READERS: dict[str, Callable[[Any], None]] = {
    "toml": _toml,
    "json": lambda example: json.loads(example.parsed),
    "yaml": lambda example: yaml.safe_load(example.parsed),
    "cedar": _cedar,
}
