"""Whose work is it, and does that process still live? Asked before anybody finishes what another began.

An owner is written as "host:pid:birth". `host` is the machine's name and a hash of its machine-id, `birth`
the boot, the process-id namespace and the tick of the clock at which the process started (proc(5), field 22
of /proc/PID/stat), so that another process that was given the same number later is not taken for it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal

STALE_AFTER = timedelta(minutes=15)
"""How long work of a process that can't be asked after is left alone: longer than any step of it may take."""

_PROC = Path("/proc")


def this_process() -> str:
    """The owner that this process writes beside what it begins."""
    return _named(os.getpid())


@lru_cache(maxsize=2)  # by pid: a fork is another process
def _named(pid: int) -> str:
    return f"{_host()}:{pid}:{_birth(pid) or ''}"


def state_of(owner: str | None) -> Literal["alive", "dead", "unknown"]:
    """Whether an owner still lives; `unknown` for one on another host, or that this host can't tell from another.

    What nobody's name stands beside is `dead`: nobody is at work on it.
    """
    if not owner:
        return "dead"
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    birth = owner.rpartition(":")[2]
    if host != _host() or not (rest.isascii() and rest.isdecimal()):
        return "unknown"
    boot, namespace, ticks = ([*birth.split("."), "", "", ""])[:3]
    if not ticks:
        return "dead" if os.name == "posix" and not _is_running(int(rest)) else "unknown"
    here = _surroundings()
    if boot != here[0]:
        return "dead"  # this machine was started again since
    if namespace != here[1]:
        return "unknown"  # another container: its processes can't be seen from here
    found = _birth(int(rest))
    if found is None and _is_running(int(rest)):
        return "unknown"  # of another account, which /proc may hide (systemd's ProtectProc)
    return "alive" if found == birth else "dead"


def may_take_over(owner: str | None, age: timedelta, stale_after: timedelta) -> bool:
    """Whether another may finish what `owner` began `age` ago: it is dead, or can't be asked after and is stale."""
    state = state_of(owner)
    return state == "dead" or (state == "unknown" and age >= stale_after)


class UnderWay:
    """What threads of this process are at work on. A living process may yet have given something up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: Counter[str] = Counter()

    @contextmanager
    def at_work(self, id: str) -> Iterator[None]:
        """Counts as being at work on `id` within."""
        with self._lock:
            self._ids[id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._ids[id] -= 1
                if not self._ids[id]:
                    del self._ids[id]

    def __contains__(self, id: str) -> bool:
        with self._lock:
            return id in self._ids

    def given_up(self, owner: str | None, id: str) -> bool:
        """Whether this very process began it, and none of its threads is at work on it any more."""
        return owner == this_process() and id not in self


UNDER_WAY = UnderWay()
"""One for the process: an owner names the process, whichever object of it began the work."""


@lru_cache(maxsize=1)
def _host() -> str:
    name = socket.gethostname().replace(":", "_")
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    if not machine:
        return name
    # Hashed: machine-id(5) asks that it be kept confidential.
    return f"{name}/{hashlib.sha256(b'aegis owner ' + machine.encode()).hexdigest()[:8]}"


@lru_cache(maxsize=1)
def _surroundings() -> tuple[str, str]:
    """The boot and the process-id namespace, "" where the system does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")[:12]
        namespace = (_PROC / "self/ns/pid").readlink().name.strip("pid:[]")
    except (OSError, UnicodeDecodeError):
        return "", ""
    return boot, namespace


def _birth(pid: int) -> str | None:
    """When a process of this host started, in the words of an owner; None if there is none or it can't be seen, "" for one that ended."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name, in brackets, may hold brackets and spaces itself: what follows the last one is plain.
    fields = stat.rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):  # killed, and only not yet collected by its parent
        return ""
    return ".".join((*_surroundings(), fields[19].decode("ascii")))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True
