"""The kill switch: a file. While it is there, nothing but records is allowed.

It needs nothing of the service: `touch` engages it, also when the service hangs
or is being attacked, and it is read anew for every decision, before and after
everything else. `stopper` is for the write path, which asks once more between the
decision and the effect. A person may take back what was done while it is engaged;
nothing lifts itself then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_agents.gate.request import GateRequest, Ruling, allow, class_of
from aegis_agents.records import CATALOGUE, ActionName

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext


def engaged(path: Path | None) -> bool:
    """Whether the file is there; True as well when the system can't say, since not knowing must not act."""
    if path is None:
        return False
    try:
        path.expanduser().lstat()  # "~/KILL" is what a person would touch, not a folder of the name "~"
    except FileNotFoundError:
        return False
    except (OSError, RuntimeError):  # no permission, a loop, a parent that is no folder any more, no home
        return True
    return True


def stopper(path: Path | None) -> Callable[[ActionName], str]:
    """What answers why an action must not be done at this moment; "" while it may."""

    def stopped(action: ActionName) -> str:
        if class_of(CATALOGUE[action]) == "record" or not engaged(path):
            return ""
        return f"the kill switch {path} is engaged"

    return stopped


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Refuse all but records while the switch is engaged."""
    if not engaged(context.settings.kill_switch):
        return allow("kill_switch.off", engaged=False)
    if context.action_class == "record":
        return allow("kill_switch.record", engaged=True)
    return Ruling(
        "refuse",
        "kill_switch.engaged",
        f"the kill switch {context.settings.kill_switch} is engaged; remove the file to act again",
        numbers={"engaged": True},
    )
