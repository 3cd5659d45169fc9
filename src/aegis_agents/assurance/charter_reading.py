"""Reading the ledger and the model's card for the charter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from aegis_agents.ledger import Store

_PAGE = 1000
_SHARE = re.compile(
    r"^- (?P<what>.{1,200}?): (?P<share>\d\.\d+) \((?P<k>\d+)/(?P<n>\d+), (?P<low>[\d.]+) to (?P<high>[\d.]+)\)$"
)


def entries_of(store: Store, kind: str) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """(incident, body) of every entry of a kind, in order; bodies that retention removed are left out."""
    last = 0
    while batch := store.entries(after=last, limit=_PAGE, kind=kind):
        last = batch[-1].seq
        yield from ((entry.incident_id, entry.body) for entry in batch if entry.body is not None)


class Figure(NamedTuple):
    """A share of the model's card: which section, what was counted, k of n and its interval."""

    section: str
    what: str
    k: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """k over n; 0 of nothing is 0."""
        return self.k / self.n if self.n else 0.0


def card_figures(card: Path) -> list[Figure]:
    """Every share with its interval on a model's card; none where there is no card."""
    try:
        text = card.read_text("utf-8")
    except FileNotFoundError:
        return []
    section, found = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        elif match := _SHARE.match(line):
            low, high = float(match["low"]), float(match["high"])
            found.append(Figure(section, match["what"], int(match["k"]), int(match["n"]), low, high))
    return found


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 95th percentile, each a value that was measured (nearest rank)."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2], ordered[-(-95 * len(ordered) // 100) - 1]
