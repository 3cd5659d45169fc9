"""The graph of steps: what each agent made of the alert, and what became of each action."""

from __future__ import annotations

from collections import Counter
from typing import Final

from aegis_agents.display import svg
from aegis_agents.display.shown import Markup, el
from aegis_agents.display.words import Json, child, items, number, outcome_of, percent, verdict_of, words

_BOX, _GAP, _TOP, _HIGH = 135.0, 20.0, 8.0, 82.0
_ROW: Final = 26.0
MOST_ACTIONS: Final = 24


def steps_svg(case: Json) -> str:
    """Alert → triage → intel → reasoning → approval, then one row for each action with its outcome and rule."""
    actions = items(case, "actions")
    shown = actions[:MOST_ACTIONS]
    parts: list[Markup] = []
    for at, (name, lines, tone) in enumerate(_steps(case, actions)):
        x = 2 + at * (_BOX + _GAP)
        if at:
            parts += [_arrow(x - _GAP, x, _TOP + _HIGH / 2)]
        parts += [svg.rect(x, _TOP, _BOX, _HIGH, f"aegis-node aegis-edge-{tone}", 6)]
        parts += [svg.label(x + 10, _TOP + 20, name, "aegis-head")]
        for row, said in enumerate(lines):
            parts.append(svg.mono(x + 10, _TOP + 40 + 16 * row, _BOX - 16, said, "aegis-small"))
    height = _TOP + _HIGH + 8
    if shown:
        parts += _actions(shown, height)
        height += 14 + _ROW * len(shown)
    if len(actions) > len(shown):
        height += _ROW
        parts.append(svg.label(64, height - 8, f"and {len(actions) - len(shown)} more actions", "aegis-muted"))
    name, _, _ = verdict_of(case)
    about = f"{name}, {percent(case.get('confidence'))}; {_counted(actions) or 'no action'}"
    return svg.figure("steps", "Steps of the investigation", about, height + 4, *parts)


def _steps(case: Json, actions: list[Json]) -> list[tuple[str, tuple[str, ...], str]]:
    name, sign, tone = verdict_of(case)
    evidence = items(case, "evidence")
    passages = [e for e in evidence if e.get("kind") == "passage"]
    facts = len(evidence) - len(passages)
    snapshot = str(child(case, "versions").get("intel", "none"))
    techniques = words(case, "techniques")
    waits = sum(a.get("outcome") == "awaiting_approval" for a in actions)
    milliseconds = number(case.get("timing_ms"), high=1e9)
    return [
        ("Alert", (str(case.get("source", "")), f"{milliseconds:,.0f} ms in all"), "plain"),
        ("Triage", (f"{sign} {name}", f"p = {number(case.get('confidence')):.2f}"), tone),
        ("Intel", (f"{len(passages)} passage{'s' * (len(passages) != 1)}", f"of {snapshot[:8]}"), "plain"),
        ("Reasoning", (str(case.get("severity", "")), f"{facts} fact{'s' * (facts != 1)}", _few(techniques)), "plain"),
        ("Approval", (f"{len(actions)} action{'s' * (len(actions) != 1)}", f"{waits} wait{'s' * (waits == 1)}"), "open" if waits else "plain"),
    ]  # fmt: skip


def _few(techniques: list[str]) -> str:
    return "no technique" if not techniques else techniques[0] + (f" +{len(techniques) - 1}" if techniques[1:] else "")


def _actions(shown: list[Json], top: float) -> list[Markup]:
    spine = 2 + 4 * (_BOX + _GAP) + _BOX / 2
    first, last = top + 20, top + 20 + _ROW * (len(shown) - 1)
    parts = [svg.line(spine, _TOP + _HIGH, spine, last - 4)]
    for row, action in enumerate(shown):
        y = first + _ROW * row
        said, tone = outcome_of(action)
        target = child(action, "target")
        parts += [
            svg.rect(2, y - 14, spine - 22, _ROW - 4, "aegis-row", 4),
            svg.line(spine - 20, y - 4, spine, y - 4),
            svg.dot(14, y - 3, 4.5, f"aegis-fill-{tone}"),
            svg.mono(26, y, 140, action.get("action", ""), "aegis-strong"),
            svg.mono(170, y, 54, target.get("kind", ""), "aegis-small aegis-muted"),
            svg.mono(234, y, 246, target.get("value", "")),
            svg.mono(spine - 28, y, 180, said, f"aegis-small aegis-ink-{tone}", "end"),
        ]
    return parts


def _arrow(left: float, right: float, y: float) -> Markup:
    tip = f"M{svg.n(left)} {svg.n(y)}H{svg.n(right - 2)}m-5 -4l5 4l-5 4"
    return el("path", d=tip, class_="aegis-line aegis-arrow")


def _counted(actions: list[Json]) -> str:
    counts = Counter(outcome_of(a)[0] for a in actions)
    return ", ".join(f"{count} {said}" for said, count in counts.items())
