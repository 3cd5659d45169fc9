"""The ATT&CK heat map: which techniques a case, or a queue of cases, comes near, by tactic."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from aegis_agents.display import svg
from aegis_agents.display.shown import Markup, fit
from aegis_agents.display.words import Json, items, number, words

_ID: Final = re.compile(r"T\d{4}(?:\.\d{3})?")
_COLUMN, _CELL = 54.0, 32.0
MOST_ROWS: Final = 16
NAMES: Final = {
    "reconnaissance": ("Recon-", "naissance"), "resource-development": ("Resource", "devel."),
    "initial-access": ("Initial", "access"), "execution": ("Execution", ""), "persistence": ("Persist-", "ence"),
    "privilege-escalation": ("Privilege", "escal."), "defense-evasion": ("Defense", "evasion"),
    "credential-access": ("Creden-", "tial acc."), "discovery": ("Discovery", ""),
    "lateral-movement": ("Lateral", "movement"), "collection": ("Collec-", "tion"),
    "command-and-control": ("Command", "& control"), "exfiltration": ("Exfil-", "tration"), "impact": ("Impact", ""),
}  # fmt: skip
"""ATT&CK's tactics in the order of its matrix."""


class Heat(NamedTuple):
    """A technique: how near (0 to 1), whether the case names it, its title, in how many cases."""

    technique: str
    score: float
    named: bool
    title: str
    cases: int


@cache
def tactics_of() -> Mapping[str, tuple[str, ...]]:
    """Base technique → its tactics (a sub-technique has its base's), of the ATT&CK release that came with Aegis."""
    found: dict[str, list[str]] = {}
    for row in (resources.files("aegis_agents.display") / "tactics.txt").read_text("utf-8").splitlines():
        tactic, _, ids = row.partition(": ")
        for number_ in () if row.startswith("#") else ids.split():
            found.setdefault(f"T{number_}", []).append(tactic)
    return {technique: tuple(tactics) for technique, tactics in found.items()}


def heats(cases: Iterable[Json]) -> list[Heat]:
    """The techniques of cases, the nearest first: those they name, and those that intelligence brought up."""
    found: dict[str, Heat] = {}
    for case in cases:
        of_case: dict[str, Heat] = {}
        for cited in items(case, "evidence"):
            if cited.get("kind") == "passage" and cited.get("source") == "technique":
                id = str(cited.get("id"))
                of_case[id] = Heat(id, number(cited.get("score")), False, str(cited.get("title", "")), 0)
        for id in words(case, "techniques"):
            known = of_case.get(id, Heat(id, 0.0, True, "", 0))
            of_case[id] = known._replace(named=True, cases=1)
        for id, heat in of_case.items():
            if _ID.fullmatch(id):
                before = found.get(id, heat._replace(cases=0))
                found[id] = heat._replace(
                    score=max(before.score, heat.score), named=before.named or heat.named,
                    title=heat.title or before.title, cases=before.cases + heat.cases,
                )  # fmt: skip
    return sorted(found.values(), key=lambda h: (-h.cases, -h.named, -h.score, h.technique))


def techniques_svg(cases: Json | Iterable[Json]) -> str:
    """ATT&CK's tactics across; below each the techniques of a case, or of many, the darker the nearer.

    A strong border marks what a case names; without one it was only looked up. Of many cases only what they name
    is shown, and the figure in a cell counts them. A technique of several tactics stands in each.
    """
    many = not isinstance(cases, Mapping)
    found = heats([cases]) if isinstance(cases, Mapping) else [h for h in heats(cases) if h.named]
    tactics = tactics_of()
    columns: dict[str, list[Heat]] = {tactic: [] for tactic in NAMES}
    unplaced = []
    for heat in found:
        for tactic in tactics.get(heat.technique[:5], ()):
            columns[tactic].append(heat)
        if heat.technique[:5] not in tactics:
            unplaced.append(heat.technique)
    most = max((h.cases for h in found), default=1) or 1
    deepest = min(MOST_ROWS, max(map(len, columns.values()), default=0))
    parts: list[Markup] = []
    for at, (tactic, column) in enumerate(columns.items()):
        x = 2 + at * _COLUMN
        style = "aegis-tiny" if column else "aegis-tiny aegis-muted"
        for row, said in enumerate(NAMES[tactic]):
            parts.append(svg.label(x + _COLUMN / 2 - 1.5, 11 + 11 * row, said, style, "middle"))
        for row in range(max(1, deepest)):
            y = 30 + row * _CELL
            if row < len(column):
                parts += _cell(column[row], x, y, most if many else 0, len(column) - MOST_ROWS if row == MOST_ROWS - 1 else 0)  # fmt: skip
            elif row == 0:
                parts.append(svg.rect(x, y, _COLUMN - 3, _CELL - 3, "aegis-none", 3))
    height = 34 + max(1, deepest) * _CELL
    said = _legend(found, many)
    parts.append(svg.label(2, height + 12, said, "aegis-small aegis-muted"))
    height += 20
    if unplaced:
        parts.append(svg.mono(2, height + 10, svg.WIDTH - 4, f"in no tactic of this release: {', '.join(unplaced)}", "aegis-small aegis-muted"))  # fmt: skip
        height += 18
    about = ", ".join(h.technique for h in found[:8]) or "no technique"
    return svg.figure("techniques", "ATT&CK techniques by tactic", about, height, *parts)


def _legend(found: list[Heat], many: bool) -> str:
    if not found:
        return "No technique: none is named for what is judged to be no attack."
    if many:
        return "The figure says how many cases name it. The darker the more."
    return "Strong border: named by the case. Others were looked up. The darker the nearer (likeness below the id)."


def _cell(heat: Heat, x: float, y: float, most: int, more: int) -> list[Markup]:
    strength = heat.cases / most if most else heat.score
    level = int(heat.named) if strength <= 0 else 1 + min(3, int(strength * 4 if most else strength * 8))
    title = f"{heat.technique} {heat.title}".strip() + (f": {heat.cases} cases" if most else f": likeness {heat.score:.2f}")  # fmt: skip
    border = " aegis-named" if heat.named and not most else ""
    below = (
        f"+{more} more"
        if more > 0
        else f"{heat.cases or '–'}"
        if most
        else f"{heat.score:.2f}"
        if heat.score
        else "named"
    )
    ink = "aegis-on-heat" if level == 4 else ""
    return [
        svg.rect(x, y, _COLUMN - 3, _CELL - 3, f"aegis-heat-{level}{border}", 3, fit(title, 120)),
        svg.label(x + _COLUMN / 2 - 1.5, y + 12.5, heat.technique, f"aegis-id aegis-mono {ink}", "middle"),
        svg.label(x + _COLUMN / 2 - 1.5, y + 24, below, f"aegis-tiny {ink}", "middle"),
    ]
