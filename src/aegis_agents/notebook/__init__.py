"""Aegis in a notebook: `%load_ext aegis_agents.notebook`, tables, what-if, replay, and approving with buttons.

    from aegis_agents.notebook import approvals, frames, investigate_frame, replay, what_if

Cases, incidents, evidence and answers show themselves (HTML, with text where there is none). Names are loaded on
first use; nothing here is imported by the library, the command or the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from aegis_agents.notebook import frames
    from aegis_agents.notebook.batch import investigate_frame
    from aegis_agents.notebook.panel import approvals
    from aegis_agents.notebook.sentinel import investigate_security_alerts, security_alerts
    from aegis_agents.notebook.shown import Shown, show
    from aegis_agents.supposing.replaying import Replayed, replay
    from aegis_agents.supposing.what_if import WhatIf, what_if

_WHERE = {
    "Replayed": "supposing", "Shown": "notebook.shown", "WhatIf": "supposing", "approvals": "notebook.panel",
    "investigate_frame": "notebook.batch", "investigate_security_alerts": "notebook.sentinel", "replay": "supposing",
    "security_alerts": "notebook.sentinel", "show": "notebook.shown", "what_if": "supposing",
}  # fmt: skip

__all__ = [
    "Replayed", "Shown", "WhatIf", "approvals", "frames", "investigate_frame", "investigate_security_alerts", "replay",
    "security_alerts", "show", "what_if",
]  # fmt: skip


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext aegis_agents.notebook`: adds the magic %aegis, and nothing else."""
    from aegis_agents.notebook.magic import AegisMagics

    shell.register_magics(AegisMagics(shell))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext aegis_agents.notebook`: takes the magic away and closes what it opened."""
    from aegis_agents.notebook.magic import AegisMagics

    found = shell.magics_manager.registry.pop(AegisMagics.__name__, None)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("aegis", None)
    if isinstance(found, AegisMagics):
        found.close()


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "frames":
        return import_module("aegis_agents.notebook.frames")
    if name in _WHERE:
        return getattr(import_module(f"aegis_agents.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'aegis_agents.notebook' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
