"""What is done now and then, by one worker for all: recovering, lifting what is due, forgetting, and what is handed in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from aegis_agents.aegis import Aegis
from aegis_agents.errors import AegisError, StoreError
from aegis_agents.fleet.leading import Leading
from aegis_agents.fleet.outcomes import fate, reason
from aegis_agents.inbox.inbox import Inbox

_log = logging.getLogger("aegis_agents.fleet")
EXPIRE_EVERY_S = 30.0
FORGET_EVERY_S = 3600.0


class Tick(NamedTuple):
    """Something to do every `every_s` seconds; what it answers is not looked at."""

    name: str
    every_s: float
    function: Callable[[], object]


def standing_ticks(aegis: Aegis, inbox: Inbox) -> tuple[Tick, ...]:
    """What every fleet does: finish what dead processes had begun, lift what is due, forget what was done long ago.

    What is in the inbox is left to it: an alert that ends every process at it would end whoever recovers, again and
    again, where the inbox sets it aside after some attempts.
    """
    settings = aegis.settings

    def recover() -> None:
        aegis.recover(leave=lambda incident_id: inbox.copies(incident_id) > 0)

    return (
        Tick("recover", settings.worker.recover_s, recover),
        Tick("expire", EXPIRE_EVERY_S, aegis.expire_due),
        Tick("forget", FORGET_EVERY_S, lambda: inbox.forget(settings.inbox.kept_days)),
    )


class Ticks:
    """Runs ticks when they are due, if this worker leads. Each runs soon after it begins to lead, then in its turn."""

    def __init__(self, ticks: Sequence[Tick], leading: Leading) -> None:
        self._ticks, self._leading = tuple(ticks), leading
        self._due = dict.fromkeys(range(len(self._ticks)), float("-inf"))

    def run_due(self, watched: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """Run what is due, each within `watched`. A tick that fails is logged and waits for its next turn.

        Raises what tells that nothing should go on (LedgerTampered, ModelTampered ...).
        """
        now = time.monotonic()
        due = [i for i, at in self._due.items() if at <= now]
        if not due or not self._leads():
            return
        for i in due:
            tick = self._ticks[i]
            try:
                with watched():
                    tick.function()
            except Exception as error:  # logged; the next turn tries again, and alerts go on meanwhile
                if isinstance(error, AegisError) and fate(error) == "stop":
                    raise
                _log.error("tick %s failed: %s", tick.name, reason(error))
            # Counted from the end: one that takes longer than its turn leaves room for alerts.
            self._due[i] = time.monotonic() + tick.every_s

    def _leads(self) -> bool:
        try:
            return self._leading()
        except StoreError as error:
            _log.warning("who leads can't be found out: %s", reason(error))
            return False

    def close(self) -> None:
        """Leave it to another."""
        self._leading.close()
