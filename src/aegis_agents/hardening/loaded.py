"""What this process has loaded: files by path, and the SHA-256 of the bytes that were used, for those who look again."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

_lock = threading.Lock()
_loaded: dict[Path, set[str]] = {}


def remember(path: Path, content: bytes) -> str:
    """These bytes of this file are in use now; answers their SHA-256. A file that was loaded twice may be in use twice."""
    digest = hashlib.sha256(content).hexdigest()
    with _lock:
        _loaded.setdefault(path.absolute(), set()).add(digest)
    return digest


def in_use(path: Path) -> frozenset[str]:
    """The hashes of a file's bytes that are in use; empty if it was not loaded here."""
    with _lock:
        return frozenset(_loaded.get(path.absolute(), ()))
