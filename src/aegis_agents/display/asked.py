"""What came of a question: a verdict with a fact changed, and a decision replayed."""

from __future__ import annotations

from aegis_agents.display.probabilities import before_after_svg
from aegis_agents.display.shown import Markup, el
from aegis_agents.display.tables import badge, table
from aegis_agents.display.words import Json, child, items, words


def what_if_html(answer: Json) -> str:
    """`WhatIf` as JSON: the verdict before and after, what was changed, and which actions come, go, or are decided otherwise."""
    changes = [
        [
            el("td", c.get("id"), class_="aegis-value"),
            el("td", c.get("path"), class_="aegis-value"),
            el("td", c.get("before"), class_="aegis-value"),
            el("td", "left out" if c.get("after") is None else c.get("after"), class_="aegis-value"),
        ]
        for c in items(answer, "changes")
    ]
    return _answer(
        answer, "What if", ("as it was", "what if"),
        [el("h4", "Changed", class_="aegis-heading"), Markup(table(("Fact", "Field", "Was", "Asked as"), changes, "Nothing."))],
        "Nothing was written and nothing was done.",
    )  # fmt: skip


def replay_html(answer: Json) -> str:
    """`Replayed` as JSON: what was decided then, what would be now, and which versions differ."""
    versions = [
        [
            el("td", name, class_="aegis-tight"),
            el("td", pair[0], class_="aegis-value"),
            el("td", pair[1], class_="aegis-value"),
        ]
        for name, pair in child(answer, "versions").items()
        if isinstance(pair, list | tuple) and len(pair) == 2
    ]
    same = answer.get("same")
    said = el("p", badge("the same" if same else "it differs", "good" if same else "open"), class_="aegis-line1")
    told = [said, el("h4", "Versions that differ", class_="aegis-heading"), Markup(table(("What", "Then", "Now"), versions, "None: the same versions decide."))]  # fmt: skip
    return _answer(answer, "Replay", ("then", "now"), told, "Nothing was written and nothing was done.")


def _answer(answer: Json, title: str, names: tuple[str, str], told: list[Markup], end: str) -> str:
    before, after = child(answer, "before"), child(answer, "after")
    rows = []
    for action in items(answer, "actions"):
        target, was, now = child(action, "target"), action.get("before"), action.get("after")
        style = "" if was == now else "aegis-strong"
        rows.append([
            el("td", action.get("action"), class_=style),
            el("td", target.get("value"), class_="aegis-value"),
            el("td", was or "not proposed"),
            el("td", now or "not proposed", el("div", action.get("rule") if now else "", class_="aegis-sub"), class_=style),
        ])  # fmt: skip
    techniques = " → ".join(", ".join(words(side, "techniques")) or "none" for side in (before, after))
    parts = [
        el("h3", f"{title}: {answer.get('title', '')}", class_="aegis-title"),
        el("div", Markup(before_after_svg(before, after, names)), class_="aegis-scroll"),
        *told,
        el("h4", "Actions", class_="aegis-heading"),
        Markup(table(("Action", "Target", names[0].capitalize(), names[1].capitalize()), rows, "None is proposed, before or after.")),
        el("p", f"Techniques: {techniques}", class_="aegis-about"),
        el("p", end, class_="aegis-about"),
    ]  # fmt: skip
    return str(el("article", *parts, class_="aegis-case"))
