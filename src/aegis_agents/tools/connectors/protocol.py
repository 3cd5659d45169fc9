"""What Aegis asks of a system that acts."""

from __future__ import annotations

from typing import Protocol

from aegis_agents.records import ActionName, Target


class Connector(Protocol):
    """One system that can act. Only the write path calls `apply` and `undo`.

    Raises TransientConnectorError where trying again may help (a time-out counts, even if
    the effect may have happened), TargetNotFound and NotPermitted where the system says so,
    ConnectorError for what else won't work. Errors carry no secret.
    """

    @property
    def name(self) -> str:
        """How receipts and the ledger call it."""
        ...

    @property
    def actions(self) -> frozenset[ActionName]:
        """What it can do."""
        ...

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Do it; doing it twice must be the same as once, by `key` where the system takes one.

        `note` is a redacted reason for people. Returns the system's own reference, "" if it gave none.
        """
        ...

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether it is in effect now; None where the system can't say."""
        ...

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take it back; taking back what is not in effect is no error. Returns a reference or ""."""
        ...
