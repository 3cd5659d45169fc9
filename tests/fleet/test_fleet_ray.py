"""Workers on Ray: two machines of one Ray here, PostgreSQL beneath; each may die, and the driver too."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import SettingsError
from aegis_agents.fleet import cluster as cluster_module
from aegis_agents.fleet.actor import Expected, FleetActor, Health, state_of
from aegis_agents.fleet.cluster import Cluster, namespace
from aegis_agents.fleet.ray_setup import _told, join
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.settings import only
from tests.crash.world import World
from tests.fleet.conftest import message
from tests.fleet.ray_nodes import RayNodes
from tests.fleet.scene import open_from_file, open_scene, scene_settings
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures

SECRET = "plantedpassword4711"


def until(true: Callable[[], bool], seconds: float = 180) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """A Ray of two nodes with two cores each; this process is told to join it."""
    pytest.importorskip("ray", reason="the extra scale is not installed")
    nodes = RayNodes(2, 2)
    try:
        nodes.start()
        with pytest.MonkeyPatch.context() as patch:
            told = _told(nodes.address, only(home=tmp_path_factory.mktemp("ray"), worker={"ray_token": nodes.token}))
            for name, value in (nodes.environment() | told).items():  # `join` sets them too; they go with the cluster
                patch.setenv(name, value)
            yield nodes
            import ray

            ray.shutdown()
    finally:
        nodes.stop()


WRONG = """
import sys
from pathlib import Path
from aegis_agents.errors import SettingsError
from aegis_agents.fleet.ray_setup import join
from aegis_agents.settings import only
token = Path(sys.argv[2])
token.write_text("0" * 64)
try:
    join(sys.argv[1], only(home=token.parent, worker={"ray_token": token}), namespace="wrong")
except SettingsError as error:
    print(error)
else:
    print("it was let in")
"""


@pytest.fixture(scope="module")
def intruder(two_nodes: RayNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Somebody with another token, who tries for the 20 s or so that Ray does, beside whatever else is tested."""
    token = tmp_path_factory.mktemp("intruder") / "token"
    command = [sys.executable, "-c", WRONG, two_nodes.address, str(token)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as found:
        yield found
        found.kill()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_nodes_workers_and_drivers_die_and_nothing_is_lost_or_done_twice(
    two_nodes: RayNodes, intruder: subprocess.Popen[str], postgres_url: str, schema: str, tmp_path: Path,
    intel_folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import ray

    home = tmp_path / "home"
    home.mkdir()
    database = postgres_url.replace("aegis@", f"aegis:{SECRET}@")
    file = tmp_path / "address"  # the address with its password never is an argument of an actor
    file.write_text(database)
    opener = partial(open_from_file, home, intel_folder, file, schema)
    settings = scene_settings(home, database, schema)
    inbox = open_inbox(settings)
    brought = 0

    def bring() -> None:
        """Ten more: whatever dies next, dies at work."""
        nonlocal brought
        inbox.put([message(n, mood="slow") for n in range(brought, brought + 10)])
        brought += 10

    said: list[str] = []
    bring()
    join(two_nodes.address, settings, namespace=namespace(settings))
    Cluster(ray, opener, settings, count=2, say=said.append).start()
    until(lambda: inbox.counts().done >= 2)
    bring()
    ray.shutdown()  # the driver goes; the actors are detached
    done = inbox.counts().done
    until(lambda: inbox.counts().done > done)

    join(two_nodes.address, settings, namespace=namespace(settings))
    fleet = Cluster(ray, opener, settings, count=2, say=said.append)
    fleet.start()
    before = {name: h for name, h in fleet.health().items() if h is not None}
    assert {h.node for h in before.values()} == set(two_nodes.ids)
    assert {h.report.model for h in before.values() if h.report} == {"fake@1"}
    assert not any("replaced" in line for line in said)

    bring()
    head, other = two_nodes.ids
    (stays,) = (name for name, h in before.items() if h.node == head)
    (moves,) = (name for name, h in before.items() if h.node == other)
    os.kill(before[stays].pid, signal.SIGKILL)  # a worker dies: Ray makes it anew
    two_nodes.kill(1)  # and a whole machine, at the same time
    bring()
    until(lambda: inbox.counts().done == brought)
    until(lambda: all(h is not None and h.report is not None for h in fleet.health().values()))
    after = {name: h for name, h in fleet.health().items() if h is not None}
    assert [after[name].node for name in (stays, moves)] == [head, head]
    assert not {h.pid for h in after.values()} & {h.pid for h in before.values()}

    monkeypatch.setattr(cluster_module, "__version__", "99.0")  # a driver of the next version
    said.clear()
    newer = Cluster(ray, opener, settings, count=1, say=said.append)
    newer.start()
    assert said[0] == "worker-0 is of another version, or has ended: it is replaced"
    assert said[-1] == "worker-1 is one too many: it is stopped"
    assert newer._all_names() == ["worker-0"]
    assert newer.health()["worker-0"].pid not in {h.pid for h in after.values()}  # type: ignore[union-attr]
    fleet.stop()
    assert fleet._all_names() == []

    counts = inbox.counts()
    assert (counts.done, counts.dead, counts.waiting, counts.held) == (brought, 0, 0, 0)
    inbox.close()
    with opener() as aegis:
        assert aegis.store.unfinished() == []
        assert len(aegis.cases(limit=100).items) == brought
        aegis.store.verify()
    calls = Counter((c.action, c.target) for c in World(home / "world.sqlite").calls() if c.effective)
    assert calls
    assert set(calls.values()) == {1}

    logs = {path: path.read_bytes() for path in two_nodes.folder.rglob("*") if path.is_file()}
    del logs[two_nodes.token]
    assert any(path.name.startswith("worker-") for path in logs)  # of the actors too
    for planted in (SECRET, two_nodes.token.read_text(), "203.0.113.9", "Beacon", "wks-"):
        assert [path.name for path, text in logs.items() if planted.encode() in text] == []


def test_who_has_another_token_is_not_let_in(two_nodes: RayNodes, intruder: subprocess.Popen[str]) -> None:
    said, errors = intruder.communicate(timeout=180)
    assert "it was let in" not in said
    assert f"Ray at {two_nodes.address} can't be joined" in said, errors


def test_files_are_of_one_machine(tmp_path: Path, intel_folder: Path) -> None:
    class TwoNodes:
        def nodes(self) -> list[dict[str, Any]]:
            return [{"Alive": True}, {"Alive": True}, {"Alive": False}]

    with pytest.raises(SettingsError, match="Ray has 2 machines"):
        Cluster(TwoNodes(), partial(open_scene, tmp_path, intel_folder), only(home=tmp_path), say=print)


def _ended(actor: FleetActor) -> Health:
    actor._thread.join(30)
    return actor.health()


def test_a_machine_that_is_not_as_expected_does_not_work(tmp_path: Path, intel_folder: Path) -> None:
    opener = partial(open_scene, tmp_path, intel_folder)
    files = Expected("files", "node-a")
    open_to_all = _ended(FleetActor(opener, files, lambda: True, "node-a"))
    assert (open_to_all.code, open_to_all.why[:40]) == (2, "SettingsError: Ray on this machine lets ")
    elsewhere = _ended(FleetActor(opener, files, lambda: False, "node-b"))
    assert "several machines need PostgreSQL" in elsewhere.why
    other = _ended(FleetActor(opener, Expected("another", None), lambda: False, "node-a"))
    assert "mean another state" in other.why
    fine = FleetActor(opener, files, lambda: False, "node-a")
    until(lambda: fine.health().report is not None)
    assert fine.stop(30)
    assert _ended(fine)[4:] == (0, "")


def test_the_name_of_a_state_holds_no_secret(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    one = only(home=tmp_path, database=f"postgresql://a:{SECRET}@h/d")
    other = only(home=tmp_path, database="postgresql://b:x@h/d", database_schema="other")
    assert SECRET not in state_of(one)
    assert state_of(one) == state_of(only(home=tmp_path, database="postgresql://c:y@h/d"))
    assert len({state_of(one), state_of(other), state_of(only(home=tmp_path))}) == 3


def test_ray_is_told_to_keep_to_itself(tmp_path: Path) -> None:
    told = _told("local", only(home=tmp_path))
    assert told["RAY_AUTH_MODE"] == "token"
    assert told["RAY_USAGE_STATS_ENABLED"] == "0"
    token = Path(told["RAY_AUTH_TOKEN_PATH"])
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    assert _told("local", only(home=tmp_path))["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert token.read_text() != ""
    mine = tmp_path / "mine"
    with pytest.raises(SettingsError, match=r"worker.ray_token: .* is no file"):
        _told("auto", only(home=tmp_path, worker={"ray_token": mine}))
    mine.write_text("x" * 32)
    assert _told("auto", only(home=tmp_path, worker={"ray_token": mine}))["RAY_AUTH_TOKEN_PATH"] == str(mine)
    assert "RAY_AUTH_TOKEN_PATH" not in _told("auto", only(home=tmp_path))


def test_watching_says_what_changed_once_and_stops_all_for_tampering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "WATCH_EVERY_S", 0.001)
    said: list[str] = []
    fleet: Any = Cluster.__new__(Cluster)
    fleet._say, fleet._seen = said.append, {}
    turns = iter([None, None, Health(7, "n" * 20, "1", None, 3, "tampered: LedgerTampered: entry 7")])
    fleet.health = lambda: {"worker-0": next(turns)}
    stopped: list[int] = []
    fleet.stop = lambda: stopped.append(1)
    assert fleet.watch(threading.Event()) == 3
    assert stopped == [1]
    assert len(said) == 3
    assert said[-1] == "worker-0 stopped: tampered: LedgerTampered: entry 7; all are stopped"


def test_one_that_ended_is_made_anew_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "WATCH_EVERY_S", 0.001)
    fleet: Any = Cluster.__new__(Cluster)
    said, made, ended = list[str](), list[str](), list[str]()
    stop = threading.Event()
    fleet._say, fleet._seen, fleet._actors, fleet._restarts, fleet._ends = said.append, {}, {}, 2, []
    fleet._made, fleet._end = made.append, ended.append
    healths = [Health(7, "n", "1", None, code, "KeyError") for code in (1, 0, 1, 1, 1)]
    turns = iter(healths)

    def health() -> dict[str, Health | None]:
        found = next(turns, None)
        if found is None:
            stop.set()
        return {"worker-0": found}

    fleet.health = health
    assert fleet.watch(stop) == 0
    assert made == ended == ["worker-0"] * 2  # not the one that was told to stop, nor more than may be
    assert "worker-0 ended: KeyError" in said
