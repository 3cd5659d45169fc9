"""The charter's first answer: what is decided without a person, by action and asset tier, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aegis_agents.assurance.charter import Line
from aegis_agents.gate.killswitch import engaged
from aegis_agents.gate.probe import Probed, probe
from aegis_agents.gate.tiers import TIERS
from aegis_agents.records import CATALOGUE

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis

_SAID = {
    "execute": "acts alone", "ask": "asks a person", "recommend": "only recommends", "refuse": "never",
}  # fmt: skip


def _words(cell: Probed) -> str:
    if cell.verb == "execute":
        least = f" from confidence {cell.threshold:.3f} on" if cell.threshold > 0 else ""
        return f"{cell.tier}: acts alone{least} ({cell.level}, {cell.source or 'shipped'})"
    persons = f" (two persons, {cell.rule})" if cell.persons > 1 else f" ({cell.rule})"
    return f"{cell.tier}: {_SAID[cell.verb]}{persons}"


def decided_alone(aegis: Aegis) -> Iterator[Line]:
    """One line an action, then what stands over all of it."""
    from aegis_agents.agents.approval import earned_now

    settings, earned = aegis.context.gate.settings, earned_now(aegis.context)
    alone = []
    for action in CATALOGUE:
        cells = [probe(settings, action, tier, earned=earned) for tier in TIERS]
        alone += [f"{cell.action}/{cell.tier}" for cell in cells if cell.verb == "execute"]
        yield Line(
            text=f"{action}: {'; '.join(map(_words, cells))}",
            figures={cell.tier: cell.verb for cell in cells} | {f"{cell.tier}.rule": cell.rule for cell in cells},
            source="settings autonomy, matrix, risk, costs, budgets, policy; ledger autonomy.*",
        )
    yield Line(
        text=f"cells that act alone at best: {', '.join(alone) or 'none'}; every incident can only be allowed less",
        figures={"alone": len(alone), "cells": len(CATALOGUE) * len(TIERS)}, source="the gate's own steps",
    )  # fmt: skip
    yield Line(
        text=f"earned by reviews: {', '.join(sorted(earned.cells)) or 'nothing yet'}",
        figures={"earned": len(earned.cells)}, source="ledger autonomy.promoted, autonomy.demoted",
    )  # fmt: skip
    own = aegis.settings
    bounds = {"act_undo": own.earn_error_undo, "act": own.earn_error}
    unlocked = [level for level in bounds if own.earn in (level, "act")]
    said = "; ".join(f"{level} with at most {bounds[level]:g} wrong" for level in unlocked) or "nothing"
    yield Line(
        text=f"the most that reviews may unlock: {own.earn} ({said})",
        figures={"earn": own.earn} | {f"most_wrong.{level}": bounds[level] for level in unlocked},
        source="settings earn, earn_error, earn_error_undo",
    )
    yield Line(
        text=f"mode {aegis.settings.mode}, ceiling {settings.autonomy}"
        + (": nothing is touched" if aegis.settings.mode == "shadow" else ""),
        figures={"mode": aegis.settings.mode, "ceiling": settings.autonomy}, source="settings mode, autonomy",
    )  # fmt: skip
    stopped = engaged(settings.kill_switch)
    yield Line(
        text=f"kill switch {settings.kill_switch}: {'ENGAGED, nothing but records is done' if stopped else 'off'}",
        figures={"engaged": stopped}, source="setting kill_switch",
    )  # fmt: skip
