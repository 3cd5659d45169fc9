"""Ray with a head and two nodes, token authentication on: `aegis_agents.fleet.cluster` on it, as `aegis cluster` uses it.

One process keeps Ray and is told what to kill; another is the driver, which starts the workers and may be killed too.
Neither is the test's own: what Ray changes of a process stays there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any

from aegis_agents import Aegis
from tests.crash.worker import Spec
from tests.scale import roles

ROOT = Path(__file__).parents[2]


class Nodes:
    """`count` nodes of one core each, with one worker each, besides a head that works on nothing."""

    def __init__(self, folder: Path, count: int = 2) -> None:
        self._folder, self._count = folder, count
        self._keeper: subprocess.Popen[str] | None = None
        self._driver: subprocess.Popen[str] | None = None
        self._address = ""
        self._log: IO[str] | None = None

    def start(self, spec: Spec) -> None:
        """Start Ray and the driver, and wait until the actors are at work."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "token").write_text(secrets.token_hex(32))
        (self._folder / "token").chmod(0o600)
        (self._folder / "spec.json").write_text(json.dumps(asdict(spec), default=str))
        self._log = (self._folder / "log").open("a")
        self._keeper = self._run("keep", "--count", str(self._count))
        self._address = self._answer(self._keeper)
        self._drive()

    def kill(self, kind: str, dice: random.Random) -> None:
        """SIGKILL a node with all that runs on it, or the driver; another is started in its place."""
        if kind == "driver":
            assert self._driver is not None
            self._driver.kill()
            self._driver.wait()
            self._drive()
        else:
            assert self._keeper is not None
            assert self._keeper.stdin is not None
            self._keeper.stdin.write(f"kill {dice.randrange(self._count)}\n")
            self._keeper.stdin.flush()
            assert self._answer(self._keeper) == "killed"

    def stop(self) -> None:
        """End all of it. Calling it twice is fine."""
        if self._driver is not None:
            if self._driver.poll() is None and self._driver.stdin is not None:
                self._driver.stdin.close()  # it lets the workers finish what they are at
                try:
                    self._driver.wait(90)
                except subprocess.TimeoutExpired:
                    self._driver.kill()
            self._driver.wait()
        if self._keeper is not None:
            if self._keeper.poll() is None and self._keeper.stdin is not None:
                self._keeper.stdin.close()  # it ends what it began
                try:
                    self._keeper.wait(60)
                except subprocess.TimeoutExpired:
                    self._keeper.kill()
            self._keeper.wait()
        if self._log is not None:
            self._log.close()
        self._driver = self._keeper = self._log = None

    def _drive(self) -> None:
        self._driver = self._run("drive", "--count", str(self._count), "--address", self._address)
        assert self._answer(self._driver) == "at work"

    def _run(self, what: str, *more: str) -> subprocess.Popen[str]:
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._folder / "token")}
        own = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        command = [sys.executable, "-m", "tests.scale.nodes", what, "--folder", str(self._folder), *more]
        return subprocess.Popen(
            command, cwd=ROOT, env=os.environ | token | own, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, text=True,
        )  # fmt: skip

    def _answer(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        for line in process.stdout:  # Ray says this and that on its own
            if line.startswith("answer "):
                return line.removeprefix("answer ").strip()
        raise AssertionError(f"Ray ended: {(self._folder / 'log').read_text('utf-8', 'replace')[-3000:]}")


def _say(text: str) -> None:
    print(f"answer {text}", flush=True)


def keep(folder: Path, count: int) -> None:
    """Keep a cluster until standard input ends; kill a node when told, and start another."""
    from ray.cluster_utils import Cluster

    small: dict[str, Any] = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})

    def add() -> Any:
        for _ in range(4):
            try:
                return cluster.add_node(num_cpus=1, **small)
            except Exception as error:  # noqa: BLE001 - Ray's own: a busy machine starts nodes too slowly for it
                print(f"a node did not start: {error}", file=sys.stderr, flush=True)
        return cluster.add_node(num_cpus=1, **small)

    nodes = [add() for _ in range(count)]
    _say(cluster.address)
    try:
        for line in sys.stdin:
            number = int(line.split()[1])
            cluster.remove_node(nodes[number], allow_graceful=False)
            nodes[number] = add()
            _say("killed")
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def read_spec(folder: Path) -> Spec:
    """What the campaign was told, on a machine of Ray's."""
    given: dict[str, Any] = json.loads((folder / "spec.json").read_text("utf-8"))
    return Spec(
        **given | {"home": Path(given["home"]), "intel": Path(given["intel"]), "tokens": tuple(given["tokens"])}
    )


def open_here(folder: Path) -> Aegis:
    """What an actor opens: another process is another machine."""
    return roles.opener(read_spec(folder), f"ray-{os.getpid()}")()


def drive(folder: Path, count: int, address: str) -> None:
    """Be the driver, as `aegis cluster` is one, until standard input ends; then stop the workers."""
    from aegis_agents.fleet.cluster import Cluster, namespace
    from aegis_agents.fleet.ray_setup import join

    settings = roles.settings(read_spec(folder), "driver")
    ray = join(address, settings, namespace=namespace(settings))
    fleet = Cluster(ray, partial(open_here, folder), settings, count=count, say=lambda text: _log(folder, text))
    fleet.start()
    _say("at work")
    stop = threading.Event()

    def until_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=until_end, daemon=True).start()
    fleet.watch(stop)
    fleet.stop()


def _log(folder: Path, text: str) -> None:
    with (folder / "said").open("a") as out:
        out.write(f"{text}\n")


def main() -> None:
    """What `Nodes` starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("keep", "drive"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--address", default="")
    given = parser.parse_args()
    if given.what == "keep":
        keep(given.folder, given.count)
    else:
        drive(given.folder, given.count, given.address)


if __name__ == "__main__":
    main()
