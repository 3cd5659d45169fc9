"""Which case a question is about. Where that is not clear it is asked, never guessed."""

from __future__ import annotations

import re
from typing import NamedTuple

from aegis_agents.assistant.found import Asked
from aegis_agents.assistant.mentions import common_words
from aegis_agents.assistant.reading import Desk
from aegis_agents.assistant.shelf import Card, Named

_ORDINALS = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "fifth": 4}
_ORDINAL = re.compile(rf"\b(?:the |number )?({'|'.join(_ORDINALS)}|last)(?: (?:one|case|alert|incident))?\b", re.I)
_NEWEST = re.compile(r"\b(?:latest|newest|last|most recent) (?:case|alert|incident)\b", re.I)
_POINTS = re.compile(r"\b(?:it|this|that|here|these|those|he|him|his|she|her|they|them)\b", re.I)
_WORD = re.compile(r"\w[\w'-]{2,}")
_NAME = re.compile(r"[^\W\d_].*\d|\d.*[^\W\d_]|[\\@]")
_CALLED = re.compile(
    r"(?<!\bthe )(?<!\bthis )(?<!\bthat )(?<!\ba )\b(?:user|account|host|machine|server|domain) [\"“]?([\w.@\\-]+)",
    re.I,
)
MOST_CHOICES = 5


class Focus(NamedTuple):
    """The case that is meant; else `choices` to ask about. `missing` is an id that nothing has."""

    incident_id: str | None
    choices: tuple[Card, ...] = ()
    missing: str | None = None


def find_focus(asked: Asked, desk: Desk) -> Focus:
    """The case that a question is about."""
    mentions, memory = asked.mentions, asked.memory
    for incident_id in mentions.incidents:
        return Focus(incident_id) if desk.store.case(incident_id) else Focus(None, missing=incident_id)
    for action_id in mentions.actions:
        row = desk.action(action_id)
        return Focus(row.incident_id) if row else Focus(None, missing=action_id)
    if asked.case is not None:
        return Focus(asked.case) if desk.store.case(asked.case) else Focus(None, missing=asked.case)
    if memory.listed and (said := _ORDINAL.search(asked.question)):
        number = len(memory.listed) - 1 if said[1].lower() == "last" else _ORDINALS[said[1].lower()]
        if number < len(memory.listed):
            return Focus(memory.listed[number])
    cards = [card for card in desk.shelf.cards() if card.verdict is not None]
    if _NEWEST.search(asked.question) and cards:
        return Focus(cards[0].incident_id)
    named = {*mentions.entities, *mentions.indicators}
    fitting = [c for c in cards if named and not named.isdisjoint(c.entities)] or _by_title(asked.question, cards)
    if fitting:
        if memory.incident_id in {c.incident_id for c in fitting}:
            return Focus(memory.incident_id)
        return _one_of(fitting)
    if mentions.unknown and not _POINTS.search(asked.question):
        return Focus(None, missing=mentions.unknown[0])
    if memory.incident_id is not None:
        return Focus(memory.incident_id)
    return _one_of(cards)


def _one_of(cards: list[Card]) -> Focus:
    return Focus(cards[0].incident_id) if len(cards) == 1 else Focus(None, tuple(cards[:MOST_CHOICES]))


def _by_title(question: str, cards: list[Card]) -> list[Card]:
    """The cards whose title or source has the most of the question's own words; none if it has no such words."""
    wanted = {w for w in _WORD.findall(question.lower()) if w not in common_words()}
    wanted |= {stem for w in wanted if (stem := _stem(w))}
    scored = [(len(wanted & _title_words(card)), card) for card in cards] if wanted else []
    best = max((score for score, _ in scored), default=0)
    return [card for score, card in scored if score == best] if best else []


def _title_words(card: Card) -> set[str]:
    words = {w for w in re.findall(r"[^\W_]{3,}", f"{card.title} {card.source}".lower()) if w not in common_words()}
    return words | {stem for w in words if (stem := _stem(w))}


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ed|es|s)$", "", word) if len(word) > 5 else ""


def strangers(asked: Asked) -> tuple[str, ...]:
    """Names that nothing here bears and that can only be names (WS-77, x@y.example, user carol), not words."""
    called = {found[1].casefold() for found in _CALLED.finditer(asked.question)}
    return tuple(name for name in asked.mentions.unknown if _NAME.search(name) or name.casefold() in called)


def entities_named(asked: Asked) -> tuple[Named, ...]:
    """All entities that the question names, known to the store or not."""
    return tuple(dict.fromkeys((*asked.mentions.entities, *asked.mentions.indicators)))
