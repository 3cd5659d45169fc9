"""The timeline: every time that the alert names, in order, with how far they lie apart."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from aegis_agents.display import svg
from aegis_agents.display.shown import Markup
from aegis_agents.display.words import Json, clock, duration, items, moment, words

MOST: Final = 40
_ROW: Final = 40.0
_X: Final = 176.0
_KEY: Final = re.compile(r"(?:time|date|stamp|seen|created|modified|expir|start|end|last|first|until|since|at$|on$|ts$)", re.I)  # fmt: skip
"""What the last key of a path must hold for a bare number to be read as a Unix time."""
_UNIX: Final = re.compile(r"\d{10}(?:\d{3})?(?:\.\d{1,9})?")


class Event(NamedTuple):
    """One moment, the paths that name it, and what derived facts say that rest on them."""

    at: datetime
    paths: tuple[str, ...]
    notes: tuple[str, ...]
    observed: bool


def events(incident: Json) -> list[Event]:
    """The moments that an incident names, earliest first; equal ones (to the second) are one."""
    observed = moment(incident.get("observed_at"))
    at_second: dict[datetime, tuple[list[str], list[str]]] = {}
    if observed is not None:
        at_second[observed.replace(microsecond=0)] = ([], [])
    derived: dict[str, list[str]] = {}
    for fact in items(incident, "facts"):
        for source in words(fact, "inputs"):
            derived.setdefault(source, []).append(str(fact.get("value", "")))
    for fact in items(incident, "facts"):
        found = None if fact.get("derived") else _time_of(fact)
        if found is not None:
            paths, notes = at_second.setdefault(found.replace(microsecond=0), ([], []))
            paths.append(str(fact.get("path", "")))
            notes += derived.get(str(fact.get("id")), [])
    mark = observed.replace(microsecond=0) if observed else None
    said: set[str] = set()
    made = []
    for at, (paths, notes) in sorted(at_second.items()):
        new = tuple(n for n in dict.fromkeys(notes) if n not in said)
        said.update(new)
        made.append(Event(at, tuple(paths), new, at == mark))
    return made


def _time_of(fact: Json) -> datetime | None:
    value = fact.get("value")
    found = moment(value)
    if found is not None or not isinstance(value, str) or not _UNIX.fullmatch(value):
        return found
    if not _KEY.search(str(fact.get("path", "")).rpartition(".")[2]):
        return None
    seconds = float(value)
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)


def timeline_svg(incident: Json) -> str:
    """A row for each moment: when, which fields say so, what follows from it; how long between; a strip to scale."""
    found = events(incident)
    title = "Timeline"
    if not found:
        return svg.figure("timeline", title, "the alert names no time", 40, svg.label(2, 24, "The alert names no time.", "aegis-muted"))  # fmt: skip
    shown = found[:MOST]
    parts: list[Markup] = []
    top = 14.0
    span = (found[-1].at - found[0].at).total_seconds()
    if span > 0 and len(found) > 2:
        parts += _strip(found, span)
        top = 58.0
    parts.append(svg.line(_X, top + 6, _X, top + 6 + _ROW * (len(shown) - 1)))
    for row, event in enumerate(shown):
        parts += _event(event, top + 10 + _ROW * row)
        if row:
            gap = duration((event.at - shown[row - 1].at).total_seconds())
            parts.append(svg.mono(_X - 14, top + 10 + _ROW * (row - 0.5), 150, f"+ {gap}", "aegis-small aegis-muted", "end"))  # fmt: skip
    height = top + 24 + _ROW * (len(shown) - 1) + 16
    if len(found) > len(shown):
        height += 22
        parts.append(svg.label(_X + 16, height - 6, f"and {len(found) - len(shown)} later moments", "aegis-muted"))
    about = f"{len(found)} moments" + (f" over {duration(span)}" if span else "")
    return svg.figure("timeline", title, about, height, *parts)


def _event(event: Event, y: float) -> list[Markup]:
    tone = "attack" if event.observed else "strong"
    said = ", ".join(event.paths)
    parts = [
        svg.mono(_X - 14, y, 160, clock(event.at), "", "end"),
        svg.dot(_X, y - 4, 5 if event.observed else 4, f"aegis-fill-{tone}"),
    ]
    x, wide = _X + 16, svg.WIDTH - _X - 18
    if event.observed:
        head = "the event" if said else "the event, as the product dates it"
        parts.append(svg.mono(x, y, wide, head, "aegis-strong"))
        x, wide = x + 76, wide - 76
    if said:
        parts.append(svg.mono(x, y, wide, said))
    if event.notes:
        parts.append(svg.mono(_X + 16, y + 15, svg.WIDTH - _X - 18, "; ".join(event.notes), "aegis-small aegis-muted"))
    return parts


def _strip(found: list[Event], span: float) -> list[Markup]:
    left, right, y = 8.0, svg.WIDTH - 8.0, 18.0
    parts = [svg.line(left, y, right, y)]
    for event in found:
        x = left + (right - left) * ((event.at - found[0].at).total_seconds() / span)
        style = "aegis-tick-attack" if event.observed else "aegis-tick"
        parts.append(svg.line(x, y - 7, x, y + 7, style))
    middle = f"{duration(span)}, to scale"
    return [
        *parts,
        svg.label(left, y + 24, f"{found[0].at:%Y-%m-%d}", "aegis-small aegis-muted"),
        svg.label(svg.WIDTH / 2, y + 24, middle, "aegis-small aegis-muted", "middle"),
        svg.label(right, y + 24, f"{found[-1].at:%Y-%m-%d}", "aegis-small aegis-muted", "end"),
    ]
