"""A PostgreSQL server to measure on: in a folder that is thrown away, with the settings that PostgreSQL ships."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WAIT_S = "60"


def program(name: str) -> str | None:
    """The newest of PostgreSQL's programs of that name; None where there is none."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or (str(places[0]) if places else None)


@contextmanager
def server(parent: Path | None = None) -> Iterator[str]:
    """The address of a server that is started, and in the end stopped and removed with its data.

    `parent` is the folder, and with it the disk, that the data lie on. fsync stays on. Raises RuntimeError
    where PostgreSQL is not installed.
    """
    initdb, control = program("initdb"), program("pg_ctl")
    if initdb is None or control is None:
        raise RuntimeError("PostgreSQL's programs initdb and pg_ctl are not installed (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="aegis-bench-", dir=parent or "/tmp"))  # short: a socket's path has 107 bytes
    user = "postgres" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        with (folder / "log").open("ab") as log:
            subprocess.run(command, user=user, cwd="/", stdout=log, stderr=log, check=True)

    data = folder / "data"
    try:
        run(initdb, "-D", str(data), "-U", "aegis", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=100"
        run(control, "-D", str(data), "-w", "-t", _WAIT_S, "-o", options, "start")
        try:
            yield f"postgresql://aegis@/postgres?host={folder}"
        finally:
            run(control, "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cpu_seconds(database: Any) -> float:
    """Processor time of the whole server so far, in seconds: living processes, and those that ended.

    `database` is an open connection: its backend's parent is the server's first process.
    """
    backend = database.info.backend_pid
    first = _stat(backend)[1]
    tick = os.sysconf("SC_CLK_TCK")
    found = _stat(first)
    ticks = sum(found[11:15])  # its own, and of children that it has waited for
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and entry.name != str(first):
            try:
                other = _stat(int(entry.name))
            except (OSError, ValueError):
                continue  # ended meanwhile
            if other[1] == first:
                ticks += other[11] + other[12]
    return ticks / tick


def _stat(pid: int) -> list[int]:
    """The numbers after the name in /proc/PID/stat (proc(5)); the state, a letter, is 0."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]


def settle(database: Any, schema: str) -> None:
    """VACUUM ANALYZE, as autovacuum would have by the time that tables are this large."""
    rows = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)).fetchall()
    for (table,) in rows:
        database.execute(f'VACUUM ANALYZE "{schema}"."{table}"')


def quiet(seconds: float = 60.0, below: float = 1.5) -> float:
    """Wait until the machine is quiet, `seconds` at most; answers the load average of the last minute."""
    until = time.monotonic() + seconds
    while (load := os.getloadavg()[0]) > below and time.monotonic() < until:
        time.sleep(2)
    return load
