"""What a question names corrects the guess of what it asks: an id, a host or a span of time tells more than its words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aegis_agents.assistant.concepts import concepts
from aegis_agents.assistant.doing import actions_in
from aegis_agents.assistant.examples import EXAMPLES, INTENTS, OF_A_CASE, Intent
from aegis_agents.assistant.found import Memory
from aegis_agents.assistant.mentions import Mentions
from aegis_agents.assistant.words import function_words
from aegis_agents.records import CATALOGUE

_INTEL: tuple[Intent, ...] = ("define", "contain", "uses", "used_by")
_QUEUE: tuple[Intent, ...] = ("search", "count", "done", "waiting", "indicator")
_WORD = re.compile(r"[^\W\d_]+")
_FOLLOW = re.compile(r"^(?:and|ok and|what about|how about|so)\b", re.I)
_CONSENT = re.compile(r"^(?:ok|okay|yes|yep|fine|sure|approved?|agreed|go)\b|\bis (?:ok|fine)\b", re.I)
_EXPLAIN = re.compile(r"^(?:and )?(?:what|explain|describe|tell|how|define)\b", re.I)
_WISH = re.compile(r"\b(?:needs?|should be|must be|has to be|have to be|want|like)\b", re.I)
_SEVERAL = re.compile(r"\b(?:ones|cases|alerts|incidents)\b", re.I)
_IS_IT = re.compile(r"\b(?:is|was|has|are|were|have)\b.*\bcontained\b", re.I)
_OF_INDICATORS = frozenset(("ip", "domain", "url", "hash"))
_POINTS = re.compile(r"\b(?:they|their|them|it|its|that|this|those)\b", re.I)
_NOW = re.compile(r"\bright now\b|\bcurrently\b|\bat the moment\b", re.I)
_BY_WHOM = re.compile(r"\bwhat (?:did|has|was|were)\b.*\b(?:approv|den(?:y|ied)|reject|sign)", re.I)
_TALK: frozenset[Intent] = frozenset(("techniques", "entities", "who", "about", "facts", "status"))
_STRAYS: frozenset[Intent] = frozenset(INTENTS) - {
    "find",
    "search",
    "define",
    "contain",
    "act",
    "decide",
    "forbidden",
    "help",
}
_SURE = 0.85
"""A score from which an intent stands although its question's words are strange."""
_ASTRAY = 0.5
"""A score from which a question is of something else, whatever span of time it names."""
_MOST_STRANGE = 0.67
_LEAST = 0.12
"""A score from which an intent that fits what is named is taken over one that does not."""


def _names_anything(mentions: Mentions) -> bool:
    return bool(
        mentions.incidents
        or mentions.actions
        or mentions.subjects
        or mentions.cves
        or mentions.entities
        or mentions.indicators
        or mentions.verdicts
        or mentions.severities
    )


def actions_in_catalogue(question: str) -> bool:
    """Whether it names an action by its own name."""
    return any(re.search(rf"\b{name}\b", question) for name in CATALOGUE)


@cache
def _known_words() -> frozenset[str]:
    said = " ".join(q for intent, examples in EXAMPLES.items() if intent != "none" for q in examples)
    return frozenset(_stem(w) for w in _WORD.findall(said.lower())) | {_stem(w) for w in function_words()}


def is_strange(shape: str, least: float = 1.0) -> bool:
    """Whether so great a share of what a question is about are words that no question of ours has, and that mean nothing
    in security; a share below 1 only where there are two of them."""
    words = [w for w in _WORD.findall(shape.lower()) if len(w) > 2 and w not in function_words()]
    strange = [w for w in words if _stem(w) not in _known_words() and not concepts(w)]
    spoken = len([w for w in words if "TIME" not in concepts(w)])
    return bool(strange) and len(strange) >= least * spoken and (least == 1.0 or len(strange) > 1)


def _stem(word: str) -> str:
    return re.sub(r"(?:ing|ied|ies|ed|es|s|e)$", "", word) if len(word) > 4 else word


def settle_intent(
    question: str, mentions: Mentions, memory: Memory, guess: Intent, scores: NDArray[np.float64]
) -> Intent:
    """The intent, given the guess, every intent's score (in the order of INTENTS) and what is named."""
    order = {intent: at for at, intent in enumerate(INTENTS)}

    def best(among: Iterable[Intent]) -> tuple[Intent, float]:
        chosen = max(among, key=lambda intent: scores[order[intent]])
        return chosen, float(scores[order[chosen]])

    intel = bool(mentions.cves or mentions.subjects)
    if guess in ("forbidden", "help") and not intel:
        return guess
    astray = guess in _STRAYS and not _names_anything(mentions)
    if astray and is_strange(mentions.shape, 1.0 if scores[order[guess]] < _SURE else _MOST_STRANGE):
        return "none"
    doing = actions_in(question, mentions.kinds)
    if mentions.actions and _CONSENT.search(question):
        return "decide"
    if guess == "act" and actions_in_catalogue(question) and _EXPLAIN.search(question):
        return "define"
    if (guess in ("search", "none") and doing and _WISH.search(question)) or (
        guess == "decide" and "add_watchlist" in doing
    ):
        return "act"
    if guess in OF_A_CASE and (mentions.verdicts or mentions.severities) and _SEVERAL.search(question):
        return "search"
    if guess == "contain" and not intel and _IS_IT.search(question):
        return "status"
    if guess == "who" and not (mentions.incidents or mentions.actions) and _BY_WHOM.search(question):
        return "done"  # what a person approved, whatever the case
    if guess == "done" and mentions.verdicts and not doing:
        return best(("search", "count"))[0]
    if guess == "act" and not doing:
        guess = best(i for i in INTENTS if i != "act")[0]
    if memory.of_intel and memory.subject is not None and guess in _TALK and _POINTS.search(question):
        return "uses" if guess == "techniques" else best(_INTEL)[0]
    of_action = guess == "done" or (guess == "indicator" and doing)
    if of_action and mentions.entities and mentions.period is None and not _NOW.search(question):
        return "status"
    if intel and not mentions.incidents and guess not in (*_INTEL, *_QUEUE):
        chosen, score = best(_INTEL)
        return chosen if score >= _LEAST or guess == "none" else guess
    if guess in _INTEL and not intel:
        # Nothing is named that they could be about: the last subject, else words to search for.
        if guess in ("uses", "used_by", "define") and memory.subject is None and not actions_in_catalogue(question):
            return "find"
        return guess
    if mentions.indicators and guess in ("define", "none", "find"):
        return "indicator"
    if guess == "indicator" and not mentions.indicators and memory.incident_id and set(mentions.kinds) & _OF_INDICATORS:
        return guess  # that of the case
    if guess == "indicator" and not mentions.indicators:
        return best(("search", "find"))[0] if mentions.entities or mentions.unknown else "find"
    meant_otherwise = guess == "none" and scores[order["none"]] >= _ASTRAY
    if (mentions.period or mentions.verdicts) and guess in ("similar", "none", "about") and not meant_otherwise:
        chosen, score = best(("search", "count", "done"))
        return chosen if score >= _LEAST else guess
    if guess == "none" and mentions.entities:
        return "search"
    if guess == "none" and _FOLLOW.search(question) and memory.incident_id is not None:
        chosen, score = best(sorted(OF_A_CASE))
        return chosen if score >= _LEAST else guess
    return guess
