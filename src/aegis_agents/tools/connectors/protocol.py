"""What Aegis asks of a system that acts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from aegis_agents.errors import SettingsError
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
        """Whether it is in effect now; None where the system can't say, or has only promised it."""
        ...

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take it back; taking back what is not in effect is no error. Returns a reference or ""."""
        ...


class ConfigurableConnector(Connector, Protocol):
    """A connector that a configuration can name.

    Its constructor takes keyword-only parameters alone, and they are the configuration's keys:
    one without a default is required, those in `secrets` are secret. The SDK is imported in the
    constructor or later, never with the module; where it is missing, SettingsError names `extra`.
    A constructor does not connect: a system that is down must not keep Aegis from starting.
    """

    kind: ClassVar[str]
    """What the configuration calls it: "okta"."""
    extra: ClassVar[str]
    """The extra of this package that brings its SDK; "" where none is needed."""
    secrets: ClassVar[frozenset[str]]
    """Names of the parameters that are secret."""


def narrowed(able: frozenset[ActionName], wanted: Iterable[str] | None, kind: str) -> frozenset[ActionName]:
    """The actions of `able` that the configuration wants; all without a wish.

    Raises SettingsError for one that the connector can't do, or for none.
    """
    if wanted is None:
        return able
    asked = frozenset(wanted)
    if odd := sorted(asked - able):
        raise SettingsError(f"connector {kind}: actions: it can't do {odd[0]!r}; one of {', '.join(sorted(able))}")
    if not asked:
        raise SettingsError(f"connector {kind}: actions: none is left; drop the connector instead")
    return able & asked
