"""The questions that retrieval is asked, each with its right ids, in a part that may choose and a part that reports.

Parts are kept apart by source: TRAM by report (the split that evaluation.suites has), Sigma by
first author, needs by line, dev_cases by its own halves; Atomic Red Team only reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aegis_agents.evaluation.suites import is_test_document
from aegis_agents.records import CATALOGUE
from aegis_agents.sources import parse
from aegis_agents.training.retrieval_lessons import part_of_rule, rule_text, tram_rows
from evals.retrieval_needs import needs

Part = Literal["tune", "report"]
Resolve = Callable[[str], str | None]


class Question(NamedTuple):
    """A query, and the ids of which each is right."""

    text: str
    right: tuple[str, ...]


class Suite(NamedTuple):
    """Questions to one corpus; `dropped` had no right id that the corpus knows."""

    name: str
    corpus: Literal["technique", "action"]
    part: Part
    questions: tuple[Question, ...]
    dropped: int


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as rows:
        for row in rows:
            yield json.loads(row)


def _line(*texts: str | None) -> str:
    return " ".join(" ".join(t for t in texts if t).split())


def suite(
    name: str, part: Part, asked: Iterable[tuple[str, Sequence[str]]], resolve: Resolve, *, corpus: Any = "technique"
) -> Suite:
    """Questions with their right ids in the corpus's terms; one text asked twice is one question with all its ids."""
    found: dict[str, dict[str, None]] = {}
    dropped = 0
    for text, labels in asked:
        right = [r for r in map(resolve, labels) if r is not None]
        if right and text:
            found.setdefault(text, {}).update(dict.fromkeys(right))
        else:
            dropped += 1
    return Suite(name, corpus, part, tuple(Question(t, tuple(r)) for t, r in found.items()), dropped)


def technique_suites(data: Path, resolve: Resolve) -> list[Suite]:
    """TRAM sentences, Sigma rules in words, Atomic tests in words and as commands."""
    tram = tram_rows(data)
    rules = [r for r in _lines(data / "sigma" / "rules.jsonl") if r["attack"]]
    atomics = list(_lines(data / "atomic_red_team" / "atomics.jsonl"))
    found = []
    parts: tuple[Part, ...] = ("tune", "report")
    for part in parts:
        half = [
            (_line(r["text"]), [r["label"]]) for r in tram if is_test_document(r["doc_title"]) == (part == "report")
        ]
        found.append(suite("TRAM: sentence of a report → technique", part, half, resolve))
        chosen = [(rule_text(r), r["attack"]) for r in rules if part_of_rule(r) == part]
        found.append(suite("Sigma: title and description of a rule → technique", part, chosen, resolve))
    told = [(_line(f"{a['name']}.", a["description"]), [a["technique"]]) for a in atomics]
    found.append(suite("Atomic: name and description of a test → technique", "report", told, resolve))
    run = [(_line(a["command"]), [a["technique"]]) for a in atomics]
    found.append(suite("Atomic: command of a test → technique", "report", run, resolve))
    return found


def action_suites(data: Path, resolve: Resolve) -> list[Suite]:
    """Needs in words; dev_cases as the alert reads, and as their author says what happened."""
    found = []
    parts: tuple[Part, ...] = ("tune", "report")
    for part in parts:
        asked = [(n.text, n.actions) for n in needs(part)]
        found.append(suite("needs in words → response action", part, asked, resolve, corpus="action"))
        cases = list(_lines(data / "dev_cases" / part / "cases.jsonl"))
        good = [[a["action"] for a in c["truth"]["good_actions"]] for c in cases]
        read, why = [_alert_text(c["alert"]) for c in cases], [c["truth"]["why"] for c in cases]
        # what is only recorded (a ticket, a notice, closing) follows from the verdict, not from what the alert is about
        holding = [[a for a in each if CATALOGUE[a].effect != "record"] for each in good]
        for right, what in ((good, "response action"), (holding, "containing action")):
            for texts, how in ((read, "alert"), (why, "what happened, in words")):
                name = f"dev_cases: {how} → {what}"
                found.append(suite(name, part, zip(texts, right, strict=True), resolve, corpus="action"))
    return found


def _alert_text(alert: dict[str, Any]) -> str:
    """Title and facts, as a tool that searches for an alert has them."""
    incident = parse(alert)
    return _line(f"{incident.title}.", *(f.value for f in incident.facts if not f.derived))[:1000]
