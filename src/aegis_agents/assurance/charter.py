"""`aegis charter`: the answers that a reviewer asks for, from configuration and from what was measured here.

What is decided alone, what being wrong costs, how fast it is, with which expertise, what a compromise could
do, how misuse is prevented, which requirements are met, where the trail is. No figure stands in this code:
each line names the setting, the entries of the ledger or the model's card that it was read from, and what
was not measured says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime

from aegis_agents._version import __version__
from aegis_agents.records.base import Record

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis

Value = str | int | float | bool | None


class Line(Record):
    """One answer: words for people, the figures in it by name, and where they come from."""

    text: str
    figures: dict[str, Value] = {}
    source: str


class Answer(Record):
    """A reviewer's question and the lines that answer it."""

    question: str
    lines: tuple[Line, ...]


class Charter(Record):
    """All answers, at one time, by one version."""

    at: AwareDatetime
    version: str
    home: str
    answers: tuple[Answer, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values."""
        return self.model_dump(mode="json")


def charter(aegis: Aegis) -> Charter:
    """The charter of this configuration and this state, as of now. Loads the model; changes nothing."""
    from aegis_agents.assurance.charter_autonomy import decided_alone
    from aegis_agents.assurance.charter_costs import being_wrong
    from aegis_agents.assurance.charter_exposure import compromise, misuse
    from aegis_agents.assurance.charter_measured import expertise, speed, trail

    questions = (
        ("What is decided without a person?", decided_alone),
        ("What does being wrong cost, and how often is it?", being_wrong),
        ("How fast is it?", speed),
        ("With which expertise?", expertise),
        ("What could a compromise do?", compromise),
        ("How is misuse prevented?", misuse),
        ("Which requirements are met?", _requirements),
        ("Where is the trail?", trail),
    )
    answers = tuple(Answer(question=question, lines=tuple(answer(aegis))) for question, answer in questions)
    return Charter(at=datetime.now(UTC), version=__version__, home=str(aegis.settings.home), answers=answers)


def _requirements(aegis: Aegis) -> Iterator[Line]:
    from collections import Counter

    from aegis_agents.assurance.report import requirements

    by_framework: dict[str, Counter[str]] = {}
    for requirement in requirements():
        by_framework.setdefault(requirement.framework, Counter())[requirement.standing] += 1
    for framework, counted in by_framework.items():
        said = ", ".join(f"{count} {standing}" for standing, count in counted.items())
        yield Line(text=f"{framework}: {said}", figures=dict(counted), source="aegis report")
    yield Line(text="each line with its test or its ledger entries: run `aegis report`", source="aegis report")
