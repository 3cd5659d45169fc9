"""`aegis ledger`: what each command says, and with which exit code it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aegis_agents import Aegis
from aegis_agents.cli import ledger as commands
from tests.ledger.ledgers import DAY, START, Clock, decided, finished, open_in, tampering


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose Aegis signs; one incident is old and over, one waits."""
    made, clock = tmp_path / "home", Clock()
    store = open_in(made, clock=clock)
    finished(store, "inc-old")
    clock.now += DAY
    decided(store, "inc-new")
    store.close()

    @contextmanager
    def opened(settings: Path | None, **given: Any) -> Iterator[Aegis]:
        store = open_in(made, copies=tmp_path / "copies")
        with Aegis(home=made, ledger=store, **given) as aegis:
            yield aegis
        store.close()

    monkeypatch.setattr(commands, "open_aegis", opened)
    return made


def run(*given: str | Path, code: int = 0) -> Result:
    done = CliRunner().invoke(commands.ledger_app, [str(part) for part in given])
    assert done.exit_code == code, done.output
    return done


def test_verify_says_how_much_is_signed_and_by_what_it_knows(home: Path, tmp_path: Path) -> None:
    done = run("verify")
    assert "ledger whole: 7 entries" in done.stdout
    assert "signed: 2 checkpoints over 7 entries, 0 after them (keys as found beside the ledger" in done.stdout
    pinned = tmp_path / "pinned.pub"
    pinned.write_text("# of the SOC\n\n" + run("key").stdout)
    assert "beside" not in run("verify", "--key", pinned).stdout
    found = json.loads(run("verify", "--json", "--key", pinned).stdout)
    assert (found["entries"], found["signed"], found["unsigned"], found["pinned"]) == (7, 7, 0, True)


def test_show_begins_at_the_oldest_or_ends_at_the_newest(home: Path) -> None:
    def shown(*given: str) -> list[int]:
        return [json.loads(line)["seq"] for line in run("show", *given).stdout.splitlines()]

    assert shown("--limit", "2") == [1, 2]
    assert shown("--limit", "2", "--newest") == [6, 7]
    assert shown("--limit", "2", "--newest", "--incident", "inc-old") == shown("--incident", "inc-old")[-2:]
    assert shown("--newest", "--after", "6") == [7]


def test_an_altered_ledger_leaves_with_code_3(home: Path) -> None:
    with tampering(home / "aegis.sqlite") as database:
        database.execute("UPDATE ledger_entries SET kind = 'x' WHERE seq = 2")
    assert "tampered: entry 2 was changed" in run("verify", code=3).stderr


def test_a_pinned_key_that_is_none_leaves_with_code_1(home: Path, tmp_path: Path) -> None:
    (tmp_path / "pinned.pub").write_text("nonsense\n")
    assert "not a public key" in run("verify", "--key", tmp_path / "pinned.pub", code=1).stderr


def test_a_checkpoint_is_printed_and_copied_and_can_be_held_against_the_ledger(home: Path, tmp_path: Path) -> None:
    done = run("checkpoint")
    note = tmp_path / "note"
    note.write_bytes(done.stdout_bytes)
    run("verify", "--against", note)
    with tampering(home / "aegis.sqlite") as database:
        database.execute("DELETE FROM ledger_checkpoints WHERE number = 2")
        database.execute("UPDATE ledger_meta SET checkpoints = 1, signed = 5")
    (home / "aegis.sqlite.anchor").write_bytes(_anchor(home))
    run("verify")
    assert "kept elsewhere, is missing here" in run("verify", "--against", note, code=3).stderr


def _anchor(home: Path) -> bytes:
    import sqlite3

    from aegis_agents.ledger.anchor import Anchor, _line

    with sqlite3.connect(home / "aegis.sqlite") as database:
        found = database.execute("SELECT count, head, checkpoints FROM ledger_meta").fetchone()
    database.close()
    return _line(Anchor(*found))


def test_an_export_is_written_whole_and_checked_without_the_store(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    assert "7 entries written" in run("export", file).stdout
    assert file.stat().st_mode & 0o077 == 0
    assert run("export").stdout == file.read_text()
    pinned = tmp_path / "pinned.pub"
    pinned.write_text(run("key").stdout)
    run("verify", "--export", file, "--key", pinned)
    file.write_text(file.read_text().replace("block_ip", "open_ip"))
    assert "commits to" in run("verify", "--export", file, code=3).stderr
    run("verify", "--export", tmp_path / "none", code=1)
    run("export", tmp_path / "none" / "export.jsonl", code=1)


def test_show_takes_an_incident_and_a_kind(home: Path) -> None:
    lines = [
        json.loads(line) for line in run("show", "--incident", "inc-old", "--kind", "case.finished").stdout.splitlines()
    ]
    assert [(line["kind"], line["incident_id"]) for line in lines] == [("case.finished", "inc-old")]
    assert len(run("show", "--after", "3", "--limit", "2").stdout.splitlines()) == 2


def test_prune_removes_what_is_old_and_says_by_whose_order(home: Path, tmp_path: Path) -> None:
    before = (START + DAY).date().isoformat()
    done = run("prune", "--before", before, "--by", "alice", "--archive", tmp_path / "removed.jsonl")
    assert "4 bodies and 1 alerts" in done.stdout
    (entry,) = [json.loads(line) for line in run("show", "--kind", "ledger.pruned").stdout.splitlines()]
    assert entry["body"]["principal"]["said"] == "alice"
    assert entry["body"]["principal"]["id"].startswith("os_account:")
    assert "removed by retention, and proven: the bodies of 4 entries" in run("verify").stdout
    assert json.loads(run("show", "--limit", "1").stdout)["body"] is None


def test_the_graphs_own_copy_of_a_removed_alert_goes_too(home: Path) -> None:
    saver = Aegis(home=home).graph.checkpointer
    put = {"configurable": {"thread_id": "inc-old", "checkpoint_ns": ""}}
    saver.put(put, {"v": 1, "id": "1", "ts": "", "channel_values": {}, "channel_versions": {}, "versions_seen": {}}, {}, {})  # fmt: skip
    assert saver.get(put) is not None
    run("prune", "--before", (START + DAY).date().isoformat())
    assert saver.get(put) is None
    saver.conn.close()


def test_a_date_that_is_none_is_wrong_usage(home: Path) -> None:
    run("prune", "--before", "yesterday", code=2)
    assert "future" in run("prune", "--before", "2999-01-01", code=1).stderr


def test_key_prints_the_public_key_and_renews_it(home: Path) -> None:
    (first,) = run("key").stdout.split()
    both = run("key", "--renew", "--by", "alice").stdout.split()
    assert both[0] == first
    assert len(both) == 2
    assert "after them" in run("verify").stdout


def test_key_makes_the_first_key_where_nothing_was_signed_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_in(tmp_path)

    @contextmanager
    def opened(settings: Path | None, **given: Any) -> Iterator[Aegis]:
        yield Aegis(home=tmp_path, ledger=store)

    monkeypatch.setattr(commands, "open_aegis", opened)
    assert len(run("key").stdout.split()) == 1
    assert store.verify().checkpoints == 1
    store.close()
