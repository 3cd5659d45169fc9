"""A PostgreSQL server of the tests' own: in a folder that is thrown away, durable as a real one."""

from __future__ import annotations

import atexit
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aegis_agents.ledger.postgres import PostgresStore


def _program(name: str) -> str | None:
    found = shutil.which(name)
    if found:
        return found
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(places[0]) if places else None


def why_not() -> str | None:
    """Why there can be no server here; None if there can."""
    if _program("postgres") is None or _program("initdb") is None:
        return "PostgreSQL's programs initdb and postgres are not installed (apt-get install postgresql)"
    if os.name == "posix" and os.getuid() == 0:
        import pwd

        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL does not run as root, and there is no user postgres"
    return None


def _end_with_parent() -> None:
    """A test process that is killed leaves no server behind (prctl(2), PR_SET_PDEATHSIG; Linux alone)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


class Server:
    """A server in a folder of its own. fsync stays on: what is tested is what survives."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._user = folder, "postgres" if os.getuid() == 0 else None
        self._log = (folder / "log").open("w+b")
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            shutil.chown(folder, self._user)
        options = ["-U", "aegis", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        made = [str(_program("initdb")), "-D", str(folder / "data"), *options]
        subprocess.run(made, user=self._user, cwd="/", stdout=self._log, stderr=self._log, check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"postgresql://aegis@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        from psycopg import OperationalError, connect

        options = {
            "listen_addresses": "127.0.0.1", "port": str(self._port), "unix_socket_directories": str(self._folder),
            "max_connections": "60", "shared_buffers": "32MB", "autovacuum": "off",
            "wal_writer_delay": "10s",  # a crash then takes what did not wait for the disk
        }  # fmt: skip
        command = [str(_program("postgres")), "-D", str(self._folder / "data")]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            command, user=self._user, cwd="/", stdout=self._log, stderr=self._log, preexec_fn=_end_with_parent
        )
        until = time.monotonic() + 60
        while True:
            try:
                connect(self.url, connect_timeout=5).close()
                return
            except OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self._log.seek(0)
                    raise AssertionError(self._log.read().decode("utf-8", "replace")) from None
                time.sleep(0.05)

    def crash(self) -> None:
        """End it as a crash would: at once, nothing written, so that the next start recovers from its log."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.crash()
        self._log.close()


@contextmanager
def running() -> Iterator[Server]:
    """A server, started, and in the end stopped and removed."""
    folder = Path(tempfile.mkdtemp(prefix="aegis-pg-", dir="/tmp"))  # short: a socket's path has 107 bytes
    try:
        server = Server(folder)
        try:
            server.start()
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_SHARED: list[str] = []


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The server of this test process, whichever module asks for it first; skips where there is no PostgreSQL."""
    if why := why_not():
        pytest.skip(why)
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    if not _SHARED:
        server = running()
        _SHARED.append(server.__enter__().url)
        atexit.register(server.__exit__, None, None, None)
    return _SHARED[0]


@pytest.fixture
def schema() -> str:
    """A schema of the test's own."""
    return f"t_{secrets.token_hex(6)}"


Open = Callable[..., "PostgresStore"]


@pytest.fixture
def open_pg(postgres_url: str, schema: str, tmp_path: Path) -> Iterator[Open]:
    """Open the test's store once more; another anchor is another machine."""
    from aegis_agents.ledger.postgres import PostgresStore

    made: list[PostgresStore] = []

    def build(anchor: str = "anchor", **named: Any) -> PostgresStore:
        named = {"schema": schema} | named
        made.append(PostgresStore(named.pop("url", postgres_url), anchor=tmp_path / anchor, **named))
        return made[-1]

    yield build
    for store in made:
        store.close()


@pytest.fixture
def pg(open_pg: Open) -> PostgresStore:
    """A store of the test's own."""
    return open_pg()


def cut(store: PostgresStore) -> None:
    """The server drops the connection."""
    import psycopg

    with psycopg.connect(store._address._url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (store._db.info.backend_pid,))
