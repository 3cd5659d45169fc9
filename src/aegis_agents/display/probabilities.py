"""What is believed, as one bar; and two of them, when a question changed it."""

from __future__ import annotations

from aegis_agents.display import svg
from aegis_agents.display.shown import Markup
from aegis_agents.display.words import VERDICTS, Json, child, number, percent, verdict_of


def probabilities_svg(case: Json) -> str:
    """The calibrated probabilities of the four verdicts, as shares of one bar, each named below."""
    shares = child(case, "probabilities")
    parts = [*_bar(shares, 0, 4, 756, 22), *_named(shares, 46)]
    name, _, _ = verdict_of(case)
    about = ", ".join(f"{VERDICTS[v][0]} {percent(shares.get(v))}" for v in VERDICTS)
    return svg.figure("probabilities", f"Verdict: {name}", about, 54, *parts)


def before_after_svg(before: Json, after: Json, names: tuple[str, str] = ("as it was", "as asked")) -> str:
    """Two bars, one below the other: what was believed before a change, and after it."""
    parts: list[Markup] = []
    for row, (name, judged) in enumerate(zip(names, (before, after), strict=True)):
        y = 6 + 44 * row
        verdict, sign, tone = verdict_of(judged)
        parts += [
            svg.label(2, y + 12, name, "aegis-head"),
            svg.label(2, y + 28, f"{sign} {verdict}, {percent(judged.get('confidence'))}", f"aegis-small aegis-ink-{tone}"),
            *_bar(child(judged, "probabilities"), 190, y, 568, 28),
        ]  # fmt: skip
    parts += _named(child(after, "probabilities"), 112, child(before, "probabilities"))
    about = f"{verdict_of(before)[0]} {percent(before.get('confidence'))}, then {verdict_of(after)[0]} {percent(after.get('confidence'))}"  # fmt: skip
    return svg.figure("before-after", "The verdict before and after", about, 122, *parts)


def _bar(shares: Json, x: float, y: float, width: float, height: float) -> list[Markup]:
    total = sum(number(shares.get(v)) for v in VERDICTS) or 1.0
    parts = [svg.rect(x, y, width, height, "aegis-none", 3)]
    for verdict, (name, sign, tone) in VERDICTS.items():
        share = number(shares.get(verdict)) / total
        wide = width * share
        if wide > 0.4:
            parts.append(svg.rect(x, y, wide - 0.8, height, f"aegis-bar-{tone}", 2, f"{name}: {percent(share)}"))
        if wide > 56:
            parts.append(svg.label(x + 7, y + height / 2 + 4.5, f"{sign} {percent(share)}", f"aegis-on-{tone}"))
        x += wide
    return parts


def _named(shares: Json, y: float, before: Json | None = None) -> list[Markup]:
    parts = []
    for at, (verdict, (name, _, tone)) in enumerate(VERDICTS.items()):
        x = 2 + 190.0 * at
        was = f"{percent(before.get(verdict))} → " if before is not None else ""
        said = f"{name} {was}{percent(shares.get(verdict))}"
        parts += [svg.rect(x, y - 9, 9, 9, f"aegis-bar-{tone}", 2), svg.label(x + 15, y, said, "aegis-tiny")]
    return parts
