"""Prose that does not belong: about something else, no sentences at all, or stuffed to be near to everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from aegis_agents.intel.documents import Document
from aegis_agents.intel.trust.policy import ScreenPolicy
from aegis_agents.intel.trust.words import FUNCTION_WORDS, techniques_in, words_of
from aegis_agents.records import Passage

FEW = 30
"""Words below which a text is too short for its shares to mean anything."""
_SHORTEST_NAME, _LONGEST_NAME = 2, 7
"""Words of a technique's name; one word ("Python", "Tool") names nothing for sure."""
_MOST_REPEATED = 0.25
"""Share of all words that one content word may make up."""


def off_topic(near: Sequence[Passage], policy: ScreenPolicy) -> str | None:
    """Why a passage is far from everything trusted (best first), None if it is not.

    Without anything trusted there is nothing to be far from.
    """
    if not near or near[0].score >= policy.far:
        return None
    return f"nearest trusted passage {near[0].id} has cosine {near[0].score:.2f} (below {policy.far:.2f})"


def stuffed(document: Document, names: Mapping[str, str], policy: ScreenPolicy) -> str | None:
    """Why a passage reads as made to be found for everything, None if it does not. `names`: see `topics_in`."""
    text = f"{document.title}. {document.text}"
    named = topics_in(text, names)
    words = [w for w in words_of(text) if w.replace("-", "").replace("'", "").isalpha()]
    if len(named) >= policy.topics:
        return f"names {len(named)} techniques: {', '.join(sorted(named)[:8])}"
    if len(words) < FEW or sum(w.isascii() for w in words) < 0.8 * len(words):
        return None  # too short, or in a script whose function words are not known here
    share = sum(w in FUNCTION_WORDS for w in words) / len(words)
    if share < policy.few_function_words:
        return f"is a list of words: {share:.2f} of them join sentences (below {policy.few_function_words:.2f})"
    word, count = Counter(w for w in words if w not in FUNCTION_WORDS).most_common(1)[0]
    if count > _MOST_REPEATED * len(words):
        return f"repeats {word!r} {count} times in {len(words)} words"
    return None


def topics_in(text: str, names: Mapping[str, str]) -> frozenset[str]:
    """Base techniques that a text names, by id or by one of these names (words in lower case → base technique)."""
    found = {t.partition(".")[0] for t in techniques_in(text)}
    words = words_of(text)
    for length in range(_SHORTEST_NAME, _LONGEST_NAME + 1):
        runs = (" ".join(words[at : at + length]) for at in range(len(words) - length + 1))
        found.update(names[run] for run in runs if run in names)
    return frozenset(found)
