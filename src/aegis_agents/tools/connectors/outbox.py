"""The embedded default for what only tells people: a folder with one file an entry.

Without any configured system, tickets, notices, the watch list and closed alerts are
really there, can be read by a script, and can be taken back.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from aegis_agents.errors import ConnectorError
from aegis_agents.records import CATALOGUE, ActionName, Target


class OutboxConnector:
    """Writes entries into `folder`/ACTION/HASH.json."""

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
        """Write the entry, whole or not at all."""
        file = self._file(action, target, key)
        entry = {
            "action": action,
            "target": target.model_dump(),
            "note": note,
            "key": key,
            "at": datetime.now(UTC).isoformat(),
        }
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            half = file.with_suffix(f".{os.getpid()}.tmp")
            with half.open("w", encoding="utf-8") as out:
                json.dump(entry, out)
                out.flush()
                os.fsync(out.fileno())
            half.replace(file)
        except OSError as error:
            raise ConnectorError(f"the outbox {file.parent} can't be written: {error.strerror}") from error
        return f"{action}/{file.name}"

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether the entry is there; None for notices, of which one says nothing of another."""
        if not CATALOGUE[action].reversible:
            return None
        return self._file(action, target).exists()

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take the entry out."""
        try:
            self._file(action, target).unlink(missing_ok=True)
        except OSError as error:
            raise ConnectorError(f"the outbox can't be changed: {error.strerror}") from error
        return ""
