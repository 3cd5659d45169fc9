"""Whether a worker should take anything at all: its disk has room, and its model is still there."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from pathlib import Path

from aegis_agents.errors import ModelError
from aegis_agents.settings import Settings

_log = logging.getLogger("aegis_agents.fleet")
EVERY_S = 2.0
"""How often is looked: a look costs a few calls of the file system."""


class Readiness:
    """Looks at what taking an alert rests on. What is wrong is logged once, and once more when it is over."""

    def __init__(self, settings: Settings, *, every_s: float = EVERY_S) -> None:
        self._settings, self._every = settings, every_s
        self._looked = float("-inf")
        self._lock = threading.Lock()
        self.wrong = ""
        """What keeps it from taking; empty if nothing does."""

    def __call__(self) -> bool:
        """Whether alerts may be taken."""
        with self._lock:
            if time.monotonic() - self._looked >= self._every:
                found = self._look()
                if found != self.wrong:
                    if found:
                        _log.error("nothing is taken any more: %s", found)
                    else:
                        _log.warning("alerts are taken again")
                self.wrong, self._looked = found, time.monotonic()
            return not self.wrong

    def _look(self) -> str:
        return self._disk() or self._model()

    def _disk(self) -> str:
        home, least = self._settings.home, self._settings.worker.least_free_mb
        try:
            free = shutil.disk_usage(_existing(home)).free
        except OSError as error:
            return f"home: {home} can't be read: {error.strerror}: see that it is there, and mounted"
        if free < least * 2**20:
            return f"home: {free / 2**20:.0f} MB are free on the disk of {home}, {least} must be (worker.least_free_mb)"
        return ""

    def _model(self) -> str:
        """What was loaded goes on working; yet nobody could check it, or start again with it."""
        from aegis_agents.model.files import FILES, shipped_folder
        from aegis_agents.model.registry import current

        try:
            own = current(self._settings.home)
        except (ModelError, OSError) as error:
            return f"the model's record can't be read: {error}"
        folder = own.folder if own else shipped_folder()
        missing = [name for name in ("manifest.json", *FILES) if not os.access(folder / name, os.R_OK)]
        if missing:
            return f"model: {folder / missing[0]} is gone or can't be read: restore it, or `aegis model use shipped`"
        return ""


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there: it is made with the first thing kept in it."""
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    return folder
