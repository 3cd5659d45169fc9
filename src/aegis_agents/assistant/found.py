"""Collects an answer while it is found: sentences with what they rest on, handed on as they come."""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import NamedTuple

from aegis_agents.assistant.mentions import Mentions
from aegis_agents.assistant.names import Subject
from aegis_agents.assistant.reading import at, flat, shown
from aegis_agents.assistant.records import Cite, Event, Proposal
from aegis_agents.assistant.shelf import Card, Named
from aegis_agents.ledger import JournalRow, LedgerEntry
from aegis_agents.records import Case, Fact, Passage, Sentence

CITE_CHARS = 300
_OURS = re.compile(r"[fd]\d+|act-.*|inc-.*|ledger:.*", re.DOTALL)
_KNOWN = re.compile(r"[TGSM]\d{4}(?:\.\d{3})?|TA\d{4}|CVE-\d{4}-\d+", re.I)
_FREE = frozenset({"rule", "playbook", "report", "document", "indicator", "warning"})
"""Corpora whose documents bear whatever id their feed gives them."""
Sink = Callable[[Event], object]

VERDICT_TEXT = {
    "true_positive": "an attack", "benign_positive": "allowed activity", "false_positive": "a wrong detection",
    "undetermined": "undetermined",
}  # fmt: skip


class Memory(NamedTuple):
    """What a conversation is about: its case, the actions and the piece of intelligence last spoken of, the last list.

    `of_intel` says that the last answer came from intelligence: "they" are a group then, and no analysts.
    """

    incident_id: str | None = None
    actions: tuple[str, ...] = ()
    subject: Subject | None = None
    listed: tuple[str, ...] = ()
    of_intel: bool = False


class Asked(NamedTuple):
    """A question as it was understood. `case` is the case that the caller named, `focus` the one that is meant."""

    question: str
    mentions: Mentions
    intent: str
    case: str | None
    memory: Memory
    focus: str | None = None


@dataclass
class Found:
    """The answer so far. `answered` turns True with the first sentence that answers."""

    sink: Sink | None = None
    sentences: list[Sentence] = field(default_factory=list)
    cites: dict[str, Cite] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)
    looked_at: dict[str, None] = field(default_factory=dict)
    answered: bool = False
    memory: Memory = field(default_factory=Memory)
    echoes: set[str] = field(default_factory=set)
    """Sentences that say the question's own words back: no evidence for what a language model says."""

    def say(self, text: str, *cites: Cite) -> None:
        """A sentence that answers, and what it rests on."""
        self.answered = True
        self.tell(text, *cites)

    def tell(self, text: str, *cites: Cite) -> None:
        """A sentence that does not: what is missing, or what to ask."""
        sentence = Sentence(text=text, cites=tuple(dict.fromkeys(c.id for c in cites)))
        self.sentences.append(sentence)
        self.cites.update((c.id, c) for c in cites)
        if self.sink is not None:
            hand_on(sentence, self.cites, self.sink, first=len(self.sentences) == 1)

    def echo(self, text: str, *cites: Cite) -> None:
        """As `tell`, of a sentence that quotes the question."""
        self.echoes.add(text)
        self.tell(text, *cites)

    def looked(self, *where: str) -> None:
        """Note where was looked."""
        self.looked_at.update(dict.fromkeys(where))


def hand_on(sentence: Sentence, cites: dict[str, Cite], sink: Sink, *, first: bool) -> None:
    """A sentence as events: what it rests on, then its words."""
    for cite in sentence.cites:
        sink(Event(kind="cite", cite=cites[cite]))
    words = sentence.text.split(" ")
    for number, word in enumerate(words):
        sink(Event(kind="token", text=word if first and number == 0 else f" {word}"))


def counted(things: Sized, name: str) -> str:
    """How many, in words that agree: "1 action", "2 actions"."""
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def cite_case(case: Case | Card) -> Cite:
    """A case, by what it says."""
    said = VERDICT_TEXT.get(case.verdict or "", "not decided yet")
    return Cite(
        id=case.incident_id, kind="case", text=shown(f"{case.title}: {said}", CITE_CHARS), ref=f"case of {case.source}"
    )


def cite_fact(incident_id: str, fact: Fact) -> Cite:
    """A fact of an incident."""
    text = shown(f"{fact.path} = {fact.value}", CITE_CHARS)
    return Cite(id=fact.id, kind="fact", text=text, ref=f"{incident_id}, {shown(fact.path)}")


def cite_action(row: JournalRow) -> Cite:
    """A row of the journal."""
    text = shown(f"{named_action(row)}: {row.state}", CITE_CHARS)
    return Cite(id=row.action_id, kind="action", text=text, ref=f"journal, {row.incident_id}")


def cite_entry(entry: LedgerEntry) -> Cite:
    """An entry of the ledger."""
    body = entry.body or {}
    told = ", ".join(f"{k} {body[k]}" for k in ("state", "outcome", "by", "verdict", "reason") if body.get(k))
    text = shown(f"{entry.kind} {told}", CITE_CHARS)
    return Cite(id=f"ledger:{entry.seq}", kind="ledger", text=text, ref=f"entry {entry.seq}, {entry.at}")


def cite_passage(passage: Passage) -> Cite:
    """A passage of intelligence."""
    text = shown(f"{passage.title}: {passage.text}", CITE_CHARS)
    where = (
        f"{passage.source}, feed {passage.feed or 'none'}, trust {passage.trust:g}, snapshot {passage.snapshot[:12]}"
    )
    # A feed chooses the ids of its passages: one that reads like our own ids, or like ATT&CK's and CVE's, is told apart.
    borrowed = passage.source in _FREE and _KNOWN.fullmatch(passage.id)
    id = f"{passage.source}:{passage.id}" if borrowed or _OURS.fullmatch(passage.id) else flat(passage.id, 200)
    return Cite(id=id, kind="passage", text=text, ref=shown(where))


def named_action(row: JournalRow) -> str:
    """An action and its target in words."""
    return f"{row.proposal.action} on {shown_entity(Named(row.target.kind, row.target.value))}"


def shown_entity(entity: Named) -> str:
    """An entity as answers say it."""
    if entity.kind == "alert":  # an alert's id may look like a card number, and is none
        return f"alert {flat(entity.value, 80)}"
    return f"{entity.kind} {shown(entity.value, 80)}"


def entry_time(entry: LedgerEntry) -> str:
    """When an entry was written, as answers say times."""
    from datetime import datetime

    return at(datetime.fromisoformat(entry.at))
