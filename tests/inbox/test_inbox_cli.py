"""`aegis inbox`: put, status, dead, replay, discard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aegis_agents.cli.inbox import inbox_app
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.settings import only
from tests.inbox.inboxes import alert


@pytest.fixture
def aegis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("aegis_agents.inbox.priority._words", lambda _: None)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(inbox_app, list(arguments))

    return run


def put(aegis: Any, tmp_path: Path, content: bytes, *more: str) -> dict[str, Any]:
    file = tmp_path / "alerts"
    file.write_bytes(content)
    done = aegis("put", str(file), "--json", *more)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_what_is_put_waits_and_is_not_decided(aegis: Any, tmp_path: Path) -> None:
    lines = "".join(alert(n).native + "\n" for n in range(3)).encode()
    assert put(aegis, tmp_path, lines + b"\n" + lines, "--stream", "by-hand") == {
        "new": 3,
        "folded": 3,
        "dead": 0,
        "storms": {},
    }
    assert put(aegis, tmp_path, lines)["folded"] == 3
    counts = json.loads(aegis("status", "--json").stdout)
    assert (counts["waiting"], counts["copies"], counts["by_stream"]) == (3, 6, {"by-hand": 3})
    assert "by-hand: 3" in aegis("status").stdout
    assert not (tmp_path / "home" / "aegis.sqlite").exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (json.dumps(json.loads(alert(1).native), indent=1).encode(), (1, 0)),
        (b"\xef\xbb\xbf" + alert(1).native.encode(), (1, 0)),
        (b"", (0, 0)),
        (b" \n\n", (0, 0)),
        (b'{"alert_id": "half', (0, 1)),
        (b'{\n "alert_id": "half",\n', (0, 1)),
        (b"nope\n" + alert(1).native.encode(), (1, 1)),
        (b"\xff\xfe\x00\n[1]\n" + alert(1).native.encode() + b"\r\n", (1, 2)),
    ],
)
def test_files_of_any_kind(aegis: Any, tmp_path: Path, content: bytes, found: tuple[int, int]) -> None:
    said = put(aegis, tmp_path, content)
    assert (said["new"], said["dead"]) == found


def test_a_storm_is_said(aegis: Any, tmp_path: Path) -> None:
    file = tmp_path / "alerts"
    file.write_text((alert(1).native + "\n") * 10)
    assert "has come 10 times" in aegis("put", str(file)).stdout


def test_what_was_set_aside_is_shown_whole_and_replayed(aegis: Any, tmp_path: Path) -> None:
    put(aegis, tmp_path, b'nope \x1b[31m\n{"a": 1}\n', "--format", "no-such")
    shown = aegis("dead")
    assert "no-such" in shown.stdout
    assert "\x1b" not in shown.stdout
    letters = [json.loads(line) for line in aegis("dead", "--json").stdout.splitlines()]
    assert [letter["message"]["native"] for letter in letters] == ["nope \x1b[31m", '{"a": 1}']
    assert json.loads(aegis("dead", "--json", "--limit", "1", "--after", "1").stdout)["number"] == 2
    inbox = open_inbox(only(home=tmp_path / "home"))
    inbox.put([alert(5)])
    (held,) = inbox.take("w")
    inbox.kill("w", held.number, "never")
    inbox.close()
    assert aegis("replay", "1").exit_code == 1
    assert "1 of 2 wait again" in aegis("replay", str(held.number), "1").stdout
    assert "0 wait again" in aegis("replay", "--all").stdout
    assert "1 of 2 removed" in aegis("discard", "1", "99").stdout
    assert aegis("discard", "1").exit_code == 1
    assert [json.loads(line)["number"] for line in aegis("dead", "--json").stdout.splitlines()] == [2]
    assert "1 removed" in aegis("discard", "--all").stdout
    assert aegis("dead").stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [["replay"], ["replay", "1", "--all"], ["discard"], ["discard", "1", "--all"], ["dead", "--limit", "0"]],
)
def test_what_it_is_not_told_it_asks_for(aegis: Any, arguments: list[str]) -> None:
    assert aegis(*arguments).exit_code == 2


def test_a_full_inbox_says_what_was_put(aegis: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_INBOX__MOST_WAITING", "600")
    file = tmp_path / "alerts"
    file.write_text("".join(f'{{"alert_id": "a{n}", "host": "h{n}"}}\n' for n in range(700)))
    done = aegis("put", str(file), "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout.splitlines()[0])["new"] == 500
    assert "most_waiting" in done.stderr


def test_a_file_that_is_not_there(aegis: Any, tmp_path: Path) -> None:
    for name in ("nowhere", "."):
        done = aegis("put", str(tmp_path / name))
        assert done.exit_code == 1
        assert "can't be read" in done.stderr
