"""Workers on Ray: two machines of one Ray here, PostgreSQL beneath; each may die, and the driver too."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
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
from tests.fleet.scene import open_scene, scene_settings
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures

SECRET = "plantedpassword4711"


def until(true: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Path]]:
    """Ray's module, a cluster of two nodes on the loopback interface, and the folder that Ray logs to."""
    if find_spec("ray") is None:
        pytest.skip("the extra scale is not installed")
    import shutil
    import tempfile

    home = tmp_path_factory.mktemp("ray")
    folder = Path(tempfile.mkdtemp(prefix="aegis-ray-", dir="/tmp"))  # short: a socket's path has 107 bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
        for name, value in _told("local", only(home=home)).items():
            patch.setenv(name, value)
        import ray  # reads what it is told as it is imported
        from ray._raylet import Config
        from ray.cluster_utils import Cluster as Nodes

        Config.initialize("")

        common: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False,
                                  "node_ip_address": "127.0.0.1", "include_log_monitor": False}  # fmt: skip
        nodes = Nodes()
        head = {**common, "temp_dir": str(folder), "no_monitor": True}
        try:
            try:
                nodes.add_node(**head)
                nodes.add_node(**common)
            except Exception as error:  # of Ray itself, on a machine that is too busy for its 30 s
                if "timed out during startup" not in str(error):
                    raise
                pytest.skip("Ray's nodes did not start within Ray's own 30 s: the machine is too busy")
            yield ray, nodes, folder
        finally:
            ray.shutdown()
            nodes.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_nodes_workers_and_drivers_die_and_nothing_is_lost_or_done_twice(
    two_nodes: tuple[Any, Any, Path], postgres_url: str, schema: str, tmp_path: Path, intel_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ray, nodes, folder = two_nodes
    home = tmp_path / "home"
    home.mkdir()
    database = postgres_url.replace("aegis@", f"aegis:{SECRET}@")
    file = tmp_path / "address"  # the address with its password never is an argument of an actor
    file.write_text(database)
    opener = partial(open_from_file, home, intel_folder, file, schema)
    settings = scene_settings(home, database, schema)
    inbox = open_inbox(settings)
    inbox.put([message(n, mood="slow" if n % 3 == 0 else "") for n in range(30)])

    said: list[str] = []
    join(nodes.address, settings, namespace=namespace(settings))
    Cluster(ray, opener, settings, count=2, say=said.append).start()
    until(lambda: inbox.counts().done >= 2)
    ray.shutdown()  # the driver goes; the actors are detached
    done = inbox.counts().done
    until(lambda: inbox.counts().done > done)

    join(nodes.address, settings, namespace=namespace(settings))
    fleet = Cluster(ray, opener, settings, count=2, say=said.append)
    fleet.start()
    health = {name: h for name, h in fleet.health().items() if h is not None}
    assert len({h.node for h in health.values()}) == 2
    assert {h.report.model for h in health.values() if h.report} == {"fake@1"}
    assert not any("replaced" in line for line in said)
    os.kill(health["worker-0"].pid, signal.SIGKILL)  # a worker dies: Ray makes it anew
    until(lambda: inbox.counts().done >= 15)
    nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)  # a whole machine dies
    until(lambda: inbox.counts().done == 30)

    monkeypatch.setattr(cluster_module, "__version__", "99.0")  # a driver of the next version
    until(lambda: any(h is not None for h in fleet.health().values()))
    alive = next(name for name, h in fleet.health().items() if h is not None)
    assert not fleet._is_current(fleet.health()[alive])
    fleet.stop()
    assert fleet._all_names() == []

    with opener() as aegis:
        assert aegis.store.unfinished() == []
        assert len(aegis.cases(limit=100).items) == 30
        aegis.store.verify()
    calls = Counter((c.action, c.target) for c in World(home / "world.sqlite").calls() if c.effective)
    assert set(calls.values()) <= {1}
    inbox.close()

    logged = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert SECRET.encode() not in logged
    assert b"203.0.113.9" not in logged


def open_from_file(home: Path, intel: Path, address: Path, schema: str) -> Any:
    """An opener that finds the database's address on the machine that it runs on."""
    return open_scene(home, intel, address.read_text(), schema)


def test_files_are_of_one_machine(two_nodes: tuple[Any, Any, Path], tmp_path: Path, intel_folder: Path) -> None:
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
