"""The commands of upkeep: what they say, and their exit codes."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from aegis_agents.cli.backup import backup, restore
from aegis_agents.cli.database import database_app, migrate
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures
from tests.ledger.version_4 import OldPostgres
from tests.upkeep.states import fill, open_home

app = typer.Typer()
app.add_typer(database_app, name="database")
for command in (migrate, backup, restore):
    app.command()(command)

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AEGIS_DATABASE", raising=False)

    def invoke(*words: str, exits: int = 0) -> Result:
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == exits, done.output
        return done

    return invoke


@pytest.fixture
def home(tmp_path: Path) -> Path:
    store = open_home(tmp_path / "home")
    fill(store)
    store.close()
    return tmp_path / "home"


def test_database(run: Run, monkeypatch: pytest.MonkeyPatch, postgres_url: str, schema: str, tmp_path: Path) -> None:
    assert "AEGIS_DATABASE" in run("database", "current", exits=2).output
    monkeypatch.setenv("AEGIS_DATABASE", postgres_url)
    monkeypatch.setenv("AEGIS_DATABASE_SCHEMA", schema)
    assert "no tables yet" in run("database", "current").output
    assert "no tables here" in run("database", "upgrade", exits=1).output
    OldPostgres(postgres_url, anchor=tmp_path / "a", schema=schema).close()
    assert "run `aegis database upgrade`" in run("database", "current", exits=1).output
    assert "ADD COLUMN oldest" in run("database", "upgrade", "--sql", "0004:0005").output
    assert "no revision" in run("database", "upgrade", "--sql", "';--:0005", exits=2).output
    assert "0004 -> 0005" in run("database", "upgrade").output
    assert "0005: nothing to do" in run("database", "upgrade").output
    assert "0005 (head)" in run("database", "current").output
    steps = [json.loads(line) for line in run("database", "history", "--json").output.splitlines()]
    assert [(step["number"], step["taken"]) for step in steps] == [("0004", True), ("0005", True)]
    assert "taken" in run("database", "history").output
    assert "0005: stamped" in run("database", "stamp", "0005").output
    assert "nothing was stamped" in run("database", "stamp", "0004", exits=1).output


def test_migrate(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, schema: str) -> None:
    assert "AEGIS_DATABASE" in run("migrate", exits=2).output
    monkeypatch.setenv("AEGIS_DATABASE_SCHEMA", schema)
    assert "would go from" in run("migrate", "--to", postgres_url, "--dry-run").output
    assert "is not being moved" in run("migrate", "--to", postgres_url, "--abandon", exits=1).output
    assert "verified" in run("migrate", "--to", postgres_url).output
    assert "was moved to" in run("backup", str(home.parent / "b"), exits=1).output
    monkeypatch.setenv("AEGIS_DATABASE", postgres_url)
    assert "verified and signed" in run("backup", str(home.parent / "b")).output


def test_backup_and_restore(run: Run, home: Path, tmp_path: Path) -> None:
    made: dict[str, Any] = json.loads(run("backup", str(tmp_path / "b"), "--json").stdout.splitlines()[-1])
    assert made["entries"] > 0
    shutil.copyfile(home / "ledger.pub", tmp_path / "kept.pub")
    assert "move what is left" in run("restore", str(tmp_path / "b"), exits=1).output
    assert "give a folder, or --here" in run("restore", exits=1).output
    assert "nothing was rolled back" in run("restore", "--here", exits=1).output
    shutil.rmtree(home)
    assert (
        "could be restored here"
        in run("restore", str(tmp_path / "b"), "--check", "--key", str(tmp_path / "kept.pub")).output
    )
    assert not home.exists()
    said = run("restore", str(tmp_path / "b"), "--key", str(tmp_path / "kept.pub")).output
    assert "decide again" in said
    assert f"before you remove {home / 'KILL'}" in said.replace("\n", "")
    (tmp_path / "b/aegis.sqlite").write_bytes(b"x")
    assert "tampered" in run("restore", str(tmp_path / "b"), exits=3).output


def test_going_on_with_what_is_here(run: Run, home: Path) -> None:
    older = (home / "aegis.sqlite").read_bytes()
    store = open_home(home)
    store.append("lost", None, {})
    store.close()
    (home / "aegis.sqlite").write_bytes(older)
    said = run("restore", "--here", "--no-look").output
    assert "later ones are lost" in said
    assert (home / "KILL").exists()
    assert "nothing was rolled back" in run("restore", "--here", exits=1).output


def test_a_file_without_a_key_vouches_for_nobody(run: Run, home: Path, tmp_path: Path) -> None:
    """Else the backup's own keys would count, as if none had been given, and nobody were told."""
    run("backup", str(tmp_path / "backup"))
    (tmp_path / "kept.pub").write_bytes((home / "ledger.pub").read_bytes())
    (tmp_path / "empty.pub").write_text("# lost\n")
    shutil.rmtree(home)
    for more in (["--check"], []):
        said = run("restore", str(tmp_path / "backup"), "--key", str(tmp_path / "empty.pub"), *more, exits=1)
        assert "holds no key" in said.output
    assert not home.exists()
    run("restore", str(tmp_path / "backup"), "--key", str(tmp_path / "kept.pub"), "--check")


def test_a_restoration_connects_only_where_settings_allow(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from aegis_agents.hardening import egress
    from aegis_agents.upkeep import restore as restoring

    inside: list[bool] = []

    @contextmanager
    def enforced(_: object) -> Any:
        inside.append(True)
        yield None
        inside.clear()

    read_back = restoring.read_back
    looked: list[bool] = []
    monkeypatch.setattr(egress, "enforced", enforced)
    monkeypatch.setattr(restoring, "read_back", lambda *a, **n: (looked.append(bool(inside)), read_back(*a, **n))[1])
    run("backup", str(tmp_path / "backup"))
    shutil.rmtree(home)
    run("restore", str(tmp_path / "backup"), "--no-look")
    assert looked == [True]
