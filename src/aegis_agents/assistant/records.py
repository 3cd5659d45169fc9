"""What the assistant answers: sentences, what they cite, and proposals that do nothing by themselves."""

from __future__ import annotations

import html
import re
from typing import Any, Literal

from aegis_agents.records import ActionName, Sentence, Target
from aegis_agents.records.base import Record

CiteKind = Literal["fact", "passage", "action", "ledger", "case"]
"""fact: of an incident; passage: of intelligence; action: a row of the journal; ledger: an entry; case: a verdict."""


class Cite(Record):
    """What a sentence rests on: something that exists, by its own id.

    `text` is what stands there (secrets masked, cut to 300 characters), `ref` where to find it: the incident and path of
    a fact, corpus and snapshot of a passage, time and kind of a ledger entry.
    """

    id: str
    kind: CiteKind
    text: str
    ref: str


class Proposal(Record):
    """An action that the question asks for, as it would stand before the gate. Nothing was done, journalled or asked.

    `verb`, `rule` and `reason` are what the gate says at this moment (a dry decision); put before it by `propose`, it
    waits for a person even where the gate would let it run. `undo` names the way back, None where there is none.
    """

    incident_id: str
    action: ActionName
    target: Target
    about: str
    undo: str | None
    verb: Literal["execute", "ask", "recommend", "refuse"]
    rule: str
    reason: str
    cites: tuple[str, ...]

    @property
    def reversible(self) -> bool:
        """Whether there is a way back."""
        return self.undo is not None


class Answer(Record):
    """The answer to one question.

    `sentences` and the ids that each rests on; every id is among `cites`. `answered` is False where nothing that was
    looked at (`looked_at`) answers: then `text` says so. `intent` is how the question was understood and `incident_id`
    the case that it was taken to be about. `model` is "embedded" for an extractive answer, else the name of the
    language model that worded it; `notes` say why it did not where it should have. Times are wall time in
    milliseconds from the question on; `first_token_ms` is when the first words could be read.
    """

    question: str
    text: str
    sentences: tuple[Sentence, ...]
    cites: tuple[Cite, ...]
    proposals: tuple[Proposal, ...] = ()
    answered: bool = True
    intent: str = ""
    incident_id: str | None = None
    looked_at: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    model: str = "embedded"
    thread: str | None = None
    timing_ms: float = 0.0
    first_token_ms: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values."""
        return self.model_dump(mode="json")

    def __str__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        """For notebooks: text from alerts and feeds can neither mark up nor link."""
        lines = [f"{markdown(s.text)} {_ids(s.cites)}".rstrip() for s in self.sentences]
        for p in self.proposals:
            told = (
                f"{p.action} on {p.target.kind} {p.target.value}: the gate says {p.verb} ({p.rule}); nothing was done"
            )
            lines.append(f"Proposal: {markdown(told)}")
        lines += [f"Note: {markdown(note)}" for note in self.notes]
        return "\n\n".join(lines)


class Event(Record):
    """One step of a streamed answer: `token` has words, `cite` what the sentence just begun rests on, `answer` the whole."""

    kind: Literal["token", "cite", "answer"]
    text: str = ""
    cite: Cite | None = None
    answer: Answer | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values: the payload of a server-sent event of this kind."""
        if self.answer is not None:
            return self.answer.to_dict()
        return self.cite.model_dump(mode="json") if self.cite is not None else {"text": self.text}


_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>$:@/=^])")


def markdown(text: str) -> str:
    """Text as Markdown that reads just so: no markup, no HTML, no link that makes itself, no line of its own."""
    flat = " ".join(text.split())
    return _MARKS.sub(r"\\\1", html.escape(flat, quote=False).replace("&", "\0")).replace("\0", "&")


def _ids(cites: tuple[str, ...]) -> str:
    return f"\\[{', '.join(map(markdown, cites))}\\]" if cites else ""
