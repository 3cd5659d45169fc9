"""Which connector does which action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from aegis_agents.errors import SettingsError
from aegis_agents.records import CATALOGUE, ActionName
from aegis_agents.tools.connectors.protocol import Connector


def assign(connectors: Iterable[Connector], *, fallback: Connector | None = None) -> Mapping[ActionName, Connector]:
    """Action → connector. `fallback` takes what no other does.

    Raises SettingsError where two claim one action, or one claims an action that does not exist.
    """
    found: dict[ActionName, Connector] = {}
    for connector in connectors:
        for action in sorted(connector.actions):
            if action not in CATALOGUE:
                raise SettingsError(f"connector {connector.name}: there is no action {action!r}")
            if action in found:
                raise SettingsError(f"{action}: both {found[action].name} and {connector.name} claim it; drop one")
            found[action] = connector
    if fallback is not None:
        for action in fallback.actions:
            found.setdefault(action, fallback)
    return MappingProxyType(found)
