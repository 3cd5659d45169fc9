"""`aegis report`: which requirement is met by what, each line pointing at a test or at entries of this ledger.

The requirements are data (requirements.toml): ids of the frameworks, in our words what each
asks, what in Aegis answers it, and what stays with the organisation. A line without evidence in
this ledger says so: that a thing is built does not show that it was used.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from aegis_agents.records.base import Record

if TYPE_CHECKING:
    from aegis_agents.ledger import Store

Standing = Literal["met", "in part", "yours"]
"""met: Aegis does it; in part: see `gap`; yours: only the organisation can, and Aegis gives what it needs for it."""


class Requirement(Record):
    """One line of a framework. `asks` and `how` are our words, not the framework's."""

    framework: str
    id: str
    asks: str
    how: str
    standing: Standing = "met"
    gap: str = ""
    tests: tuple[str, ...] = ()
    """Tests of the repository, as pytest names them."""
    ledger: tuple[str, ...] = ()
    """Kinds of ledger entries."""

    @model_validator(mode="after")
    def _has_evidence(self) -> Requirement:
        if not (self.tests or self.ledger):
            raise ValueError(f"{self.framework} {self.id}: needs a test or a kind of ledger entry")
        if (self.standing == "met") == bool(self.gap):
            raise ValueError(f"{self.framework} {self.id}: a gap and only a gap needs words")
        return self


class LedgerEvidence(Record):
    """What this ledger holds of one kind: how many entries (counted to a limit), the first and the last."""

    kind: str
    count: int = Field(ge=0)
    first: int | None = None
    last: int | None = None
    last_at: str | None = None


class Line(Record):
    """A requirement with what this ledger shows for it."""

    requirement: Requirement
    evidence: tuple[LedgerEvidence, ...]


def requirements() -> tuple[Requirement, ...]:
    """All of them, in the order of the file."""
    text = (resources.files("aegis_agents.assurance") / "requirements.toml").read_text("utf-8")
    loaded = tomllib.loads(text)
    found = []
    for framework in loaded["framework"]:
        found += [
            Requirement.model_validate({"framework": framework["name"], **line}) for line in framework["requirement"]
        ]
    return tuple(found)


def read_evidence(store: Store, kinds: Sequence[str]) -> dict[str, LedgerEvidence]:
    """What the ledger holds of each kind."""
    found = {}
    for kind in kinds:
        count, first, last, last_at, after = 0, None, None, None, 0
        while batch := store.entries(kind=kind, after=after):
            first = first or batch[0].seq
            after, last, last_at = batch[-1].seq, batch[-1].seq, batch[-1].at
            count += len(batch)
        found[kind] = LedgerEvidence(kind=kind, count=count, first=first, last=last, last_at=last_at)
    return found


def report(store: Store) -> tuple[Line, ...]:
    """Every requirement with this ledger's evidence."""
    asked = requirements()
    kinds = sorted({kind for requirement in asked for kind in requirement.ledger})
    evidence = read_evidence(store, kinds)
    return tuple(Line(requirement=r, evidence=tuple(evidence[kind] for kind in r.ledger)) for r in asked)


def markdown(lines: Sequence[Line], head: str) -> Iterator[str]:
    """The report for people; `head` says of which ledger."""
    yield "# What Aegis meets, and by what it shows it\n"
    yield f"{head}\n"
    yield (
        "Written from the code's own tests and this ledger. It is no certificate: whether a requirement applies, "
        "and whether this is enough, is for the organisation to judge.\n"
    )
    by_framework: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_framework[line.requirement.framework].append(line)
    for framework, its_lines in by_framework.items():
        met = sum(line.requirement.standing == "met" for line in its_lines)
        yield f"\n## {framework}\n"
        yield f"{len(its_lines)} lines: {met} met, {len(its_lines) - met} in part or yours.\n"
        for line in its_lines:
            r = line.requirement
            yield f"\n**{r.id}** {r.asks} *{r.standing}*"
            yield f": {r.how}"
            if r.gap:
                yield f"  \nNot by Aegis alone: {r.gap}"
            for item in line.evidence:
                seen = (
                    f"{item.count} entries, the last #{item.last} at {item.last_at}" if item.count else "no entry yet"
                )
                yield f"  \nledger `{item.kind}`: {seen}"
            for test in r.tests:
                yield f"  \ntest `{test}`"
            yield "\n"
