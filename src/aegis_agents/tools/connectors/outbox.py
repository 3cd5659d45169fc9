"""The embedded default for what only tells people: a folder with one file an entry.

Without any configured system, tickets, notices, the watch list and closed alerts are
really there, can be read by a script, and can be taken back.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final, NoReturn

from aegis_agents.errors import ConnectorError, NotPermitted, TransientConnectorError
from aegis_agents.records import CATALOGUE, ActionName, Target

_AGAIN: Final = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ETIMEDOUT})
"""What a folder on a file server may say, and not say again a moment later."""


class OutboxConnector:
    """Writes entries into `folder`/ACTION/HASH.json."""

    kind: ClassVar[str] = "outbox"
    extra: ClassVar[str] = ""
    secrets: ClassVar[frozenset[str]] = frozenset()
    name = "outbox"
    actions: frozenset[ActionName] = frozenset({"open_ticket", "notify_owner", "add_watchlist", "close_alert"})

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, action: ActionName, target: Target, key: str = "") -> Path:
        # A hash, since a target's text must not become a path. A notice is an event: each has its own file.
        event = "" if CATALOGUE[action].reversible else f"\0{key}"
        digest = hashlib.sha256(f"{target.kind}\0{target.value}{event}".encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / action / f"{digest[:32]}.json"

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Write the entry, whole or not at all; one that is there already stays as it is."""
        self._check(action, target)
        file = self._file(action, target, key)
        entry = {
            "action": action,
            "target": {"kind": target.kind, "value": target.value},
            "note": note,
            "key": key,
            "at": datetime.now(UTC).isoformat(),
        }
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not file.exists():
                self._write(file, json.dumps(entry))
        except OSError as error:
            _refuse(error, "written")
        return f"{action}/{file.name}"

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether the entry is there; None for notices, of which one says nothing of another."""
        if not CATALOGUE[action].reversible:
            return None
        try:
            return self._file(action, target).exists()
        except OSError as error:
            _refuse(error, "read")

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take the entry out."""
        self._check(action, target)
        if not CATALOGUE[action].reversible:
            raise ConnectorError(f"{action} can't be taken back")
        try:
            self._file(action, target).unlink(missing_ok=True)
        except OSError as error:
            _refuse(error, "changed")
        return ""

    def _check(self, action: ActionName, target: Target) -> None:
        if action not in self.actions:
            raise ConnectorError(f"{self.name} can't {action}")
        if target.kind not in CATALOGUE[action].targets:
            raise ConnectorError(f"{action} takes no target of the kind {target.kind}")

    @staticmethod
    def _write(file: Path, text: str) -> None:
        # A name of its own: two that write at once must not write into one half-finished file.
        number, half = tempfile.mkstemp(prefix=f".{file.stem}.", suffix=".tmp", dir=file.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            Path(half).replace(file)
        except OSError:
            Path(half).unlink(missing_ok=True)
            raise


def _refuse(error: OSError, verb: str) -> NoReturn:
    said = f"the outbox can't be {verb}: {error.strerror}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        raise NotPermitted(f"{said} (this account may not)") from error
    if error.errno in _AGAIN:
        raise TransientConnectorError(said) from error
    raise ConnectorError(said) from error
