"""Answers about autonomy: what Aegis may do alone, and how far it is from earning more."""

from __future__ import annotations

from aegis_agents.assistant.doing import actions_in
from aegis_agents.assistant.found import Asked, Found
from aegis_agents.assistant.reading import Desk

_MOST = 10


def say_autonomy(asked: Asked, desk: Desk, found: Found) -> None:
    """Which cells act without a person, or those of the action that is asked about."""
    found.looked("autonomy in force")
    rows = list(desk.autonomy()) if desk.autonomy is not None else []
    if not rows:
        found.tell("The autonomy in force can't be read here.")
        return
    names = actions_in(asked.question, asked.mentions.kinds)
    chosen = [r for r in rows if r.cell.partition("/")[0] in names]
    found.answered = True
    for row in chosen:
        shown_by = f", shown by ledger entry {row.evidence}" if row.evidence else ""
        found.tell(f"{row.cell}: {row.level} ({row.source}{shown_by}).")
    if not chosen:
        alone = [r for r in rows if r.level in ("act", "act_undo")]
        for level in ("act", "act_undo"):
            cells = [r.cell for r in alone if r.level == level]
            if cells:
                found.tell(f"{level}: {', '.join(cells)}.")
        rest = (
            f"The other {len(rows) - len(alone)} cells need a person"
            if alone
            else f"None of the {len(rows)} cells acts alone"
        )
        found.tell(f"{rest}.")


def say_standings(asked: Asked, desk: Desk, found: Found) -> None:
    """What reviews have shown of a cell, and what is missing until it earns more."""
    found.looked("what reviews have shown")
    rows = list(desk.standings()) if desk.standings is not None else []
    if not rows:
        found.tell("What reviews have shown can't be read here.")
        return
    names = actions_in(asked.question, asked.mentions.kinds)
    chosen = [s for s in rows if s.cell.partition("/")[0] in names] or sorted(rows, key=lambda s: -s.campaigns)[:4]
    found.answered = True
    for s in chosen[:_MOST]:
        missing = (
            f"{s.missing} more campaigns without an error are missing until {s.next}"
            if s.next
            else "no more can be earned"
        )
        found.tell(f"{s.cell} is at {s.level}: {s.campaigns} campaigns reviewed, {s.errors} errors; {missing}.")
