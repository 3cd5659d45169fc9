"""What Aegis knows and did as DataFrames, one function for each thing that a person looks at.

Intelligence is here; cases, evidence, actions, facts, entities and the ledger are in `case_frames`, under the same name.

Columns and their dtypes are the same whatever comes in, so that frames can be joined and an empty one does not
break a notebook: text is `string`, times are `datetime64[ns, UTC]`, what is not known is missing. Read-only: a
frame is a copy, nothing written to it goes anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aegis_agents.notebook.case_frames import (
    ACTIONS,
    CASES,
    ENTITIES,
    EVIDENCE,
    FACTS,
    LEDGER,
    actions,
    cases,
    entities,
    evidence,
    facts,
    ledger,
)
from aegis_agents.notebook.framing import COUNT, FLAG, NUMBER, TEXT, TIME, frame

if TYPE_CHECKING:
    import pandas as pd

    from aegis_agents.intel.diff import Difference
    from aegis_agents.intel.feeds.reports import FeedStatus
    from aegis_agents.records import Case, Passage
    from aegis_agents.tools.indicator_report import IndicatorReport

__all__ = [
    "ACTIONS", "CASES", "DIFF", "ENTITIES", "EVIDENCE", "FACTS", "FEEDS", "INDICATORS", "LEDGER", "PASSAGES",
    "TECHNIQUES", "actions", "cases", "diff", "entities", "evidence", "facts", "feeds", "indicators", "ledger",
    "passages", "techniques",
]  # fmt: skip

PASSAGES: Mapping[str, str] = {
    "source": TEXT, "id": TEXT, "title": TEXT, "text": TEXT, "score": NUMBER, "technique": TEXT, "feed": TEXT,
    "owner": TEXT, "trust": NUMBER, "tlp": TEXT, "observed_at": TIME, "fetched_at": TIME, "valid_until": TIME,
    "licence": TEXT, "signer": TEXT, "sha256": TEXT, "snapshot": TEXT,
}  # fmt: skip
"""Columns of `passages`."""

INDICATORS: Mapping[str, str] = {
    "value": TEXT, "kind": TEXT, "status": TEXT, "established": FLAG, "log_odds": NUMBER, "warnings": TEXT,
    "reported": TEXT, "feed": TEXT, "owner": TEXT, "trust": NUMBER, "tlp": TEXT, "title": TEXT,
    "current": FLAG, "counts": FLAG, "last_seen": TIME, "fetched_at": TIME, "valid_until": TIME, "snapshot": TEXT,
}  # fmt: skip
"""Columns of `indicators`."""

TECHNIQUES: Mapping[str, str] = {
    "technique": TEXT, "rank": COUNT, "title": TEXT, "score": NUMBER, "snapshot": TEXT, "incident_id": TEXT,
    "verdict": TEXT,
}  # fmt: skip
"""Columns of `techniques`."""

DIFF: Mapping[str, str] = {
    "kind": TEXT, "corpus": TEXT, "id": TEXT, "title": TEXT, "feed": TEXT, "before": TEXT, "after": TEXT,
}  # fmt: skip
"""Columns of `diff`."""

FEEDS: Mapping[str, str] = {
    "feed": TEXT, "kind": TEXT, "owner": TEXT, "trust": TEXT, "tlp": TEXT, "documents": COUNT,
    "quarantined": COUNT, "version": TEXT, "last_tried": TIME, "last_good": TIME, "stale_seconds": NUMBER,
    "overdue": FLAG, "error": TEXT, "snapshot": TEXT,
}  # fmt: skip
"""Columns of `feeds`."""


def passages(found: Iterable[Passage]) -> pd.DataFrame:
    """Passages as `Intel.search` and the look-ups find them, one row each, in their order.

    Columns: PASSAGES. `score` and `trust` are 0 to 1; `source` is the corpus.
    """
    return frame((p.model_dump(include=set(PASSAGES)) for p in found), PASSAGES)


def indicators(reports: Iterable[IndicatorReport]) -> pd.DataFrame:
    """Reports of `report_indicator`, one row for each value and source; a value that nobody reports has one row too.

    Columns: INDICATORS. `reported` is what the source names: the value, or what it lies in; `warnings` the
    names of warning lists with "; " between; `log_odds` what all sources of the value may add to a verdict.
    """
    rows: list[dict[str, Any]] = []
    for report in reports:
        of_value = {
            "value": report.value, "kind": report.kind, "status": report.status, "established": report.established,
            "log_odds": report.log_odds, "warnings": "; ".join(report.warnings), "snapshot": report.snapshot,
        }  # fmt: skip
        for source in report.sources:
            rows.append(of_value | source.model_dump(exclude={"indicator"}) | {"reported": source.indicator})
        if not report.sources:
            rows.append(of_value)
    return frame(rows, INDICATORS)


def techniques(case: Case) -> pd.DataFrame:
    """The ATT&CK techniques that a case names, the likeliest first.

    Columns: TECHNIQUES. `rank` counts from 1; `title`, `score` (0 to 1) and `snapshot` are missing where the case
    was judged without intelligence.
    """
    cited = {e.id: e for e in case.evidence if e.kind == "passage" and e.source == "technique"}
    rows = []
    for rank, technique in enumerate(case.techniques, start=1):
        row = {
            "technique": technique, "rank": rank, "incident_id": case.incident_id, "verdict": case.verdict,
        }  # fmt: skip
        if (passage := cited.get(technique)) is not None:
            row |= {"title": passage.title, "score": passage.score, "snapshot": passage.snapshot}
        rows.append(row)
    return frame(rows, TECHNIQUES)


def diff(differences: Iterable[Difference]) -> pd.DataFrame:
    """What `Intel.diff` found between two snapshots, one row for each document.

    Columns: DIFF. `kind` is added, removed or changed; `before` and `after` are SHA-256 of what the document says.
    """
    return frame((d.model_dump() for d in differences), DIFF)


def feeds(statuses: Iterable[FeedStatus]) -> pd.DataFrame:
    """How feeds stand (`Syncer.status`), one row each, in the order configured.

    Columns: FEEDS. `trust` is high, medium or low; `stale_seconds` is missing for a feed that never succeeded.
    """
    return frame((s.model_dump() for s in statuses), FEEDS)
