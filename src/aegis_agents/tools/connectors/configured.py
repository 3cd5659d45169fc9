"""A connector as the settings want it: under a name of their own, kept to some actions and some targets."""

from __future__ import annotations

from aegis_agents.errors import ConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.assign import takes
from aegis_agents.tools.connectors.protocol import Connector


class ConfiguredConnector:
    """Passes on to `inner` what it may do. Receipts call it `name`.

    What lies outside is refused here too, not only by who chooses among connectors. Undo and read
    pass whatever the target: what was done before the settings changed must be seen and lifted.
    """

    def __init__(
        self, inner: Connector, *, name: str, kind: str, actions: frozenset[ActionName], targets: tuple[str, ...]
    ) -> None:
        self.inner, self.name, self.kind = inner, name, kind
        self.actions, self.targets = actions, targets

    def __repr__(self) -> str:
        return f"<connector {self.name} ({self.kind}): {', '.join(sorted(self.actions))}>"

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Do it. Raises ConnectorError for an action or a target that it is not there for."""
        if action not in self.actions:
            raise ConnectorError(f"{self.name} is not configured for {action}")
        if not takes(self.targets, target):
            raise ConnectorError(f"{self.name} is not configured for this {target.kind}")
        return self.inner.apply(action, target, key=key, note=note)

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether it is in effect now."""
        return self.inner.read(action, target)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take it back."""
        return self.inner.undo(action, target, key=key)
