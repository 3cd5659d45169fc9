"""Which connector does which action, on which target."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aegis_agents.errors import SettingsError
from aegis_agents.records import CATALOGUE, ActionName, Target
from aegis_agents.tools.connectors.protocol import Connector


class Assigned(Mapping[ActionName, Connector]):
    """Action → the connector that is asked first; `pick` chooses by target where several do one action."""

    def __init__(
        self,
        by_action: Mapping[ActionName, Sequence[Connector]],
        fallback: Connector | None,
        everyone: Sequence[Connector] = (),
    ) -> None:
        self._by_action, self._fallback, self._everyone = by_action, fallback, everyone

    def __getitem__(self, action: ActionName) -> Connector:
        return self._all(action)[0]

    def __iter__(self) -> Iterator[ActionName]:
        return iter({**self._by_action, **dict.fromkeys(self._fallback.actions if self._fallback else (), None)})

    def __len__(self) -> int:
        return len(list(iter(self)))

    def pick(self, action: ActionName, target: Target, did: str | None = None) -> Connector | None:
        """The first that takes this target, else the fallback; None where none does.

        `did` is the name of the connector that acted: it alone can take back what it did, also where it is
        not configured for this action any more. None where it is not configured at all.
        """
        able = self._all(action) if action in self else []
        if did is not None:
            others = [one for one in self._everyone if action in could(one, action)]
            return next((one for one in (*able, *others) if one.name == did), None)
        return next((one for one in able if takes(targets_of(one), target)), None)

    def _all(self, action: ActionName) -> list[Connector]:
        found = list(self._by_action.get(action, ()))
        if self._fallback is not None and action in self._fallback.actions:
            found.append(self._fallback)
        if not found:
            raise KeyError(action)
        return found


def assign(connectors: Iterable[Connector], *, fallback: Connector | None = None) -> Assigned:
    """Action → connector, asked in the order given. `fallback` takes what no other does.

    Raises SettingsError where a connector claims an action that does not exist, where one could never
    be asked because another before it takes every target, or where two that do one action have one name.
    """
    found: dict[ActionName, list[Connector]] = {}
    everyone = tuple(connectors)
    for connector in everyone:
        for action in sorted(connector.actions):
            if action not in CATALOGUE:
                raise SettingsError(f"connector {connector.name}: there is no action {action!r}")
            before = found.setdefault(action, [])
            for other in before:
                if not targets_of(other):
                    raise SettingsError(
                        f"{action}: both {other.name} and {connector.name} claim it; give {other.name} targets, or drop one"
                    )
                if other.name == connector.name:
                    raise SettingsError(f"{action}: two connectors are called {other.name}; rename one")
            before.append(connector)
    return Assigned(found, fallback, everyone)


def connector_for(
    connectors: Mapping[ActionName, Connector], action: ActionName, target: Target, *, did: str | None = None
) -> Connector | None:
    """Who does this action on this target, or who did it (`did`, its name); None where nobody does."""
    if isinstance(connectors, Assigned):
        return connectors.pick(action, target, did)
    return connectors.get(action)


def targets_of(connector: Connector) -> tuple[str, ...]:
    """The patterns of targets that a connector is kept to; none where it takes all."""
    found: tuple[str, ...] = getattr(connector, "targets", ())
    return found


def could(connector: Connector, action: ActionName) -> frozenset[ActionName]:
    """What a connector's kind can do, whatever it is configured for; `action` at least where its class doesn't say.

    A name may have been given to a system of another kind since, which then did not do it.
    """
    able = getattr(type(getattr(connector, "inner", connector)), "actions", None)
    return able if isinstance(able, frozenset) else frozenset({action})


def takes(patterns: Sequence[str], target: Target) -> bool:
    """Whether a target fits one of the patterns, or there are none.

    A pattern is a glob ("*.corp.example", "CORP\\*"), compared without regard to case, or a network
    ("10.20.0.0/16"), which an address lies in or not.
    """
    return not patterns or any(_fits(pattern, target.value) for pattern in patterns)


def _fits(pattern: str, value: str) -> bool:
    try:
        network = ipaddress.ip_network(pattern)
    except ValueError:
        return fnmatch.fnmatchcase(value.casefold(), pattern.casefold())
    try:
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False
