"""Asks a configured system a harmless question, to see whether it is there and knows us."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Literal

from aegis_agents.errors import ConnectorError, NotPermitted, TargetNotFound, TransientConnectorError
from aegis_agents.records import CATALOGUE, ActionName, EntityKind, Target
from aegis_agents.records.base import Record
from aegis_agents.tools.connectors.answers import clean
from aegis_agents.tools.connectors.configured import ConfiguredConnector

NOBODY: MappingProxyType[EntityKind, str] = MappingProxyType(
    {
        "host": "aegis-check.invalid", "ip": "192.0.2.1", "user": "aegis-check@aegis-check.invalid",
        "email": "aegis-check@aegis-check.invalid", "domain": "aegis-check.invalid", "hash": "0" * 64,
        "message": "<aegis-check@aegis-check.invalid>", "access_key": "AKIAAEGISCHECK000000", "file": "aegis-check",
        "process": "aegis-check", "pod": "aegis-check/aegis-check", "resource": "aegis-check", "alert": "aegis-check",
    }
)  # fmt: skip
"""Names that no real thing has (RFC 2606, RFC 5737), by kind."""


class Answered(Record):
    """What came of asking. ok: it answered and knows us; silent: there is no question that changes nothing;
    failed: it did not answer, or does not let us."""

    name: str
    kind: str
    actions: tuple[ActionName, ...]
    state: Literal["ok", "silent", "failed"]
    said: str


def ask(connector: ConfiguredConnector) -> Answered:
    """Ask one system; nothing is changed there.

    A connector may have its own question, `check()`, whose answer says what these credentials may do. Others
    are asked whether each of their actions is in effect on a name that nothing has: that shows that they may
    be read, not that they may be changed.
    """
    state: Literal["ok", "silent", "failed"]
    own: Callable[[], str] | None = getattr(connector.inner, "check", None)
    try:
        state, said = ("ok", own()) if own else _read(connector)
    except ConnectorError as error:
        state, said = "failed", str(error)
    except Exception as error:  # noqa: BLE001 - its author's mistake: told as that, and the others are asked too
        state, said = "failed", f"{connector.kind} broke: {type(error).__name__}"
    return Answered(
        name=connector.name, kind=connector.kind, actions=tuple(sorted(connector.actions)),
        state=state, said=clean(said),
    )  # fmt: skip


def _read(connector: ConfiguredConnector) -> tuple[Literal["ok", "silent"], str]:
    seen: list[str] = []
    unseen: list[str] = []
    for action in sorted(connector.actions):
        kind = CATALOGUE[action].targets[0]
        try:
            answer = connector.read(action, Target(kind=kind, value=NOBODY[kind]))
        except TargetNotFound:
            answer = False  # as it should be
        except (NotPermitted, TransientConnectorError):
            raise
        except ConnectorError as error:
            raise ConnectorError(f"{action}: {error}") from error
        (unseen if answer is None else seen).append(action)
    told = [f"may be read: {', '.join(seen)}"] if seen else []
    told += [f"can't be asked without doing it: {', '.join(unseen)}"] if unseen else []
    return ("ok" if seen else "silent"), "; ".join(told)
