"""The entity graph: what the alert names, on which side it stands, what is held against it, and what is aimed at it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from aegis_agents.display import svg
from aegis_agents.display.shown import Markup, el
from aegis_agents.display.words import Json, child, items, number, outcome_of, words

MOST: Final = 40
_SIDES: Final = (("Who did it", "Actor", ("actor",)), ("What it is about", "Subject", ("subject",)),
                 ("The other side", "Peer", ("peer",)), ("Merely named", "Observed", ("observed",)))  # fmt: skip
_NODE, _ROW, _HUB = 284.0, 32.0, 380.0
_LINES: Final = 3
"""Actions that a node names; of more, how many."""
_SHORT: Final = {"cloud_account": "cloud acct", "access_key": "access key", "repository": "repo"}


def entities_svg(incident: Json, case: Json | None = None) -> str:
    """The entities around the alert: actors and subjects left, peers and what is merely named right.

    A border says which way the facts that name an entity moved the verdict; a line below it what is proposed or
    done about it. Entities that one field names, or one object of the alert, are joined by an arc.
    """
    every = [e for e in items(incident, "entities") if e.get("kind") != "alert"]
    title = "Entities of the incident"
    if not every:
        return svg.figure("entities", title, "the alert names no entity", 40, svg.label(2, 24, "The alert names no entity.", "aegis-muted"))  # fmt: skip
    weights = {str(e.get("id")): number(e.get("weight"), -1, 1) for e in items(case or {}, "evidence") if e.get("kind") == "fact"}  # fmt: skip
    ranked = sorted(every, key=lambda e: -max((abs(weights.get(f, 0)) for f in words(e, "facts")), default=0))
    kept = {id(e) for e in ranked[:MOST]}
    shown = [e for e in every if id(e) in kept]
    aims: dict[tuple[str, str], list[Json]] = {}
    for action in items(case or {}, "actions"):
        target = child(action, "target")
        aims.setdefault((str(target.get("kind")), str(target.get("value"))), []).append(action)
    places: dict[int, tuple[bool, float]] = {}
    parts: list[Markup] = []
    heights = []
    for left in (True, False):
        y = 8.0
        for heading, one, roles in _SIDES[:2] if left else _SIDES[2:]:
            group = [e for e in shown if _role(e) in roles]
            if not group:
                continue
            x = 2.0 if left else svg.WIDTH - 2 - _NODE
            parts.append(svg.label(x, y + 12, f"{one}: {heading.lower()}", "aegis-small aegis-muted"))
            y += 18
            for entity in group:
                of_it = aims.get((str(entity.get("kind")), str(entity.get("value"))), [])
                high = 26.0 + 16 * min(len(of_it), _LINES) + (4 if of_it else 0)
                weight = sum(weights.get(f, 0.0) for f in words(entity, "facts"))
                parts += _node(entity, x, y, high, weight, of_it)
                places[id(entity)] = (left, y + 13)
                y += high + _ROW - 26
            y += 6
        heights.append(y)
    height = max(*heights, 80.0)
    middle = height / 2
    lines = [svg.curve(_HUB, middle, _NODE + 2 if left else svg.WIDTH - 2 - _NODE, y) for left, y in places.values()]
    arcs = [arc for one, other in _joined(shown, incident) if (arc := _arc(places[id(one)], places[id(other)]))]
    hub = [svg.rect(_HUB - 44, middle - 16, 88, 32, "aegis-hub", 16), svg.label(_HUB, middle + 4, "the alert", "aegis-over", "middle")]  # fmt: skip
    if len(every) > len(shown):
        height += 24
        parts.append(svg.label(2, height - 8, f"and {len(every) - len(shown)} more that weigh less", "aegis-muted"))
    return svg.figure("entities", title, f"{len(every)} entities", height, *arcs, *lines, *parts, *hub)


def _role(entity: Json) -> str:
    role = str(entity.get("role"))
    return role if role in ("actor", "subject", "peer") else "observed"


def _node(entity: Json, x: float, y: float, high: float, weight: float, actions: list[Json]) -> list[Markup]:
    kind = str(entity.get("kind", ""))
    tone = "attack" if weight > 0.05 else "calm" if weight < -0.05 else "plain"
    parts = [
        svg.rect(x, y, _NODE, high, f"aegis-node aegis-edge-{tone}", 6),
        svg.mono(x + 8, y + 17, 67, _SHORT.get(kind, kind), "aegis-small aegis-muted"),
        svg.mono(x + 80, y + 17, _NODE - 80 - (44 if tone != "plain" else 8), entity.get("value", "")),
    ]
    if tone != "plain":
        parts.append(svg.mono(x + _NODE - 8, y + 17, 40, f"{weight:+.2f}", f"aegis-small aegis-ink-{tone}", "end"))
    shown = actions if len(actions) <= _LINES else actions[: _LINES - 1]
    for row, action in enumerate(shown):
        outcome, colour = outcome_of(action)
        parts.append(svg.dot(x + 13, y + 33 + 16 * row, 3.5, f"aegis-fill-{colour}"))
        parts.append(
            svg.mono(x + 22, y + 36 + 16 * row, _NODE - 28, f"{action.get('action', '')}: {outcome}", "aegis-small")
        )
    if len(actions) > len(shown):
        more = f"and {len(actions) - len(shown)} more actions"
        parts.append(svg.mono(x + 22, y + 36 + 16 * len(shown), _NODE - 28, more, "aegis-small aegis-muted"))
    return parts


def _joined(shown: list[Json], incident: Json) -> Iterator[tuple[Json, Json]]:
    """Pairs that one fact names, or facts of one inner object; an object that names many says nothing of two."""
    path_of = {str(f.get("id")): str(f.get("path", "")) for f in items(incident, "facts")}
    named: dict[str, list[Json]] = {}
    for entity in shown:
        facts = words(entity, "facts")[:50]
        inner = (path_of.get(f, "").rpartition(".")[0] for f in facts)
        for place in dict.fromkeys((*facts, *(f"in {p}" for p in inner if p))):
            named.setdefault(place, []).append(entity)
    pairs = {(id(a), id(b)): (a, b) for group in named.values() if len(group) <= 4 for a, b in combinations(group, 2)}
    yield from list(pairs.values())[:60]


def _arc(one: tuple[bool, float], other: tuple[bool, float]) -> Markup | None:
    """An arc between two nodes of a side, beside the column; across the sides the lines to the alert say enough."""
    if one[0] != other[0] or one[1] == other[1]:
        return None
    x, way = (_NODE + 2, 1) if one[0] else (svg.WIDTH - 2 - _NODE, -1)
    bow = x + way * min(34.0, 10 + abs(one[1] - other[1]) / 6)
    d = f"M{svg.n(x)} {svg.n(one[1])}C{svg.n(bow)} {svg.n(one[1])} {svg.n(bow)} {svg.n(other[1])} {svg.n(x)} {svg.n(other[1])}"  # fmt: skip
    return el("path", el("title", "named in the same place of the alert"), d=d, class_="aegis-line aegis-tie")
