"""What follows for an alert, and for the worker, from the error that kept it from being decided."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Literal

from aegis_agents.errors import (
    AegisError,
    InputError,
    IntelError,
    IntelTampered,
    LedgerError,
    LedgerTampered,
    ModelError,
    ModelTampered,
    PolicyError,
    SettingsError,
    StoreError,
)

Fate = Literal["kill", "wait", "stop", "again"]
"""Set the alert aside; wait with it for what Aegis rests on; stop the worker; let it be tried again later."""

MOST_REASON = 300
_PACKAGE = Path(__file__).parents[1]


def fate(error: Exception) -> Fate:
    """What follows from an error. What is no error of ours says nothing of the alert: it is tried again."""
    match error:
        case LedgerTampered() | ModelTampered() | IntelTampered():
            return "stop"  # a person has to look
        case StoreError() | LedgerError() | ModelError() | IntelError() | PolicyError() | SettingsError():
            return "wait"  # no alert would fare better, and this one is not to blame
        case InputError():
            return "kill"
        case _:
            return "again"


def reason(error: BaseException) -> str:
    """An error in one line, for a dead letter and a log: at most 300 characters, nothing that a terminal obeys.

    Errors of ours name fields and fixes. Others may quote what they were given, which may be an alert: of those the
    name and the place in the code are said, and no word of theirs.
    """
    from aegis_agents.sources.text import visible

    if isinstance(error, AegisError):
        text = f"{type(error).__name__}: {error}"
    elif isinstance(error, OSError):
        text = f"{type(error).__name__}: {error.strerror or error.errno}{_place(error)}"
    else:
        text = f"{type(error).__name__}{_place(error)}"
    return " ".join(visible(text).split())[:MOST_REASON]


def _place(error: BaseException) -> str:
    """Where in our code it came from: the last of our lines on its way."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGE) and _PACKAGE / "fleet" not in path.parents:
            return f" at {path.relative_to(_PACKAGE)}:{frame.lineno}"
    return ""
