"""The evidence: how far each fact moved the verdict, and which way."""

from __future__ import annotations

from typing import Final

from aegis_agents.display import svg
from aegis_agents.display.shown import Markup
from aegis_agents.display.words import TRUST, Json, items, number

MOST: Final = 60
_ROOMY: Final = 16
"""Up to so many facts have a line for the path and one for the value."""
_AXIS, _REACH = 628.0, 122.0
_LEGEND: Final = (("external", "anybody could have written it"), ("product", "the sensor's own"),
                  ("organization", "the customer's own"))  # fmt: skip


def evidence_svg(case: Json) -> str:
    """A bar for each fact that decided, the weightiest first: to the right towards attack, to the left away from it.

    The square before a path says who could have written the field.
    """
    facts = [e for e in items(case, "evidence") if e.get("kind") == "fact"]
    facts.sort(key=lambda e: -abs(number(e.get("weight"), -1, 1)))
    title = "Evidence weights"
    if not facts:
        return svg.figure("evidence", title, "no fact decided", 40, svg.label(2, 24, "No single fact decided.", "aegis-muted"))  # fmt: skip
    shown = facts[:MOST]
    roomy = len(shown) <= _ROOMY
    step = 38.0 if roomy else 21.0
    top = 30.0
    bottom = top + step * len(shown)
    parts = [
        svg.label(_AXIS - 8, 14, "◀ away from attack", "aegis-small aegis-ink-calm", "end"),
        svg.label(_AXIS + 8, 14, "towards attack ▶", "aegis-small aegis-ink-attack"),
    ]
    for row, fact in enumerate(shown):
        parts += _row(fact, top + step * row, step, roomy)
    parts.append(svg.line(_AXIS, 22, _AXIS, bottom, "aegis-line aegis-axis"))
    kinds = [(trust, said) for trust, said in _LEGEND if any(f.get("trust") == trust for f in shown)]
    x = 4.0
    for trust, said in kinds:
        parts += [svg.rect(x, bottom + 11, 9, 9, f"aegis-trust-{trust}", 2), svg.label(x + 15, bottom + 19.5, said, "aegis-small aegis-muted")]  # fmt: skip
        x += 36 + 6.1 * len(said)
    height = bottom + 28
    if len(facts) > len(shown):
        parts.append(svg.label(svg.WIDTH - 4, bottom + 19.5, f"and {len(facts) - len(shown)} lighter ones", "aegis-small aegis-muted", "end"))  # fmt: skip
    towards = sum(number(f.get("weight"), -1, 1) > 0 for f in facts)
    about = f"{len(facts)} facts, {towards} towards attack, {len(facts) - towards} away from it"
    return svg.figure("evidence", title, about, height, *parts)


def _row(fact: Json, y: float, step: float, roomy: bool) -> list[Markup]:
    weight = number(fact.get("weight"), -1, 1)
    tone = "attack" if weight > 0 else "calm"
    length = max(1.5, abs(weight) * _REACH)
    trust = str(fact.get("trust"))
    style = trust if trust in TRUST else "external"
    left = _AXIS if weight > 0 else _AXIS - length
    middle = y + step / 2 - 2
    parts = [
        svg.rect(0, y - 1, svg.WIDTH, step - 2, "aegis-row", 3),
        svg.rect(6, y + (6 if roomy else 5), 9, 9, f"aegis-trust-{style}", 2, TRUST.get(trust, trust)),
        svg.rect(left, middle - 6, length, 12, f"aegis-bar-{tone}", 2),
    ]
    if roomy:
        parts += [
            svg.mono(22, y + 14, 420, fact.get("path", ""), "aegis-small aegis-muted"),
            svg.mono(22, y + 29, 470, fact.get("value", "")),
        ]
    else:
        parts += [
            svg.mono(22, y + 13, 176, fact.get("path", ""), "aegis-small aegis-muted"),
            svg.mono(204, y + 13, 296, fact.get("value", "")),
        ]
    # The figure stands on the empty side of the axis, where no bar can be.
    x, anchor = (_AXIS - 6, "end") if weight > 0 else (_AXIS + 6, "start")
    parts.append(svg.mono(x, middle + 4, 50, f"{weight:+.2f}", f"aegis-small aegis-ink-{tone}", anchor))
    return parts
