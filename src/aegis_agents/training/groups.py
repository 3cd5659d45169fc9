"""Groups of alerts that differ in little but the deciding facts: what one training step reads.

In a group, what all variants share can't tell their verdicts apart, so the network is
driven to what differs; and a fact that they share is encoded once.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from zlib import crc32

from aegis_agents.model.text import DERIVED_INDEX, read
from aegis_agents.records import SEVERITIES, VERDICTS
from aegis_agents.training.corpus import MIX, Example, draw
from aegis_agents.training.families import load_families
from aegis_agents.training.prepare.dataset import LabelledAlert, Split

NOT_AN_ATTACK = -2
"""A verdict label for real data that only says "no attack", not which kind of none."""
TRUST_NOISE = 0.5
"""Share of facts whose trust is replaced by a random one: it may weigh, it must not decide."""
_WRITER = re.compile(r"w(\d+):")
PLAIN_NAMES = ("details", "note", "info", "value", "context", "field", "data", "attribute", "item", "text")


class Told(NamedTuple):
    """One alert as the network reads it: texts with trust and stance (-1 unknown), and its labels as indices."""

    texts: tuple[str, ...]
    trust: tuple[int, ...]
    stance: tuple[int, ...]
    verdict: int
    severity: int
    techniques: tuple[str, ...]
    family: str


def tell(example: Example, *, any_benign: bool = False) -> Told:
    """An example as the network reads it. `any_benign`: labels other than an attack only mean "no attack"."""
    pieces, _ = read(example.incident)
    stance = {f.id: s for f, s in zip(example.incident.facts, example.stances, strict=True)}
    verdict = VERDICTS.index(example.verdict)
    loose = any_benign and verdict != 0
    return Told(
        tuple(p.text for p in pieces),
        tuple(p.trust for p in pieces),
        tuple(stance[p.fact] for p in pieces),
        NOT_AN_ATTACK if loose else verdict,
        -1 if loose else SEVERITIES.index(example.severity),
        example.techniques,
        example.family,
    )


Group = list[Told]
MOST_VARIANTS = 5
"""Of one group in one step; another time others are drawn."""
UNLABELLED = 0.3
"""The largest share of unlabelled facts that are left out of an alert: among them are those that decide it."""
NEAREST_PAIR = 0.5
"""Share of groups from which an attack and the harmless variant that differs least from it are taken together."""
NEWEST_WRITER, NEWEST_TIMES = 223, 3
"""Situations of writers from this number on are shown so often for each showing of an older one.

A run that goes on from the shipped weights has learnt the older ones already: whoever ships new weights moves the
number (aegis-encoder-v6 has learnt all up to 222).
"""


def roughen(group: Group, rng: random.Random, *, names: float = 0.12, neutral: float = 0.9, thin: float = 0.1) -> Group:
    """The group as other products, sensors and days might have told it.

    Alike for all variants, field names are dropped or made plain (`names`) and a share of the facts that
    say nothing, up to `neutral`, is left out: an alert is short one time and long another. Of facts that nobody labelled
    (outside data, a user's own cases) at most UNLABELLED go. Now and then an alert loses all that decides it, and is
    undetermined (`thin`).
    """
    stances = {(t, s) for told in group for t, s, by in zip(told.texts, told.stance, told.trust, strict=True) if s == 0 or (s < 0 and by != DERIVED_INDEX)}  # fmt: skip
    share = rng.random()
    gone = {t for t, s in sorted(stances) if rng.random() < share * (neutral if s == 0 else min(neutral, UNLABELLED))}
    renamed: dict[str, str] = {}
    for text in sorted({t for told in group for t in told.texts}):
        if rng.random() < names:
            value = text.partition(": ")[2]
            renamed[text] = f"{rng.choice(PLAIN_NAMES)}: {value}" if rng.random() < 0.7 else value
    found = []
    for told in group:
        bare = told.verdict in (0, 1, 2) and any(s > 0 for s in told.stance) and rng.random() < thin
        bare = bare and any(
            s <= 0 and t not in gone for t, s in zip(told.texts, told.stance, strict=True)
        )  # something is left
        kept = [
            i
            for i, t in enumerate(told.texts)
            if not (t in gone and told.stance[i] <= 0 and told.trust[i] != DERIVED_INDEX)
            and not (bare and told.stance[i])
        ] or [0]
        found.append(
            told._replace(
                texts=tuple(renamed.get(told.texts[i], told.texts[i]) for i in kept),
                trust=tuple(
                    rng.randrange(3) if told.trust[i] < 3 and rng.random() < TRUST_NOISE else told.trust[i]
                    for i in kept
                ),
                stance=tuple(told.stance[i] for i in kept),
                verdict=VERDICTS.index("undetermined") if bare else told.verdict,
                severity=-1 if bare else told.severity,
                techniques=() if bare else told.techniques,
            )
        )
    return found


def family_group(rng: random.Random) -> Group:
    """Two or three verdicts of one family that trains, with one seed."""
    family = rng.choice([f for f in load_families() if f.part == "train"])
    number = rng.randrange(1 << 40)
    return [tell(draw(family, verdict, number)) for verdict, _ in rng.sample(MIX, 3)]


def dataset_groups(alerts: Iterable[LabelledAlert], split: Split) -> dict[str, list[Group]]:
    """The alerts of one part of a prepared set, by kind: a family's variants together, outside alerts by the handful.

    Every fourth family to train on is there a second time, read as if nobody knew its format; the newest
    writers' are there NEWEST_TIMES.
    """
    own: dict[str, dict[str, Group]] = {}
    outside: dict[str, Group] = {}
    for alert in alerts:
        if alert.split != split:
            continue
        told = tell(alert.example(), any_benign=not alert.verdict_known)
        if not told.texts:
            continue  # nothing of it can be read
        if alert.outside:
            outside.setdefault(alert.source, []).append(told)
            continue
        families = own.setdefault(alert.source, {})
        families.setdefault(alert.family, []).append(told)
        if split == "train" and alert.format != "generic" and crc32(alert.family.encode()) % 4 == 0:
            unknown = tell(alert.example("generic"), any_benign=not alert.verdict_known)
            families.setdefault(f"{alert.family} in an unknown format", []).append(unknown)
    found = {
        kind: [part for name, group in families.items() for part in _parts(group) * (_times(name) if split == "train" else 1)]
        for kind, families in own.items()
    }  # fmt: skip
    real = [part for source in sorted(outside) for part in _parts(_mixed(outside[source]))]
    return found | ({"real": real} if real else {})


def _times(family: str) -> int:
    writer = _WRITER.match(family)
    return NEWEST_TIMES if writer and int(writer[1]) >= NEWEST_WRITER else 1


def _parts(group: Group, size: int = 13) -> list[Group]:
    return [group[i : i + size] for i in range(0, len(group), size)]


def _mixed(group: Group) -> Group:
    """Attacks spread evenly over the rest, so that a handful has both where there are both."""
    attacks, rest = [t for t in group if t.verdict == 0], [t for t in group if t.verdict != 0]
    every = max(1, len(rest) // max(1, len(attacks)))
    found: Group = []
    while attacks or rest:
        found += attacks[:1] + rest[:every]
        attacks, rest = attacks[1:], rest[every:]
    return found


SHARES = {"situations": 0.68, "dials": 0.12, "written": 0.03, "coherent": 0.04, "families": 0.08, "real": 0.05}
"""How much of the training each kind gets: situations are the nearest to what comes, the others keep it broad."""


def group_stream(fixed: dict[str, list[Group]], seed: int, *, names: float = 0.12, own: float = 0.0) -> Iterator[Group]:
    """Endless groups by SHARES (kinds that are empty give theirs to families); the same seed gives the same ones.

    `names` is the share of field names that are dropped or made plain, `own` that of groups of kind "own".
    """
    rng = random.Random(seed)
    waiting: dict[str, list[Group]] = {}
    while True:
        kind = "own" if rng.random() < own else rng.choices(list(SHARES), list(SHARES.values()))[0]
        if not fixed.get(kind):
            kind = "families"
        if not fixed.get(kind):
            yield roughen(family_group(rng), rng, names=names)
            continue
        # Each is shown once before any is shown twice.
        if not waiting.get(kind):
            waiting[kind] = rng.sample(fixed[kind], len(fixed[kind]))
        group = waiting[kind].pop()
        yield roughen(some_variants(group, rng), rng, names=names)


def some_variants(group: Group, rng: random.Random) -> Group:
    """At most MOST_VARIANTS of a group, often with a pair that little tells apart."""
    chosen: list[int] = []
    attacks = [i for i, told in enumerate(group) if told.verdict == 0]
    harmless = [i for i, told in enumerate(group) if told.verdict not in (0, VERDICTS.index("undetermined"))]
    if attacks and harmless and rng.random() < NEAREST_PAIR:
        one = rng.choice(attacks)
        texts = set(group[one].texts)
        chosen = [one, min(harmless, key=lambda i: len(texts.symmetric_difference(group[i].texts)))]
    rest = [i for i in range(len(group)) if i not in chosen]
    chosen += rng.sample(rest, min(MOST_VARIANTS - len(chosen), len(rest)))
    return [group[i] for i in chosen]
