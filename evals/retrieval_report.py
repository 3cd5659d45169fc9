"""The retrieval report for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ABOUT = """# Retrieval quality

`python -m evals.retrieval`. {model}; untuned encoder: {untuned}; {techniques} techniques of the pinned ATT&CK
release. hit@k: a right one among the first k rows (95 % Wilson interval); recall@5: share of the right ones among five,
MRR: mean of 1 / rank of the first right one (95 % bootstrap). At base level T1059.001 and T1059.003 are the same.
"report" was looked at only to report; "tune" chose rates, the weight of words and the number of steps.

- TRAM is split by report. It teaches nothing; ATT&CK's procedure examples do, without those of any software, group or
  campaign that a TRAM title names, and without near duplicates (Jaccard 0.5) of any TRAM sentence. Yet both describe the
  same known intrusions: TRAM is nearer to what was learnt than Atomic is.
- Sigma is split by first author. Rules of two quarters of the authors teach; not those that cite an Atomic test, nor near
  duplicates (Jaccard 0.6) of a rule of the other parts.
- Atomic Red Team neither teaches nor chooses, but for one thing: that techniques without lessons were lost was seen
  there, and descriptions became lessons.
- Techniques of which fewer than five lessons told are found worse than by the untuned encoder, commands most of all:
  see the suites "those of fewer than 5 lessons".
- Actions are taught by 480 lessons of three writers who saw none of these suites; rate, steps and temperature were chosen
  on the tune halves.
- Needs in words: whoever wrote them also wrote the uses that the actions' texts now have, so what uses gain there is too
  kind; dev_cases were written by others. "without uses" is how it was. Whether to open a ticket, notify or close follows from the verdict and from policy, which text
  search does not know: an answer that reads nothing ("always the same order", counted on the tune part) stands beside it.
  "containing action" leaves out what is only recorded.
- Most of the gain on techniques comes from where their vectors stand, not from the tuned encoder: by its plain vectors
  ("our encoder") ours is no better than the untuned one.

A search among techniques, the query's vector given: {median} ms (median), {p95} ms (p95).
"""


def to_markdown(report: Mapping[str, Any]) -> str:
    """Every suite, the reporting ones first."""
    lines = [_ABOUT.format(**report, **report["ms beyond the encoder"])]
    for part in ("report", "tune"):
        for suite in (s for s in report["suites"] if s["part"] == part):
            dropped = f", {suite['dropped']} without a right id left out" if suite["dropped"] else ""
            lines += [f"## {suite['suite']} ({part}, n {suite['n']}{dropped})", ""]
            for level in ("base technique", "exact"):
                if level in suite:
                    lines += [*_table(suite[level], suite[f"ours against, {level}"], level), ""]
    return "\n".join(lines)


def _table(systems: Mapping[str, Any], against: Mapping[str, Any], level: str) -> Iterator[str]:
    columns = ("hit@1", "hit@5", "recall@5", "MRR")
    yield f"| {level} | {' | '.join(columns)} | gain of ours in recall@5 | p (hit@5) |"
    yield "|---" * (len(columns) + 3) + "|"
    for system, figures in systems.items():
        cells = [f"{figures[c]['value']:.3f} ({figures[c]['low']:.2f} to {figures[c]['high']:.2f})" for c in columns]
        one = against.get(system)
        gain = f"{one['recall@5 gain']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})" if one else "ours"
        p = "" if one is None else f"{one['p']:.1e}" if one["p"] < 0.001 else f"{one['p']:.3f}"
        yield f"| {system} | {' | '.join(cells)} | {gain} | {p} |"
