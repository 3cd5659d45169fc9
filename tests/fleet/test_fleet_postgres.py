"""Several workers on one PostgreSQL: approvals outlive who asked, upgrades roll, and the database may go away."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import StoreError
from aegis_agents.fleet import worker as worker_module
from aegis_agents.fleet.leading import PostgresLeading, open_leading
from aegis_agents.fleet.processes import Ended, Processes
from aegis_agents.fleet.worker import Worker
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.ledger.postgres_connection import Address
from tests.crash.world import World
from tests.fleet.conftest import message
from tests.fleet.scene import open_scene, scene_settings
from tests.ledger.postgres_server import postgres_url, running, schema, why_not  # noqa: F401 - fixtures


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


class Started:
    """One worker in a process of its own, as `aegis worker` runs it."""

    def __init__(self, opener: Callable[[], Aegis]) -> None:
        multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.fleet.preload"])
        self.fleet = Processes(opener, 1, restarts=0, say=lambda _: None, method="forkserver")
        self.stop, self.ended = threading.Event(), []
        self._thread = threading.Thread(target=lambda: self.ended.append(self.fleet.run(self.stop)))
        self._thread.start()

    def end(self) -> Ended:
        """SIGTERM, and how it ended."""
        self.stop.set()
        self._thread.join(60)
        return self.ended[0]

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.fleet.pids[0], signal.SIGKILL)
        self._thread.join(60)


@pytest.fixture
def scene(postgres_url: str, schema: str, tmp_path: Path, intel_folder: Path) -> partial[Aegis]:
    home = tmp_path / "home"
    home.mkdir()
    return partial(open_scene, home, intel_folder, postgres_url, schema, inbox={"hold_s": 60.0})


def test_what_one_worker_asked_is_approved_on_another_and_done_once(
    scene: partial[Aegis], postgres_url: str, schema: str
) -> None:
    home = scene.args[0]
    inbox = open_inbox(scene_settings(home, postgres_url, schema))
    inbox.put([message(1)])
    asked = Started(scene)
    until(lambda: inbox.counts().done == 1)
    asked.kill()
    with scene() as aegis:
        block = next(row for row in aegis.pending() if row.proposal.action == "block_ip")
        assert aegis.approve(block.action_id).outcome == "executed"
        aegis.recover()
        aegis.store.verify()
    with scene() as aegis:
        assert aegis.case(block.incident_id).actions
    calls = [c for c in World(home / "world.sqlite").calls() if c.action == "block_ip"]
    assert [(c.target, c.effective) for c in calls] == [("203.0.113.9", True)]
    inbox.close()


def test_a_rolling_upgrade_loses_nothing_and_approvals_go_on(
    scene: partial[Aegis], postgres_url: str, schema: str
) -> None:
    """The old worker is told to stop in the middle: what it only holds waits at once, and the next version takes it."""
    home = scene.args[0]
    inbox = open_inbox(scene_settings(home, postgres_url, schema, inbox={"hold_s": 60.0}))
    inbox.put([message(n, mood="slow") for n in range(8)])
    old = Started(scene)
    until(lambda: inbox.counts().done >= 1)
    ended = old.end()
    assert ended.code == 0
    counts = inbox.counts()
    assert counts.held == 0  # given back, not left to a hold of a minute
    assert counts.waiting == 8 - counts.done > 0

    new = partial(scene, version="fake@2")
    upgraded = Started(new)
    until(lambda: inbox.counts().done == 8)
    assert upgraded.end().code == 0
    assert ended.decided + upgraded.ended[0].decided == 8
    with new() as aegis:
        models = Counter(
            entry.body["pins"]["model"]
            for row in aegis.cases(limit=100).items
            for entry in aegis.store.entries(row.incident_id)
            if entry.body and "pins" in entry.body
        )
        assert set(models) <= {"fake@1", "fake@2"}
        waiting = [row for row in aegis.pending() if row.proposal.action == "block_ip"]
        first = aegis.approve(waiting[0].action_id)
        assert first.outcome == "executed"
        aegis.store.verify()
    assert inbox.counts().dead == 0
    inbox.close()


def test_one_leads_over_the_database_and_leads_no_more_when_its_session_is_gone(postgres_url: str, schema: str) -> None:
    import psycopg

    first, second = (PostgresLeading(Address(postgres_url, schema), every_s=0) for _ in range(2))
    other = PostgresLeading(Address(postgres_url, f"{schema}_b"), every_s=0)
    assert first()
    assert not second()
    assert other()  # another state
    assert first._session is not None
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (first._session.info.backend_pid,))
    assert second()
    with pytest.raises(StoreError):
        first()
    assert not first()
    for leading in (first, second, other):
        leading.close()
        leading.close()


def test_who_leads_is_not_asked_more_often_than_it_may(postgres_url: str, schema: str, tmp_path: Path) -> None:
    leading = open_leading(scene_settings(tmp_path, postgres_url, schema))
    assert isinstance(leading, PostgresLeading)
    assert leading()
    assert leading._session is not None
    leading._session.close()  # would fail if it were asked
    assert leading()
    leading.close()


@pytest.fixture
def own_server() -> Iterator[Any]:
    if why := why_not():
        pytest.skip(why)
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    with running() as server:
        yield server


def test_while_the_database_is_away_it_waits_and_nothing_is_lost(
    own_server: Any, tmp_path: Path, intel_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LONGEST_WAIT_S", 0.3)
    home = tmp_path / "home"
    home.mkdir()
    stop = threading.Event()
    with open_scene(home, intel_folder, own_server.url, inbox={"hold_s": 2.0}) as aegis:
        inbox = open_inbox(aegis.settings)
        inbox.put([message(n, mood="slow" if n == 2 else "") for n in range(6)])
        worker = Worker(aegis, inbox)
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        try:
            until(lambda: worker.report().decided >= 2)
            own_server.crash()
            until(lambda: bool(worker.report().trouble))
            own_server.start()
            # A crash may forget that one was done, or that it was taken: its hold runs out, and it is done again.
            until(lambda: inbox.counts().done == 6)
        finally:
            stop.set()
            thread.join(30)
        assert not thread.is_alive()
        assert worker.report().trouble == ""
        counts = inbox.counts()
        assert (counts.done, counts.dead, counts.waiting, counts.held) == (6, 0, 0, 0)
        assert aegis.store.unfinished() == []
        aegis.store.verify()
        inbox.close()
