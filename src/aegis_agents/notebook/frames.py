"""Intelligence as DataFrames, one function for each thing that a person looks at.

Columns and their dtypes are the same whatever comes in, so that frames can be joined and an empty one does not
break a notebook: text is `string`, times are `datetime64[ns, UTC]`, what is not known is missing. Read-only: a
frame is a copy, nothing written to it goes anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from aegis_agents.intel.diff import Difference
    from aegis_agents.intel.feeds.reports import FeedStatus
    from aegis_agents.records import Case, Passage
    from aegis_agents.tools.indicator_report import IndicatorReport

_TEXT, _NUMBER, _COUNT, _FLAG, _TIME = "string", "float64", "Int64", "boolean", "datetime64[ns, UTC]"

PASSAGES: Mapping[str, str] = {
    "source": _TEXT, "id": _TEXT, "title": _TEXT, "text": _TEXT, "score": _NUMBER, "technique": _TEXT, "feed": _TEXT,
    "owner": _TEXT, "trust": _NUMBER, "tlp": _TEXT, "observed_at": _TIME, "fetched_at": _TIME, "valid_until": _TIME,
    "licence": _TEXT, "signer": _TEXT, "sha256": _TEXT, "snapshot": _TEXT,
}  # fmt: skip
"""Columns of `passages`."""

INDICATORS: Mapping[str, str] = {
    "value": _TEXT, "kind": _TEXT, "status": _TEXT, "established": _FLAG, "log_odds": _NUMBER, "warnings": _TEXT,
    "reported": _TEXT, "feed": _TEXT, "owner": _TEXT, "trust": _NUMBER, "tlp": _TEXT, "title": _TEXT,
    "current": _FLAG, "counts": _FLAG, "last_seen": _TIME, "fetched_at": _TIME, "valid_until": _TIME, "snapshot": _TEXT,
}  # fmt: skip
"""Columns of `indicators`."""

TECHNIQUES: Mapping[str, str] = {
    "technique": _TEXT, "rank": _COUNT, "title": _TEXT, "score": _NUMBER, "snapshot": _TEXT, "incident_id": _TEXT,
    "verdict": _TEXT,
}  # fmt: skip
"""Columns of `techniques`."""

DIFF: Mapping[str, str] = {
    "kind": _TEXT, "corpus": _TEXT, "id": _TEXT, "title": _TEXT, "feed": _TEXT, "before": _TEXT, "after": _TEXT,
}  # fmt: skip
"""Columns of `diff`."""

FEEDS: Mapping[str, str] = {
    "feed": _TEXT, "kind": _TEXT, "owner": _TEXT, "trust": _TEXT, "tlp": _TEXT, "documents": _COUNT,
    "quarantined": _COUNT, "version": _TEXT, "last_tried": _TIME, "last_good": _TIME, "stale_seconds": _NUMBER,
    "overdue": _FLAG, "error": _TEXT, "snapshot": _TEXT,
}  # fmt: skip
"""Columns of `feeds`."""


def passages(found: Iterable[Passage]) -> pd.DataFrame:
    """Passages as `Intel.search` and the look-ups find them, one row each, in their order.

    Columns: PASSAGES. `score` and `trust` are 0 to 1; `source` is the corpus.
    """
    return _frame((p.model_dump(include=set(PASSAGES)) for p in found), PASSAGES)


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
    return _frame(rows, INDICATORS)


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
    return _frame(rows, TECHNIQUES)


def diff(differences: Iterable[Difference]) -> pd.DataFrame:
    """What `Intel.diff` found between two snapshots, one row for each document.

    Columns: DIFF. `kind` is added, removed or changed; `before` and `after` are SHA-256 of what the document says.
    """
    return _frame((d.model_dump() for d in differences), DIFF)


def feeds(statuses: Iterable[FeedStatus]) -> pd.DataFrame:
    """How feeds stand (`Syncer.status`), one row each, in the order configured.

    Columns: FEEDS. `trust` is high, medium or low; `stale_seconds` is missing for a feed that never succeeded.
    """
    return _frame((s.model_dump() for s in statuses), FEEDS)


def _frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a frame of exactly these columns; what a row lacks is missing."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed", field="notebook", fix='pip install "aegis-soc-agents[notebook]"'
        ) from error
    known = list(rows)
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in known], dtype=dtype) for name, dtype in columns.items()}
    )
