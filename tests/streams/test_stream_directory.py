"""A folder of files: whole ones are taken in once and moved, half-written ones wait, tricks are left where they are."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.inbox.inbox import Inbox
from aegis_agents.streams.documents import apart, decoded
from tests.streams.helpers import alert, ids, inbox_at, run_once, running, settings_of, taken, wait_for


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = inbox_at(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


def watching(folder: Path, **more: Any) -> Any:
    return settings_of(name="drop", kind="directory", path=folder, **({"every_s": 0.01, "settle_s": 0} | more))


def left(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.name != "done")


def test_an_alert_an_array_a_wrapper_and_lines(inbox: Inbox, folder: Path) -> None:
    (folder / "one.json").write_text("\n " + json.dumps(json.loads(alert(1)), indent=2))
    (folder / "array.json").write_text(f"[{alert(2)},\n {alert(3)} ]")
    (folder / "wrapped").write_text(f'{{"Records": [{alert(4)}, {alert(5)}]}}\n')
    (folder / "lines.jsonl").write_text(f"{alert(6)}\n\n{alert(7)}")
    (folder / "sixteen").write_text(alert(8), "utf-16")
    run_once(inbox, watching(folder))
    assert ids(inbox) == [f"a-{n}" for n in range(1, 9)]
    assert left(folder) == []
    assert len(list((folder / "done").iterdir())) == 5


def test_each_text_is_kept_to_the_letter(inbox: Inbox, folder: Path) -> None:
    inner = '{"a": 1.50, "a": NaN,  "b": 123456789012345678901234567890123456789012345678901234567890, "id": "a-1"}'
    (folder / "x").write_text(f"[ {inner} ]")
    run_once(inbox, watching(folder))
    assert taken(inbox) == [inner]


def test_what_is_no_alert_among_alerts_is_set_aside(inbox: Inbox, folder: Path) -> None:
    (folder / "x").write_text(f"[1, {alert(1)}, null]")
    run_once(inbox, watching(folder))
    assert [one.message.native for one in inbox.dead()] == ["1", "null"]
    assert ids(inbox) == ["a-1"]


def test_a_file_that_grows_waits_until_it_is_whole(inbox: Inbox, folder: Path) -> None:
    text = f"[{alert(1)}, {alert(2)}]"
    with running(inbox, watching(folder)):
        with (folder / "x.json").open("w") as file:
            for piece in (text[:30], text[30:-1]):
                file.write(piece)
                file.flush()
                time.sleep(0.05)
                assert inbox.counts().waiting == 0
            file.write(text[-1])
        wait_for(lambda: inbox.counts().waiting == 2)
        with (folder / "y.jsonl").open("w") as file:
            file.write(f"{alert(3)}\n{alert(4)[:-3]}")
            file.flush()
            time.sleep(0.05)
            assert inbox.counts().waiting == 2
            file.write(alert(4)[-3:])
        wait_for(lambda: inbox.counts().waiting == 4)
        wait_for(lambda: left(folder) == [])


def test_settle_s_is_how_long_it_must_not_have_changed(inbox: Inbox, folder: Path) -> None:
    with running(inbox, watching(folder, settle_s=0.4)):
        (folder / "x").write_text(alert(1))
        time.sleep(0.25)
        (folder / "x").write_text(alert(2))
        time.sleep(0.25)
        assert inbox.counts().waiting == 0
        wait_for(lambda: inbox.counts().waiting == 1)
    assert ids(inbox) == ["a-2"]


def test_give_up_s_sets_aside_what_never_becomes_whole(inbox: Inbox, folder: Path) -> None:
    (folder / "x").write_text('{"id": "a-1", "cut')
    (folder / "empty").write_text("")
    (folder / "y").write_text(alert(2) + "\n" + alert(3)[:-4])
    with running(inbox, watching(folder, give_up_s=30.0)):
        time.sleep(0.15)
        assert (inbox.counts().dead, left(folder)) == (0, ["empty", "x", "y"])
    run_once(inbox, watching(folder, give_up_s=0.05))
    assert {one.message.native for one in inbox.dead()} == {'{"id": "a-1", "cut', alert(3)[:-4], ""}
    assert ids(inbox) == ["a-2"]
    assert left(folder) == []


def test_file_bytes_is_what_a_file_may_have(inbox: Inbox, folder: Path) -> None:
    text = f"[{alert(1)}, {alert(2, pad='x' * 2000)}]"
    (folder / "x").write_text(text)
    run_once(inbox, watching(folder, file_bytes=len(text) - 1))
    assert (inbox.counts().waiting, inbox.counts().dead) == (0, 1)
    assert f"a file of {len(text)}" in inbox.dead()[0].message.native
    (folder / "x").write_text(text)
    run_once(inbox, watching(folder, file_bytes=len(text)))
    assert ids(inbox) == ["a-1", "a-2"]


def test_links_and_what_is_no_file_are_left_and_said_once(
    inbox: Inbox, folder: Path, tmp_path: Path, caplog: Any
) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(alert(9))
    (folder / "link").symlink_to(secret)
    (folder / "links").symlink_to(tmp_path)
    os.link(secret, folder / "hard")
    os.mkfifo(folder / "fifo")
    (folder / "deep").mkdir()
    (folder / ".hidden").write_text(alert(8))
    (folder / "x.part").write_text(alert(8))
    (folder / "ok").write_text(alert(1))
    with running(inbox, watching(folder)) as runner:
        wait_for(lambda: inbox.counts().waiting == 1)
        time.sleep(0.1)
    assert ids(inbox) == ["a-1"]
    assert runner.tallies["drop"].refused == 5
    assert left(folder) == [".hidden", "deep", "fifo", "hard", "link", "links", "x.part"]
    assert secret.read_text() == alert(9)


def test_a_done_that_leads_elsewhere_is_refused(inbox: Inbox, folder: Path, tmp_path: Path) -> None:
    (folder / "done").symlink_to(tmp_path)
    (folder / "x").write_text(alert(1))
    runner = run_once(inbox, watching(folder))
    assert "no folder of its own" in runner.tallies["drop"].last_error
    assert (folder / "x").exists()


def test_names_collide_safely_and_may_say_anything(inbox: Inbox, folder: Path) -> None:
    hostile = [b"x", b"x" * 255, b"\xff\n..", b"$(id)", "‮fdp".encode()]
    for round_ in range(2):
        for number, name in enumerate(hostile):
            (folder / os.fsdecode(name)).write_text(alert(10 * round_ + number))
        run_once(inbox, watching(folder))
    assert ids(inbox) == [f"a-{n}" for n in (0, 1, 2, 3, 4, 10, 11, 12, 13, 14)]
    assert len(list((folder / "done").iterdir())) == 10
    assert left(folder) == []


def test_a_file_taken_in_and_not_moved_is_known_again(inbox: Inbox, folder: Path, monkeypatch: Any) -> None:
    """As if it had died between the two."""
    import aegis_agents.streams.directory as directory

    (folder / "x").write_text(f"[{alert(1)},{alert(2)}]")
    with monkeypatch.context() as patch:
        patch.setattr(directory, "_move", lambda *_: (_ for _ in ()).throw(OSError("no room")))
        assert "no room" in run_once(inbox, watching(folder)).tallies["drop"].last_error
    runner = run_once(inbox, watching(folder))
    assert (runner.tallies["drop"].known, runner.tallies["drop"].folded) == (2, 0)
    assert left(folder) == []
    (folder / "x").write_text(f"[{alert(1)},{alert(2)}]")  # sent again: another file, the same incidents
    assert run_once(inbox, watching(folder)).tallies["drop"].folded == 2


def test_a_folder_that_is_not_there_is_said(inbox: Inbox, tmp_path: Path) -> None:
    runner = run_once(inbox, watching(tmp_path / "none"))
    assert "make the folder" in runner.tallies["drop"].last_error


@pytest.mark.parametrize(
    "text", ["", " ", "x", "[", "[1", "[1,", "{", '{"a":1}x', "[1]]", '{"Records": [{}', "\ufeff{}", '{"a":1}\nx']
)
def test_what_is_not_whole(text: str) -> None:
    assert apart(text) is None


def test_nesting_without_end_is_set_aside(inbox: Inbox, folder: Path) -> None:
    (folder / "x").write_text("[" * 100_000)
    (folder / "y").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    run_once(inbox, watching(folder, give_up_s=0))
    assert inbox.counts()[:4] == (0, 0, 0, 2)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@settings(max_examples=40)
@given(st.lists(_JSON, max_size=4), st.sampled_from([None, 1]))
def test_an_array_comes_apart_into_what_was_put_in(items: list[Any], indent: int | None) -> None:
    found = apart(json.dumps(items, indent=indent))
    assert found is not None
    assert [json.loads(text) for text in found] == items


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded(data: bytes) -> None:
    text = decoded(data)
    if data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        assert text.encode("utf-8", "surrogateescape") == data.removeprefix(b"\xef\xbb\xbf")
    apart(text)


def test_a_file_that_may_not_be_read_stops_no_other(
    inbox: Inbox, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another producer's file, or one that is there on purpose. (The tests may run as root, whom nothing is denied.)"""
    (folder / "a.json").write_text(alert(1))
    (folder / "b.json").write_text(alert(2))
    os.utime(folder / "a.json", (1, 1))
    whole = os.open

    def opened(name: Any, *given: Any, **more: Any) -> int:
        if name == "a.json":
            raise PermissionError(13, "Permission denied")
        return whole(name, *given, **more)

    monkeypatch.setattr(os, "open", opened)
    run_once(inbox, watching(folder))
    assert ids(inbox) == ["a-2"]
    assert left(folder) == ["a.json"]
    assert "'a.json' can't be read" in caplog.text
