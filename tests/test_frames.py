"""Intelligence as DataFrames: the same columns and dtypes whatever comes in."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel.diff import Difference
from aegis_agents.intel.feeds.reports import FeedStatus
from aegis_agents.notebook import frames
from aegis_agents.records import Case, Passage
from aegis_agents.records.judgement import PassageEvidence
from aegis_agents.tools.indicator_report import IndicatorReport, IndicatorSource

pd = pytest.importorskip("pandas", reason="needs the notebook extra")

SEEN = dt.datetime(2026, 11, 25, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
PASSAGE = Passage(
    source="technique", id="T1059", title="Command and Scripting Interpreter", text="…", score=0.75, snapshot="a" * 32,
    technique="T1059", feed="shipped", owner="aegis", observed_at=SEEN,
)  # fmt: skip
SOURCE = IndicatorSource(
    indicator="domain:evil-c2.com", feed="one", owner="one", trust=0.6, tlp="green", title="C2", text="", cut=0,
    last_seen=SEEN, fetched_at=None, valid_until=None, current=True, counts=True, signer="",
)  # fmt: skip
REPORT = IndicatorReport(
    asked="evil-c2[.]com", kind="domain", value="evil-c2.com", status="reported", note="", established=False,
    owners=("one",), log_odds=0.0, quorum="", warnings=(), sources=(SOURCE,), left_out=0, snapshot="a" * 32,
    passages=(),
)  # fmt: skip
CASE = Case(
    incident_id="inc-1", source="generic", native_id="n", title="t", verdict="true_positive", confidence=0.9,
    severity="high", techniques=("T1059", "T1003"), actions=(), summary="", probabilities={}, versions={},
    evidence=(PassageEvidence(id="T1059", source="technique", title="Command", snapshot="b" * 32, score=0.5),),
)  # fmt: skip


def check(frame: Any, columns: Any, rows: int) -> None:
    assert list(frame.columns) == list(columns)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == dict(columns)
    assert len(frame) == rows


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_passages(rows: int) -> None:
    frame = frames.passages([PASSAGE] * rows)
    check(frame, frames.PASSAGES, rows)
    if rows:
        assert frame.loc[0, "id"] == "T1059"
        assert frame.loc[0, "score"] == 0.75
        assert frame.loc[0, "observed_at"] == pd.Timestamp("2026-11-25T11:00Z")
        assert pd.isna(frame.loc[0, "valid_until"])
        assert not frame["trust"].isna().any()


def test_indicators_have_a_row_for_each_source_and_one_for_what_nobody_reports() -> None:
    unknown = REPORT.model_copy(update={"value": "quiet.com", "status": "unknown", "sources": ()})
    warned = REPORT.model_copy(update={"warnings": ("A", "B"), "sources": (SOURCE, SOURCE)})
    frame = frames.indicators([REPORT, unknown, warned])
    check(frame, frames.INDICATORS, 4)
    assert frame["value"].tolist() == ["evil-c2.com", "quiet.com", "evil-c2.com", "evil-c2.com"]
    assert frame.loc[0, "feed"] == "one"
    assert pd.isna(frame.loc[1, "feed"])
    assert pd.isna(frame.loc[1, "current"])
    assert frame.loc[2, "warnings"] == "A; B"
    check(frames.indicators([]), frames.INDICATORS, 0)


def test_techniques_of_a_case_with_what_intelligence_said() -> None:
    frame = frames.techniques(CASE)
    check(frame, frames.TECHNIQUES, 2)
    assert frame["rank"].tolist() == [1, 2]
    assert frame.loc[0, "title"] == "Command"
    assert pd.isna(frame.loc[1, "score"])
    check(frames.techniques(CASE.model_copy(update={"techniques": ()})), frames.TECHNIQUES, 0)


def test_diff_and_feeds() -> None:
    change = Difference(kind="added", corpus="rule", id="r", title="t", feed="f", before=None, after="c" * 64)
    frame = frames.diff([change])
    check(frame, frames.DIFF, 1)
    assert pd.isna(frame.loc[0, "before"])
    check(frames.diff([]), frames.DIFF, 0)
    status = FeedStatus(
        feed="f", kind="sigma", owner="SigmaHQ", trust="medium", tlp="clear", documents=3, quarantined=0, version="1",
        last_tried=SEEN, last_good=None, stale_seconds=None, overdue=True, error="refused", snapshot="",
    )  # fmt: skip
    frame = frames.feeds([status])
    check(frame, frames.FEEDS, 1)
    assert frame.loc[0, "documents"] == 3
    assert pd.isna(frame.loc[0, "stale_seconds"])
    assert set(frames.FEEDS) == set(FeedStatus.model_fields)
    assert set(frames.DIFF) == set(Difference.model_fields)
    check(frames.feeds([]), frames.FEEDS, 0)


def test_empty_and_full_frames_can_be_put_together() -> None:
    joined = pd.concat([frames.passages([]), frames.passages([PASSAGE])], ignore_index=True)
    check(joined, frames.PASSAGES, 1)


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"aegis-soc-agents\[notebook\]"):
        frames.passages([])


def test_the_module_itself_loads_no_pandas() -> None:
    import subprocess

    code = "import sys; import aegis_agents.notebook.frames; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
