"""Openers of processes that fail before they load anything."""

from __future__ import annotations

import os
import signal
from typing import Any

from aegis_agents.errors import LedgerTampered, SettingsError


def die() -> Any:
    """As if the system had ended it."""
    os.kill(os.getpid(), signal.SIGKILL)


def stuck() -> Any:
    """As `Worker` ends a process that is stuck at one alert."""
    os._exit(70)


def wrong() -> Any:
    """Settings that can't be."""
    raise SettingsError("policy: is no file")


def tampered() -> Any:
    """A ledger that is not what it was."""
    raise LedgerTampered("entry 7 does not fit")
