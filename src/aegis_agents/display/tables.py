"""Evidence, passages and actions as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aegis_agents.display.shown import Markup, el, join
from aegis_agents.display.words import TRUST, Json, child, items, number, outcome_of, when, words

Part = Json | Iterable[Json]
"""A case, or the list out of it that is meant."""

MOST_ROWS: Final = 400
"""Rows of one table; of what is left out it says how many."""


def evidence_html(evidence: Part) -> str:
    """The facts that decided, of a case or as a list: weight, where it stood, what it says, who could have written it."""
    facts = [e for e in _list(evidence, "evidence") if e.get("kind", "fact") == "fact"]
    rows = []
    for fact in facts[:MOST_ROWS]:
        weight = number(fact.get("weight"), -1, 1)
        rows.append([
            _number(f"{weight:+.2f}", "aegis-towards" if weight > 0 else "aegis-away"),
            _cited(fact.get("id")),
            el("td", _value(fact.get("value")), _sub(fact.get("path"))),
            _trust(fact.get("trust")),
        ])  # fmt: skip
    return table(("Weight", "Id", "Fact", "Written by"), rows, "No single fact decided.", _further(facts, "facts"))


def passages_html(passages: Part) -> str:
    """Passages of intelligence, of a case or as a list: likeness, title, corpus and feed, trust, TLP, snapshot."""
    found = [p for p in _list(passages, "evidence") if p.get("kind", "passage") == "passage"]
    rows = []
    for passage in found[:MOST_ROWS]:
        text = passage.get("text")
        rows.append([
            _number(f"{number(passage.get('score')):.2f}"),
            el("td", passage.get("id"), class_="aegis-id-cell"),
            el("td", passage.get("title"), *([_sub(text)] if text else [])),
            el("td", passage.get("source"), _sub(passage.get("feed") or "")),
            _number(f"{number(passage.get('trust', 1.0)):.1f}"),
            el("td", f"TLP:{passage.get('tlp', 'clear')}".upper(), class_="aegis-tight"),
            el("td", str(passage.get("snapshot") or "")[:8], class_="aegis-id-cell"),
        ])  # fmt: skip
    heads = ("Likeness", "Id", "Title", "Corpus, feed", "Trust", "Marking", "Snapshot")
    return table(heads, rows, "No intelligence was used.", _further(found, "passages"))


def actions_html(actions: Part) -> str:
    """Actions, of a case or as a list: what, on what, what became of it, the rule that decided and why."""
    rows, every = [], _list(actions, "actions")
    for action in every[:MOST_ROWS]:
        target = child(action, "target")
        by = action.get("by")
        rows.append([
            el("td", badge(*outcome_of(action)), *([_sub(f"by {by}")] if by else []), _id(action), class_="aegis-tight"),
            el("td", action.get("action"), _sub("can be undone" if action.get("reversible") else "can't be undone"), class_="aegis-tight"),
            el("td", _value(target.get("value")), _sub(target.get("kind"))),
            el("td", action.get("reason"), _sub(action.get("rule")), *([_sub(action["detail"])] if action.get("detail") else [])),
        ])  # fmt: skip
    return table(("Outcome", "Action", "Target", "Why"), rows, "Nothing was proposed.", _further(every, "actions"))


def facts_html(facts: Iterable[Json], most: int = MOST_ROWS) -> str:
    """All facts of an incident; derived ones name what they rest on."""
    every = list(facts)
    rows = [
        [
            _cited(fact.get("id")),
            el("td", _value(fact.get("path"))),
            el("td", _value(fact.get("value")), *_rests(fact)),
            _trust(fact.get("trust")),
        ]
        for fact in every[:most]
    ]
    more = _further(every, "facts", most)
    return table(("Id", "Field", "Value", "Written by"), rows, "It has no facts.", more)


def entities_html(entities: Iterable[Json], most: int = MOST_ROWS) -> str:
    """All entities of an incident and the facts that name them."""
    every = list(entities)
    rows = [
        [
            el("td", entity.get("kind"), class_="aegis-tight"),
            el("td", _value(entity.get("value"))),
            el("td", entity.get("role"), class_="aegis-tight"),
            el("td", " ".join(words(entity, "facts")[:40]), class_="aegis-value"),
        ]
        for entity in every[:most]
    ]
    more = _further(every, "entities", most)
    return table(("Kind", "Entity", "Role", "Named by"), rows, "It names no entity.", more)


def table(heads: Sequence[str], rows: Sequence[Sequence[Markup]], empty: str, more: str = "") -> str:
    """A table that scrolls sideways where it must; a sentence where there is nothing to show."""
    if not rows:
        return str(el("p", empty, class_="aegis-about"))
    head = el("thead", el("tr", *(el("th", h, scope="col") for h in heads)))
    body = el("tbody", *(el("tr", *row) for row in rows))
    made = el("div", el("table", head, body, class_="aegis-table"), class_="aegis-scroll")
    return str(join([made, el("p", more, class_="aegis-about")] if more else [made]))


def badge(said: object, tone: str) -> Markup:
    """A word on a ground of its tone."""
    return el("span", said, class_=f"aegis-badge aegis-{tone}")


def time_cell(value: object) -> Markup:
    """A cell with a time."""
    return el("td", when(value), class_="aegis-tight")


def _further(every: Sequence[Json], what: str, most: int = MOST_ROWS) -> str:
    return f"{len(every) - most} further {what} are not shown." if len(every) > most else ""


def _list(part: Part, key: str) -> list[Json]:
    return items(part, key) if isinstance(part, Mapping) else [p for p in part if isinstance(p, Mapping)]


def _number(said: str, style: str = "") -> Markup:
    return el("td", said, class_=f"aegis-num {style}".strip())


def _value(value: object) -> Markup:
    return el("span", value, class_="aegis-value")


def _id(action: Json) -> Markup:
    return el("div", action.get("action_id"), class_="aegis-sub aegis-mono")


def _sub(said: object) -> Markup:
    return el("div", said, class_="aegis-sub")


def _cited(id: object) -> Markup:
    return el("td", el("span", id, class_="aegis-cite"))


def _trust(trust: object) -> Markup:
    return el("td", trust, class_="aegis-tight", title=TRUST.get(str(trust)))


def _rests(fact: Json) -> list[Markup]:
    inputs = words(fact, "inputs")
    return [_sub(f"computed from {' '.join(inputs)}")] if inputs else []
