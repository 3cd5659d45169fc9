"""Ray with some nodes, token authentication on: `aegis_agents.fleet.cluster` on it, as `aegis cluster` uses it.

The driver, which starts the workers, is a process of its own and may be killed too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any

from aegis_agents import Aegis
from tests.crash.worker import Spec
from tests.fleet.ray_nodes import ROOT, RayNodes
from tests.scale import roles

AT_WORK = "at work"


class Nodes:
    """`count` nodes of one core each, with one worker each; the first leads, and is not killed."""

    def __init__(self, folder: Path, count: int = 2) -> None:
        self._folder, self._count = folder, count
        self._ray = RayNodes(*[1] * count)
        self._driver: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None

    def start(self, spec: Spec) -> None:
        """Start Ray and the driver, and wait until the actors are at work."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "spec.json").write_text(json.dumps(asdict(spec), default=str))
        self._log = (self._folder / "log").open("a")
        self._ray.start()
        self._drive()

    def kill(self, kind: str, dice: random.Random) -> None:
        """SIGKILL a node with all that runs on it, or the driver; another is started in its place."""
        if kind == "driver":
            assert self._driver is not None
            self._driver.kill()
            self._end_driver()
            self._drive()
        else:
            number = dice.randrange(1, self._count)
            self._ray.kill(number)
            self._ray.add(number)

    def stop(self) -> None:
        """End all of it. Calling it twice is fine."""
        if self._driver is not None:
            if self._driver.poll() is None and self._driver.stdin is not None:
                self._driver.stdin.close()  # it lets the workers finish what they are at
                try:
                    self._driver.wait(90)
                except subprocess.TimeoutExpired:
                    self._driver.kill()
            self._end_driver()
        self._ray.stop()
        if self._log is not None:
            self._log.close()
        self._driver = self._log = None

    def _end_driver(self) -> None:
        assert self._driver is not None
        self._driver.wait()
        for pipe in (self._driver.stdin, self._driver.stdout):
            if pipe is not None:
                pipe.close()

    def _drive(self) -> None:
        self._driver = subprocess.Popen(
            [sys.executable, "-m", "tests.scale.nodes", str(self._folder), str(self._count), self._ray.address],
            cwd=ROOT, env=os.environ | self._ray.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, text=True,
        )  # fmt: skip
        assert self._driver.stdout is not None
        for line in self._driver.stdout:  # Ray says this and that on its own
            if line.strip() == AT_WORK:
                return
        raise AssertionError(f"the driver ended: {(self._folder / 'log').read_text('utf-8', 'replace')[-3000:]}")


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
    print(AT_WORK, flush=True)
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
    """The driver that `Nodes` starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("address")
    given = parser.parse_args()
    drive(given.folder, given.count, given.address)


if __name__ == "__main__":
    main()
