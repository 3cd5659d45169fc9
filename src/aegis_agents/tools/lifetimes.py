"""How long what was done stays in effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from aegis_agents.errors import SettingsError
from aegis_agents.ledger import JournalRow
from aegis_agents.records import CATALOGUE

LONGEST_HOURS = 87_600
"""Ten years, as `undo_window` allows."""


@dataclass(frozen=True)
class Lifetimes:
    """Lifetimes by action, and of what Aegis did alone at the level act_undo."""

    by_action: Mapping[str, timedelta] = field(default_factory=dict)
    undo_window: timedelta = timedelta(hours=4)

    @classmethod
    def load(cls, hours: Mapping[str, float], undo_window_hours: float) -> Lifetimes:
        """From settings; SettingsError names an action that is not known, can't be undone, or has no time."""
        for name, value in hours.items():
            spec = next((spec for spec in CATALOGUE.values() if spec.name == name), None)
            if spec is None or not spec.reversible:
                raise SettingsError(f"lifetimes.{name}: no such action that can be undone")
            if not 0 < value <= LONGEST_HOURS:
                raise SettingsError(
                    f"lifetimes.{name}: {value!r} hours can't be kept; give more than 0, at most {LONGEST_HOURS}"
                )
        return cls({name: timedelta(hours=value) for name, value in hours.items()}, timedelta(hours=undo_window_hours))

    def of(self, row: JournalRow) -> timedelta | None:
        """How long this action stays; None until somebody undoes it."""
        if not CATALOGUE[row.proposal.action].reversible:
            return None
        found = self.by_action.get(row.proposal.action)
        alone = row.by is None and row.decision.inputs.get("autonomy.level") == "act_undo"
        if alone:
            return min(self.undo_window, found) if found else self.undo_window
        return found
