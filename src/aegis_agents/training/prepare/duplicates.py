"""Exact and near duplicates: copies of one alert must not count twice, and none may stand on both sides of a split.

Near duplicates: MinHash with locality-sensitive hashing (Broder 1997), by datasketch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from aegis_agents.training.prepare.dataset import LabelledAlert

_WORD = re.compile(r"[a-z]{2,}|\d+")
PERMUTATIONS = 128


class Kept(NamedTuple):
    """What stays, and (alert dropped, alert that it repeats, how)."""

    alerts: list[LabelledAlert]
    dropped: list[tuple[LabelledAlert, str, str]]


def _shingles(alert: LabelledAlert) -> set[str]:
    words = [w for f in alert.example().incident.facts for w in _WORD.findall(f"{f.path} {f.value}".lower())]
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def without_duplicates(alerts: Iterable[LabelledAlert], *, likeness: float = 0.9) -> Kept:
    """Keep the first of each; near means a Jaccard likeness of word triples of `likeness` or more.

    Variants of one family are alike on purpose, since one fact turns the verdict: among them
    only exact copies go. The same alert with two verdicts is dropped whole, both copies.
    """
    from datasketch import MinHash, MinHashLSH

    alerts = list(alerts)
    verdicts: dict[str, set[str]] = {}
    for alert in alerts:
        verdicts.setdefault(alert.id, set()).add(alert.verdict)
    index = MinHashLSH(threshold=likeness, num_perm=PERMUTATIONS)
    by_key: dict[str, tuple[LabelledAlert, MinHash]] = {}
    seen: set[str] = set()
    kept: list[LabelledAlert] = []
    dropped: list[tuple[LabelledAlert, str, str]] = []
    for number, alert in enumerate(alerts):
        if len(verdicts[alert.id]) > 1:
            dropped.append((alert, alert.id, "labelled in two ways"))
            continue
        if alert.id in seen:
            dropped.append((alert, alert.id, "exact copy"))
            continue
        seen.add(alert.id)
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([s.encode() for s in sorted(_shingles(alert))])
        # What the index answers are candidates: their likeness is looked at.
        near = (by_key[k] for k in sorted(index.query(sketch)))
        twin = next((o for o, s in near if o.family != alert.family and s.jaccard(sketch) >= likeness), None)
        if twin is not None:
            dropped.append((alert, twin.id, "near copy of another family"))
            continue
        key = f"{number:08d}"
        index.insert(key, sketch)
        by_key[key] = (alert, sketch)
        kept.append(alert)
    return Kept(kept, dropped)
