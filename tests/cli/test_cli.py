"""The command line as its users call it: a process, its output, its exit code."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ALERT = {
    "event_id": "c-1", "title": "Beacon", "hostname": "wks-041", "destination_ip": "203.0.113.9",
    "cmdline": "rundll32 x.dat,Start", "note": "every 45 s since 02:41",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state for the module: building the intelligence index takes seconds."""
    return tmp_path_factory.mktemp("home")


def run(
    home: Path, *arguments: str, given: str | bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    code = "from aegis_agents.cli.main import main; main()"
    text = given.encode() if isinstance(given, str) else given
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], input=text, capture_output=True, timeout=120,
        env={"PATH": "/usr/bin:/bin", "AEGIS_HOME": str(home), **environment},
    )  # fmt: skip


def test_json_lines_answer_line_by_line_whatever_is_wrong(home: Path) -> None:
    lines = [json.dumps(ALERT), '{"half": ', json.dumps([1, 2]), json.dumps(ALERT | {"event_id": "c-2"})]
    done = run(home, "investigate", "-", "--json", given="\n".join(lines) + "\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a.get("native_id", a.get("line")) for a in answers] == ["c-1", 2, 3, "c-2"]
    assert "error" in answers[1]
    assert done.returncode == 1, done.stderr.decode()
    assert answers[0]["verdict"] in ("true_positive", "benign_positive", "false_positive", "undetermined")


def test_a_file_is_shown_to_people(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(ALERT | {"event_id": "c-3", "note": "[bold]markup[/bold] \x1b[31mred"}, indent=2))
    done = run(home, "investigate", str(file))
    assert done.returncode == 0, done.stderr.decode()
    assert "c-3" in done.stdout.decode() or "Beacon" in done.stdout.decode()
    assert b"\x1b[31m" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("investigate", "missing.json"), 1, "missing.json"),
        (("approve", "act-none", "--by", "alice"), 1, "act-none"),
        (("approve", "act-none"), 1, "act-none"),
        (("investigate", "-", "--autonomy", "everything"), 2, "autonomy"),
        (("investigate", "-", "--format", "no_such"), 1, "no_such"),
    ],
)
def test_what_goes_wrong_is_said_with_its_exit_code(
    home: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run(home, *arguments, given=json.dumps(ALERT | {"event_id": "c-4"}))
    assert done.returncode == code
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_ledger_is_verified_and_tampering_is_exit_code_3(home: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "investigate", "-", "--json", given=json.dumps(ALERT)).returncode == 0
    whole = run(tmp_path, "ledger", "verify")
    assert whole.returncode == 0
    assert b"ledger whole" in whole.stdout
    with sqlite3.connect(tmp_path / "aegis.sqlite") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE ledger_entries SET body = replace(body, 'c-1', 'c-9') WHERE seq = 1")
    altered = run(tmp_path, "ledger", "verify")
    assert altered.returncode == 3
    assert b"tampered" in altered.stderr


def test_approvals_are_listed_and_answered_from_another_process(home: Path) -> None:
    # Under the ceiling "ask" every proposal waits, whatever the model thinks of the alert.
    run(home, "investigate", "-", "--json", "--autonomy", "ask", given=json.dumps(ALERT | {"event_id": "c-5"}))
    waiting = [json.loads(line) for line in run(home, "approvals", "--json").stdout.splitlines()]
    assert waiting
    first = waiting[0]["action_id"]
    assert run(home, "deny", first, "--by", "alice", "--reason", "known").returncode == 0
    again = run(home, "deny", first, "--by", "bob")
    assert again.returncode == 1
    assert b"alice" in again.stderr


def test_shadow_leaves_nothing_waiting(tmp_path: Path) -> None:
    done = run(tmp_path, "investigate", "-", "--json", "--shadow", given=json.dumps(ALERT))
    outcomes = {a["outcome"] for a in json.loads(done.stdout)["actions"]}
    assert outcomes <= {"would_execute", "recommended", "refused"}
    assert run(tmp_path, "approvals", "--json").stdout == b""


def test_model_and_formats_commands(home: Path) -> None:
    assert b"model whole" in run(home, "model", "verify").stdout
    assert "okta" in run(home, "formats").stdout.decode().split()
