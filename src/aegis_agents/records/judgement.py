"""What the model says of an incident, what intelligence adds, and the conclusion drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from aegis_agents.records.base import Record
from aegis_agents.records.incident import Trust

Verdict = Literal["true_positive", "benign_positive", "false_positive", "undetermined"]
"""true_positive: an attack; benign_positive: it happened and is allowed; false_positive: it did not
happen as claimed; undetermined: the evidence does not decide, a person must."""

Severity = Literal["informational", "low", "medium", "high", "critical"]

VERDICTS: tuple[Verdict, ...] = ("true_positive", "benign_positive", "false_positive", "undetermined")
SEVERITIES: tuple[Severity, ...] = ("informational", "low", "medium", "high", "critical")


class FactWeight(Record):
    """How a fact moved the verdict: above 0 towards attack, below 0 away from it, -1..1."""

    fact: str
    weight: float


class TechniqueScore(Record):
    """An ATT&CK technique and how well it fits, 0..1."""

    technique: str
    score: float


class Assessment(Record):
    """One pass of the model over an incident.

    `probabilities` are calibrated, in the order of VERDICTS without "undetermined"
    being forced: the four sum to 1. `confidence` is that of `verdict`.
    """

    verdict: Verdict
    confidence: float
    probabilities: dict[Verdict, float]
    severity: Severity
    weights: tuple[FactWeight, ...]
    techniques: tuple[TechniqueScore, ...]
    model: str
    """Name and hash of the weights that answered."""
    facts_read: int
    facts_skipped: int
    """Facts that carry no meaning for the model (opaque ids, hashes, clocks) and were left out."""


class Passage(Record):
    """A piece of threat intelligence, with where it came from.

    `source` is its corpus, `feed` what brought it and `owner` who publishes that; `sha256` is of what it says.
    """

    source: str
    id: str
    title: str
    text: str
    score: float
    snapshot: str
    trust: float = 1.0
    licence: str = ""
    technique: str | None = None
    feed: str = ""
    owner: str = ""
    tlp: str = "clear"
    fetched_at: AwareDatetime | None = None
    observed_at: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    signer: str = ""
    sha256: str = ""


class FactEvidence(Record):
    """A fact of this incident that decided."""

    kind: Literal["fact"] = "fact"
    id: str
    path: str
    value: str
    weight: float
    trust: Trust

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How notebooks show it: HTML, and text where there is none."""
        from aegis_agents import display

        shown = [self.model_dump(mode="json")]
        return {"text/html": display.notebook(display.evidence_html(shown)), "text/plain": display.evidence_text(shown)}


class PassageEvidence(Record):
    """A passage of intelligence that was used, with the feed that brought it, and its trust and TLP marking."""

    kind: Literal["passage"] = "passage"
    id: str
    source: str
    title: str
    snapshot: str
    score: float
    feed: str = ""
    trust: float = 1.0
    tlp: str = "clear"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How notebooks show it: HTML, and text where there is none."""
        from aegis_agents import display

        shown = [self.model_dump(mode="json")]
        return {"text/html": display.notebook(display.passages_html(shown)), "text/plain": display.evidence_text(shown)}


Evidence = FactEvidence | PassageEvidence


class Sentence(Record):
    """One sentence of the rationale, and the ids of the evidence that it rests on."""

    text: str
    cites: tuple[str, ...]


class Conclusion(Record):
    """What Aegis believes, and why. Everything cited exists."""

    verdict: Verdict
    confidence: float
    severity: Severity
    techniques: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    sentences: tuple[Sentence, ...]

    @property
    def summary(self) -> str:
        """The rationale as one text, citations in brackets."""
        return " ".join(f"{s.text} [{', '.join(s.cites)}]" for s in self.sentences)
