"""A Ray of several nodes on this machine, token authentication on, kept by a process of its own.

What Ray changes of a process stays there. Ray gives a node 30 s to start, whatever the machine is busy with; here it
gets ten times as long.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

ROOT = Path(__file__).parents[2]
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_prestart_worker_first_driver": "0",  # a process for each core, before anybody asked for one
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
}
_PATIENCE = 10.0


class RayNodes:
    """A head and further nodes; `cores` of each, the head's first. What they log is in `folder`."""

    def __init__(self, *cores: int) -> None:
        self._cores = cores
        self.folder = Path(tempfile.mkdtemp(prefix="aegis-ray-", dir="/tmp"))  # short: a socket's path has 107 bytes
        self.token = self.folder / "token"
        self.address = ""
        self.ids: list[str] = []
        """Ray's ids of the nodes, the head's first."""
        self._keeper: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None

    def environment(self) -> dict[str, str]:
        """What a process is told that joins them."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        own = {"PYTHONPATH": path, "RAY_TMPDIR": str(self.folder)}
        return QUIET | own | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}

    def start(self) -> None:
        """Start them; the last is up when this returns."""
        self.token.write_text(secrets.token_hex(32))
        self.token.chmod(0o600)
        self._log = (self.folder / "keeper.log").open("w")
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.fleet.ray_nodes", *map(str, self._cores)], cwd=ROOT,
            env=os.environ | self.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True,
        )  # fmt: skip
        self.address, *self.ids = self._answer()

    def kill(self, number: int) -> None:
        """SIGKILL all that runs on a node; 1 is the first besides the head."""
        self._ask(f"kill {number}")

    def add(self, number: int) -> None:
        """Start another in a killed one's place."""
        (self.ids[number],) = self._ask(f"add {number}")

    def stop(self) -> None:
        """End and remove all of it. Calling it twice is fine."""
        if self._keeper is not None:
            if self._keeper.stdin is not None:
                self._keeper.stdin.close()  # it ends what it began
            try:
                self._keeper.wait(60)
            except subprocess.TimeoutExpired:
                self._keeper.kill()  # Ray's processes end with it
                self._keeper.wait()
            if self._keeper.stdout is not None:
                self._keeper.stdout.close()
        if self._log is not None:
            self._log.close()
        self._keeper = self._log = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, what: str) -> list[str]:
        assert self._keeper is not None
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{what}\n")
        self._keeper.stdin.flush()
        return self._answer()

    def _answer(self) -> list[str]:
        assert self._keeper is not None
        assert self._keeper.stdout is not None
        for line in self._keeper.stdout:  # Ray says this and that on its own
            if line.split()[:1] == ["answer"]:
                return line.split()[1:]
        raise AssertionError(f"Ray ended: {(self.folder / 'keeper.log').read_text('utf-8', 'replace')[-3000:]}")


def keep(cores: list[int]) -> None:
    """Keep nodes until standard input ends."""
    from ray._private import node as ray_node
    from ray.cluster_utils import Cluster

    patient: Any = SimpleNamespace(**vars(time) | {"monotonic": lambda: time.monotonic() / _PATIENCE})
    ray_node.time = patient
    small: dict[str, Any] = {
        "object_store_memory": 80 * 2**20,
        "include_dashboard": False,
        "include_log_monitor": False,
    }
    cluster = Cluster()  # type: ignore[no-untyped-call]
    nodes = [cluster.add_node(wait=False, num_cpus=cores[0], no_monitor=True, **small)]
    nodes += [cluster.add_node(wait=False, num_cpus=more, **small) for more in cores[1:]]
    try:
        print("answer", cluster.address, *(node.node_id for node in nodes), flush=True)
        for line in sys.stdin:
            what, number = line.split()[0], int(line.split()[1])
            if what == "kill":
                cluster.remove_node(nodes[number], allow_graceful=False)
                print("answer", flush=True)
            else:
                nodes[number] = cluster.add_node(wait=False, num_cpus=cores[number], **small)
                print("answer", nodes[number].node_id, flush=True)
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def main() -> None:
    """What `RayNodes` starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cores", type=int, nargs="+")
    given = parser.parse_args()
    keep(given.cores)


if __name__ == "__main__":
    main()
