"""Killed in the middle, two at once, a full disk, a database that goes away: nothing is lost and nothing is held twice."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_agents.errors import SettingsError, StoreError
from aegis_agents.inbox.opening import DatabaseInbox, open_inbox
from aegis_agents.inbox.records import Mark
from aegis_agents.settings import Settings, only
from aegis_agents.settings_inbox import InboxSettings
from tests.inbox.inboxes import Forked, Open, Say, again, alert, at_once, open_at, settings_of
from tests.ledger.postgres_server import running, why_not


@pytest.fixture
def settings(tmp_path: Path, url: str | None, schema: str) -> Settings:
    return settings_of(tmp_path, url, schema)


def test_killed_between_take_and_done_another_does_it(open_one: Open, settings: Settings) -> None:
    inbox = open_one(clock=None)
    inbox.put([alert(1)])

    def take(inbox: DatabaseInbox, say: Say) -> None:
        say(len(inbox.take("a")))
        time.sleep(60)

    taker = Forked(settings.model_copy(update={"inbox": InboxSettings(hold_s=0.2)}), take)
    assert taker.hear() == 1
    taker.kill()
    assert taker.all() == []
    held = []
    while not held:
        held = inbox.take("b")
    assert (held[0].message, held[0].attempts) == (alert(1), 2)
    assert inbox.done("b", held[0].number)


def test_a_poisoned_message_that_kills_its_taker_is_set_aside(open_one: Open, settings: Settings) -> None:
    """The message ends whoever touches it; what stands behind it is done all the same."""
    inbox = open_one(clock=None)
    inbox.put([alert(1, title="poison"), alert(2)])

    def work(inbox: DatabaseInbox, say: Say) -> None:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            for held in inbox.take("w"):
                if "poison" in held.message.native:
                    os.kill(os.getpid(), signal.SIGKILL)
                say(inbox.done("w", held.number))

    ended: list[int | None] = []
    while not ended or ended[-1] != 0:
        worker = Forked(settings.model_copy(update={"inbox": InboxSettings(hold_s=0.05, attempts=2)}), work)
        worker.all()
        ended.append(worker.process.exitcode)
    assert ended == [-signal.SIGKILL] * 2 + [0]
    assert [letter.message for letter in inbox.dead()] == [alert(1, title="poison")]
    assert inbox.counts()[:4] == (0, 0, 1, 1)


def test_killed_while_putting_all_of_a_batch_is_there_or_none(open_one: Open, settings: Settings) -> None:
    def put(inbox: DatabaseInbox, say: Say) -> None:
        for batch in range(10_000):
            inbox.put([alert(10 * batch + n) for n in range(10)], [Mark("edr", "f", str(batch))])
            say(batch)

    putter = Forked(settings, put)
    while putter.hear() < 5:
        pass
    putter.kill()
    answered = max([5, *putter.all()])
    inbox = open_one()
    mark = int(inbox.mark("edr", "f") or -1)
    assert mark >= answered
    assert inbox.counts().waiting == 10 * (mark + 1)
    # The stream goes on at the mark, or before it: nothing comes twice.
    assert inbox.put([alert(n) for n in range(10 * (mark + 2))]).new == 10


def test_processes_that_take_at_once_never_get_the_same(open_one: Open, settings: Settings) -> None:
    open_one(clock=None).put([alert(n) for n in range(150)])

    def take(inbox: DatabaseInbox, say: Say) -> None:
        owner = str(os.getpid())
        while held := inbox.take(owner, 3):
            for one in held:
                assert inbox.done(owner, one.number)
                say(one.number)
            time.sleep(0.005)  # work; without any, SQLite's waiting is so unfair that one process takes all

    seen = at_once(settings, take, take)
    assert sorted(seen[0] + seen[1]) == list(range(1, 151))
    assert all(seen)


def test_processes_that_put_the_like_at_once_make_one_incident(open_one: Open, settings: Settings) -> None:
    def putting(start: int) -> Callable[[DatabaseInbox, Say], None]:
        return lambda inbox, _: [inbox.put([again(n), again(0)]) for n in range(start, 60, 2)] and None

    at_once(settings, putting(0), putting(1))
    inbox = open_one(clock=None)
    (held,) = inbox.take("w", 9)
    assert held.copies == 120
    assert inbox.counts().copies == 119


def test_many_who_put_in_different_orders_do_not_stop_each_other(open_one: Open, settings: Settings) -> None:
    def put(inbox: DatabaseInbox, _: Say) -> None:
        for turn in range(12):
            some = [alert(n, position="") for n in range(15)]
            random.Random(os.getpid() + turn).shuffle(some)
            inbox.put(some)

    at_once(settings, put, put)
    assert open_one(clock=None).counts()[:5] == (15, 0, 0, 0, 2 * 12 * 15 - 15)


def test_two_open_a_new_one_at_once(settings: Settings) -> None:
    def put(inbox: DatabaseInbox, say: Say) -> None:
        say(inbox.put([alert(os.getpid())]).new)

    assert at_once(settings, put, put, put) == [[1]] * 3


def test_a_full_disk_is_an_error_and_what_was_there_stays(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, None, "aegis")
    inbox = open_at(settings)
    inbox.put([alert(1)], [Mark("edr", "f", "1")])

    def on_a_full_disk() -> None:
        inbox = open_at(settings)
        size = (tmp_path / "inbox.sqlite-wal").stat().st_size
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
        refused = 0
        try:
            inbox.put([alert(2, note="x" * 9000)], [Mark("edr", "f", "2")])
        except StoreError:
            refused = 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert refused
        assert inbox.mark("edr", "f") == "1"
        assert inbox.put([alert(2)], [Mark("edr", "f", "2")]).new == 1
        inbox.close()

    child = multiprocessing.get_context("fork").Process(target=on_a_full_disk)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert [h.message for h in inbox.take("w", 9)] == [alert(1), alert(2)]
    assert inbox.mark("edr", "f") == "2"
    inbox.close()


def test_after_a_fork_it_is_opened_again(open_one: Open) -> None:
    inbox = open_one()

    def child() -> None:
        try:
            inbox.put([alert(1)])
        except StoreError as error:
            os._exit(7 if "fork" in str(error) else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode == 7
    assert inbox.put([alert(1)]).new == 1


def test_a_connection_that_broke_is_made_anew(postgres_url: str, tmp_path: Path, schema: str) -> None:
    import psycopg

    inbox = open_at(settings_of(tmp_path, postgres_url, schema))

    def cut() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (inbox._db._db.info.backend_pid,))  # type: ignore[attr-defined]

    cut()
    assert inbox.put([alert(1)]).new == 1
    cut()
    (held,) = inbox.take("w")
    cut()
    assert inbox.extend("w", [held.number]) == [held.number]
    cut()
    with pytest.raises(StoreError), inbox._db.transaction():  # noqa: PT012 - the transaction is what breaks
        cut()
        inbox._db.run("DELETE FROM inbox_messages")
    cut()
    assert inbox.done("w", held.number)
    cut()
    assert inbox.counts().done == 1
    inbox.close()
    with pytest.raises(StoreError):
        inbox.counts()


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_a_database_that_crashes_and_comes_back_has_lost_nothing(tmp_path: Path) -> None:
    with running() as server:
        inbox = open_at(settings_of(tmp_path, server.url, "aegis", hold_s=0.2))
        inbox.put([alert(n) for n in range(5)], [Mark("edr", "f", "5")])
        inbox.take("w", 2)
        server.crash()
        for call in (lambda: inbox.put([alert(9)]), lambda: inbox.take("w"), lambda: inbox.done("w", 1), inbox.counts):
            with pytest.raises(StoreError):
                call()
        server.start()
        assert inbox.mark("edr", "f") == "5"
        assert inbox.put([alert(n) for n in range(6)])[:3] == (1, 0, 5)
        taken: Counter[int] = Counter()
        while len(taken) < 6:
            taken.update(h.number for h in inbox.take("v", 9) if inbox.done("v", h.number))
        assert set(taken.values()) == {1}
        inbox.close()


def test_a_database_that_cannot_be_reached_is_said_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    with pytest.raises(StoreError, match="can't be opened") as caught:
        open_inbox(settings_of(tmp_path, "postgresql://me:hunter2@127.0.0.1:1/db", "aegis"))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError, match="postgresql://"):
        open_inbox(settings_of(tmp_path, "mysql://me@127.0.0.1/db", "aegis"))


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "inbox.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"inbox\.sqlite"):
        open_inbox(only(home=tmp_path))
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="can't be opened"):
        open_inbox(only(home=tmp_path / "file"))
