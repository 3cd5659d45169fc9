"""What a running service does now and then against abuse of itself; fleet and server run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from aegis_agents.hardening.watch import Watch, ledger_fall_back

if TYPE_CHECKING:
    from aegis_agents.hardening.egress import Egress
    from aegis_agents.ledger import Store
    from aegis_agents.settings import Settings

TELL_EVERY_S: Final = 60.0
"""How often refusals are told to the ledger; each target once an hour at most."""


class HardeningTick(NamedTuple):
    """Something to do every `every_s` seconds (the fleet's Tick has the same fields)."""

    name: str
    every_s: float
    function: Callable[[], object]


def ticks(settings: Settings, store: Store, egress: Egress | None, *, fall_back_kind: str) -> tuple[HardeningTick, ...]:
    """Looking whether files are still those that were loaded, and telling what was refused.

    Make them when everything is loaded. `fall_back_kind` is the ledger entry that the gate's caution reads
    (agents.caution.FELL_BACK). Raises SettingsError for keys that can't be read.
    """
    watch = Watch(settings, store, ledger_fall_back(store, fall_back_kind))
    found = [HardeningTick("files", watch.every_s, watch.tick)]
    if egress is not None:
        found.append(HardeningTick("egress", TELL_EVERY_S, lambda: egress.refusals.write(store)))
    return tuple(found)
