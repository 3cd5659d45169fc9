"""A file that is followed: every line once, through rotation, truncation, half-written lines and kill -9."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.inbox.inbox import Inbox
from tests.streams.helpers import alert, ids, inbox_at, run_once, running, settings_of, taken, wait_for


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = inbox_at(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "alerts.json"


def following(log: Path, **more: Any) -> Any:
    return settings_of(name="tail", kind="file", path=log, **({"every_s": 0.01, "linger_s": 0.05} | more))


def write(log: Path, *numbers: int, end: str = "\n") -> None:
    with log.open("a") as file:
        file.write("\n".join(alert(n) for n in numbers) + end)


def names(*numbers: int) -> list[str]:
    return [f"a-{n}" for n in numbers]


def test_lines_come_once_and_in_order_over_restarts(inbox: Inbox, log: Path) -> None:
    write(log, 1, 2)
    run_once(inbox, following(log))
    run_once(inbox, following(log))
    write(log, 3)
    run_once(inbox, following(log))
    assert [json.loads(text)["id"] for text in taken(inbox)] == names(1, 2, 3)
    assert inbox.counts().copies == 0  # none was even read twice


def test_a_half_written_line_waits_for_its_newline(inbox: Inbox, log: Path) -> None:
    text = alert(1)
    with running(inbox, following(log)):
        for piece in (text[:10], text[10:]):
            with log.open("a") as file:
                file.write(piece)
            time.sleep(0.05)
            assert inbox.counts().waiting == 0
        with log.open("a") as file:
            file.write("\n" + text[:5])
        wait_for(lambda: inbox.counts().waiting == 1)
    assert inbox.counts()[:4] == (1, 0, 0, 0)


@pytest.mark.parametrize("live", [True, False])
def test_renamed_and_made_anew(inbox: Inbox, log: Path, live: bool) -> None:
    def rotate() -> None:
        write(log, 2)
        log.rename(log.with_name("alerts.json.1"))
        write(log, 3)

    write(log, 1)
    if live:
        with running(inbox, following(log)):
            wait_for(lambda: inbox.counts().waiting == 1)
            rotate()
            wait_for(lambda: inbox.counts().waiting == 3)
    else:
        run_once(inbox, following(log))
        rotate()
        run_once(inbox, following(log))
    assert ids(inbox) == names(1, 2, 3)
    assert inbox.counts().copies == 0


def test_several_rotations_while_nobody_looked(inbox: Inbox, log: Path) -> None:
    write(log, 1)
    run_once(inbox, following(log))
    for number in (2, 3, 4):
        write(log, number)
        if (first := log.with_name("alerts.json.1")).exists():
            first.rename(log.with_name(f"alerts.json.{number}"))
        log.rename(first)
        time.sleep(0.01)
    write(log, 5)
    log.with_name("alerts.json.bak").write_text(alert(99) + "\n")  # no rotated one
    run_once(inbox, following(log))
    run_once(inbox, following(log))
    assert ids(inbox) == names(1, 2, 3, 4, 5)
    assert inbox.counts().copies == 0


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("live", [True, False])
def test_copied_and_truncated(inbox: Inbox, log: Path, live: bool, grown: bool) -> None:
    def rotate() -> None:
        write(log, 3)
        shutil.copyfile(log, log.with_name("alerts.json-20261126"))
        os.truncate(log, 0)
        write(log, *((4, 5, 6, 7) if grown else (4,)))

    last = 7 if grown else 4
    write(log, 1, 2)
    if live:
        with running(inbox, following(log)):
            wait_for(lambda: inbox.counts().waiting == 2)
            rotate()
            wait_for(lambda: inbox.counts().waiting == last)
    else:
        run_once(inbox, following(log))
        rotate()
        run_once(inbox, following(log))
    assert ids(inbox) == names(*range(1, last + 1))
    assert inbox.counts().copies == 0


@pytest.mark.parametrize("gz", [True, False])
def test_packed_ones_are_looked_into_where_asked_for(inbox: Inbox, log: Path, gz: bool, caplog: Any) -> None:
    write(log, 1)
    run_once(inbox, following(log, gz=gz))
    write(log, 2)
    with gzip.open(log.with_name("alerts.json.1.gz"), "wb") as file:
        file.write(log.read_bytes())
    log.unlink()
    write(log, 3)
    run_once(inbox, following(log, gz=gz))
    assert ids(inbox) == names(*((1, 2, 3) if gz else (1, 3)))
    assert ("may never have been seen" in caplog.text) is not gz


def test_an_inode_that_was_given_again_is_another_file(inbox: Inbox, log: Path) -> None:
    write(log, 1)
    run_once(inbox, following(log))
    before = log.stat().st_ino
    log.unlink()
    for _ in range(50):
        write(log, 2, 3)
        if log.stat().st_ino == before:
            break
        log.rename(log.with_name("x" + str(time.monotonic_ns())))
    run_once(inbox, following(log))
    assert ids(inbox) == names(1, 2, 3)


def test_a_line_of_50_mb_is_set_aside_and_not_held_in_memory(inbox: Inbox, log: Path) -> None:
    import tracemalloc

    with log.open("w") as file:
        file.write('{"id": "huge", "x": "')
        for _ in range(50):
            file.write("A" * 1_000_000)
        file.write('"}\n' + alert(2) + "\n")
    log.with_name("small").write_text(alert(1) + "\n")
    run_once(
        inbox, settings_of(name="small", kind="file", path=log.with_name("small"))
    )  # what reading alerts imports is not meant
    tracemalloc.start()
    runner = run_once(inbox, following(log))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
    assert ids(inbox) == names(1, 2)
    (dead,) = inbox.dead()
    assert '{"id": "huge"' in dead.message.native
    assert "50000023 from byte 0 of 'alerts.json'" in dead.message.native
    assert runner.tallies["tail"].too_long == 1


def test_line_bytes_is_what_a_line_may_have(inbox: Inbox, log: Path) -> None:
    text = alert(1, pad="x" * 200)
    log.write_text(text + "\n")
    run_once(inbox, following(log, line_bytes=len(text)))
    assert (inbox.counts().waiting, inbox.counts().dead) == (1, 0)
    log.write_text(text.replace("a-1", "a-2") + "\n")
    run_once(inbox, following(log, line_bytes=len(text) - 1))
    assert (inbox.counts().waiting, inbox.counts().dead) == (1, 1)


def test_hostile_bytes_are_kept_as_they_are(inbox: Inbox, log: Path) -> None:
    hostile = b'\xff\xfe\x00{"id": \xc3\x28}'
    log.write_bytes(
        hostile + b"\r\n\n \n\x00\n" + alert(1).encode() + b"\r\n" + '{"id":"a-2","t":"\u2028\x85"}\n'.encode()
    )
    run_once(inbox, following(log))
    (dead,) = inbox.dead()
    assert dead.message.native.encode("utf-8", "surrogateescape") == hostile + b"\r"
    assert ids(inbox) == names(1, 2)


def test_from_end_passes_over_what_is_there_at_first(inbox: Inbox, log: Path) -> None:
    write(log, 1)
    run_once(inbox, following(log, from_end=True))
    write(log, 2)
    run_once(inbox, following(log, from_end=True))
    assert ids(inbox) == names(2)


@pytest.mark.parametrize(("linger", "seen"), [(0.0, (1, 3)), (0.6, (1, 2, 3))])
def test_linger_waits_for_a_writer_that_has_not_noticed(inbox: Inbox, log: Path, linger: float, seen: Any) -> None:
    write(log, 1)
    with running(inbox, following(log, linger_s=linger)):
        wait_for(lambda: inbox.counts().waiting == 1)
        with log.open("a") as late:
            log.rename(log.with_name("alerts.json.1"))
            write(log, 3)
            time.sleep(0.2)
            late.write(alert(2) + "\n")
        wait_for(lambda: inbox.counts().waiting == len(seen))
        time.sleep(0.1)
    assert ids(inbox) == names(*seen)


def test_a_last_line_without_newline_of_a_rotated_file_is_taken(inbox: Inbox, log: Path) -> None:
    write(log, 1)
    run_once(inbox, following(log))
    write(log, 2, end="")
    log.rename(log.with_name("alerts-20261126.json"))
    write(log, 3)
    run_once(inbox, following(log))
    run_once(inbox, following(log))
    assert ids(inbox) == names(1, 2, 3)
    assert inbox.counts().copies == 0


def test_what_is_no_regular_file_is_an_error_that_is_said_and_tried_again(inbox: Inbox, log: Path) -> None:
    os.mkfifo(log)
    runner = run_once(inbox, following(log))
    assert "no regular file" in runner.tallies["tail"].last_error
    log.unlink()
    with running(inbox, following(log)):  # not there yet
        time.sleep(0.05)
        write(log, 1)
        wait_for(lambda: inbox.counts().waiting == 1)


def test_every_s_is_how_often_it_is_looked_at(inbox: Inbox, log: Path) -> None:
    with running(inbox, following(log, every_s=30.0)):
        time.sleep(0.1)
        write(log, 1)
        time.sleep(0.2)
        assert inbox.counts().waiting == 0


def test_what_was_written_and_rotated_since_it_was_waited_for_is_read(inbox: Inbox, log: Path) -> None:
    log.with_name("alerts.json.7").write_text(alert(7) + "\n")
    time.sleep(0.02)
    run_once(inbox, following(log))  # nothing is there yet
    time.sleep(0.02)
    write(log, 1)
    log.rename(log.with_name("alerts.json.1"))
    write(log, 2)
    run_once(inbox, following(log))
    assert ids(inbox) == names(1, 2)


def test_lines_that_are_alike_are_told_apart_by_the_file_they_stand_in(inbox: Inbox, log: Path) -> None:
    """The bytes before a place may be the same in several files: whoever is logged can fill a line."""

    def line(number: int) -> str:
        return json.dumps({"id": f"a-{number}", "url": "/" + "A" * 2_000}) + "\n"

    log.write_text(line(0))
    run_once(inbox, following(log))
    log.write_text(line(0) + line(1) + line(2))
    log.rename(log.with_name(log.name + ".1"))
    log.write_text("".join(map(line, range(3, 9))))
    run_once(inbox, following(log))
    assert ids(inbox) == names(*range(9))
