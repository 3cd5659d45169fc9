"""How a count lies to the one that is usual, allowed or planned, as another field or the value itself names it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from aegis_agents.sources.keys import word_set
from aegis_agents.sources.relation import Relation, View, named

_NUMBER: Final = re.compile(
    r"\s*~?(\d{1,3}(?:[,_ ]\d{3})+|\d+)(\.\d+)?\s*([kKmMgGtT]?i?[bB]?|%|[a-z]{1,12}(?:/[a-z]{1,6})?)\s*"
)
_UNITS: Final = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_MEASURE: Final = word_set(
    "average avg mean baseline usual typical normal expected threshold limit cap quota max maximum p95 p99 p90 "
    "percentile planned allowed peak history historic"
)
_LIMIT: Final = word_set("threshold limit cap quota max maximum allowed")
_NO_COUNT: Final = word_set(
    "time timestamp window origin asn as port pid id code version score severity level stdev epoch serial ttl"
)
_IGNORED: Final = word_set(
    "count total number of per the in value bytes b kb mb gb 7d 30d 90d 14d day days week last d hour min h"
)


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    unit = match[3].lower()
    scale = _UNITS.get(unit[:1], 1.0) if re.fullmatch(r"[kmgt]i?b?", unit) else 1.0
    return float(re.sub(r"[,_ ]", "", match[1]) + (match[2] or "")) * scale


def count_relations(views: Sequence[View]) -> list[Relation]:
    """Counts against their measures: far above, above, about as usual, below, far below."""
    return list(_against(views))[:5]


def _against(views: Sequence[View]) -> Iterator[Relation]:
    measures: list[tuple[View, float]] = []
    counts: list[tuple[View, float]] = []
    for view in views:
        if len(view.fact.value) > 24 or (number := _number(view.fact.value)) is None or view.keys.words & _NO_COUNT:
            continue
        (measures if view.keys.words & _MEASURE else counts).append((view, number))
    for measure, usual in measures:
        if usual <= 0:
            continue
        about = measure.keys.words - _MEASURE - _IGNORED
        for view, number in counts:
            own = view.keys.words - _IGNORED
            same = about & own if about else measure.keys.parent == view.keys.parent and measure.keys.parent != ""
            if not same:
                continue
            kind = "limit" if measure.keys.words & _LIMIT else "usual"
            said = f"count {_how(number, usual)} the {kind}: {named(view, view.fact.value)} {named(measure, measure.fact.value)}"
            yield Relation("count_to_usual", said, (view.fact, measure.fact))
            break


def _how(number: float, usual: float) -> str:
    if 0.8 <= number / usual <= 1.25:
        return "about"
    share = number / usual
    return "far above" if share >= 5 else "above" if share > 1 else "far below" if share <= 0.2 else "below"
