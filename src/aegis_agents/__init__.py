"""Aegis Agents: triage, intelligence, reasoning and approval for security incidents.

    from aegis_agents import Aegis
    case = Aegis().investigate(alert)

Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aegis_agents._version import __version__

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.context import Context
    from aegis_agents.errors import ActionError, AegisError, AlreadyDecided, InputError, LedgerTampered, ModelTampered
    from aegis_agents.graph import build_graph
    from aegis_agents.records import Case, Incident
    from aegis_agents.settings import Settings

_WHERE = {
    "Aegis": "aegis", "ActionError": "errors", "AegisError": "errors", "AlreadyDecided": "errors", "Case": "records",
    "Context": "context", "Incident": "records", "InputError": "errors", "LedgerTampered": "errors",
    "ModelTampered": "errors", "Settings": "settings", "build_graph": "graph",
}  # fmt: skip

__all__ = [
    "ActionError", "Aegis", "AegisError", "AlreadyDecided", "Case", "Context", "Incident", "InputError",
    "LedgerTampered", "ModelTampered", "Settings", "__version__", "build_graph",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        found = getattr(import_module(f"aegis_agents.{_WHERE[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'aegis_agents' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
