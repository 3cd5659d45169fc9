"""Passages that speak against trusted ones: near copies with something turned round, and bare dismissals.

Nothing here asks a model for its opinion: a copy is told by its words and its vector, a contradiction by ids,
opposites, negations and numbers in sentences that correspond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from aegis_agents.intel.documents import Document
from aegis_agents.intel.trust.polarity import dismisses, opposed
from aegis_agents.intel.trust.policy import ScreenPolicy
from aegis_agents.intel.trust.words import content_of, cves_in, numbers_in, sentences_of, techniques_in
from aegis_agents.records import Passage

_FEWEST = 5
"""Content words of a trusted passage below which sharing them says nothing."""
_MOST_IDS = 16
_CORRESPONDS = 0.6
"""Share of a trusted sentence's content words from which another sentence is a version of it; of the words of both together,
half of that, or it says much besides."""
_NEARLY = 0.15
"""A passage that fits the id that it names nearly as well as another one is no copy of the other."""


def contradiction(
    document: Document,
    near: Sequence[Passage],
    named: Callable[[Sequence[str]], Sequence[Passage]],
    policy: ScreenPolicy,
) -> str | None:
    """How a document contradicts a trusted passage of another owner, None if it does not.

    `near` are the trusted passages nearest to it, best first, `named` finds those of ids.
    """
    text = f"{document.title}. {document.text}"
    cves = cves_in(text)
    techniques = [document.technique] if document.technique else techniques_in(text)
    ids = [*cves, *techniques][:_MOST_IDS]
    own = [p for p in named(ids) if p.owner != document.owner] if ids else []
    others = [p for p in near if p.owner != document.owner]
    words = content_of(text)
    copies = [p for p in others if p.score >= policy.alike or _share(p, words) >= policy.copied]
    for passage in copies:
        fits = max((_share(p, words) for p in own), default=0.0) >= max(_share(passage, words) - _NEARLY, _NEARLY)
        if not fits and (other := _other_id(passage, cves, techniques, own)):
            return f"copies {passage.source} {passage.id}, but names {other}"
        if why := _turned(text, passage):
            return f"copies {passage.source} {passage.id}, but {why}"
    for passage in own:
        if passage not in copies and (why := _turned(text, passage)):
            return f"names {passage.id}, but {why}"
    about = [*own, *(p for p in others[:1] if p.score >= policy.same_topic)]
    if about and (said := dismisses(text)):
        return f"says {said!r} where {about[0].source} {about[0].id} warns"
    return None


def _share(passage: Passage, words: frozenset[str]) -> float:
    """How much of a trusted passage's words a text has, 0 to 1."""
    own = content_of(passage.text)
    return len(own & words) / len(own) if len(own) >= _FEWEST else 0.0


def _other_id(passage: Passage, cves: Sequence[str], techniques: Sequence[str], own: Sequence[Passage]) -> str | None:
    """The id that a text names in place of a passage's own. A technique and its sub-techniques are one here."""
    if passage.id.startswith("CVE-") and cves and passage.id not in cves:
        return cves[0]
    said = {t.partition(".")[0] for t in (*techniques, *(p.technique for p in own if p.technique))}
    if passage.technique and techniques and passage.technique.partition(".")[0] not in said:
        return techniques[0]
    return None


def _turned(text: str, passage: Passage) -> str | None:
    """What differs between corresponding sentences: an opposite, a negation, a number."""
    for said, trusted in _corresponding(text, passage.text):
        if why := opposed(said, trusted):
            return why
        here, there = numbers_in(said), numbers_in(trusted)
        if there - here and here - there:
            return f"says {', '.join(sorted(here - there)[:3])} for {', '.join(sorted(there - here)[:3])}"
    return None


def _corresponding(text: str, trusted: str) -> Iterator[tuple[str, str]]:
    """Each sentence of a trusted text with the sentence that is most like it, if one is."""
    sentences = [(s, content_of(s)) for s in sentences_of(text)]
    for sentence in sentences_of(trusted):
        words = content_of(sentence)
        if len(words) < 3 or not sentences:
            continue
        best, has = max(sentences, key=lambda s: (len(s[1] & words), -len(s[1])))
        shared = len(has & words)
        if shared >= _CORRESPONDS * len(words) and shared >= _CORRESPONDS / 2 * len(has | words):
            yield best, sentence
