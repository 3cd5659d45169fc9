"""Writers whom the shipped model has not met: who they are, and how their shares are put together."""

from __future__ import annotations

import pytest

pytest.importorskip("pydantic_evals", reason="needs the eval extra")

from aegis_agents.evaluation.suites import minimal_pairs, tell
from aegis_agents.training.alerts.situations import load_situations
from tests.evals.conftest import FakeModel


def test_only_writers_from_the_number_on_are_asked_about() -> None:
    from evals.unseen_writers import unmet

    assert set(unmet(198)) - set(unmet(199)) == {"w198"}
    assert unmet(10_000) == {}


def test_each_alert_is_judged_once_and_pairs_are_not_counted_twice() -> None:
    from evals.unseen_writers import figures

    class Counting(FakeModel):
        judged = 0

        def assess(self, incident, *, masked=frozenset()):  # type: ignore[no-untyped-def]
            self.judged += 1
            return super().assess(incident, masked=masked)

    told = [tell(*next(iter(load_situations())))]
    model = Counting()
    found = figures(model, told)  # type: ignore[arg-type]
    assert model.judged == found["alerts"] == len(told[0][2])
    assert found["undetermined called so"]["share"] == 1.0, "the fake knows nothing and says so"
    pairs = {c.metadata.pair for c in minimal_pairs(among=told).cases if c.metadata}
    assert found["minimal pairs, both right"] == {"share": 0.0, "k": 0, "n": len(pairs), **_wilson(len(pairs))}


def _wilson(n: int) -> dict[str, float]:
    from evals.counting import Share

    low, high = Share(0, n).interval
    return {"low": round(low, 4), "high": round(high, 4)}


def test_a_writer_counts_once_however_much_was_written() -> None:
    from evals.unseen_writers import over_writers, to_markdown

    of = [{"detection": {"k": 9, "n": 10}}, {"detection": {"k": 0, "n": 1000}}, {"detection": {"k": 0, "n": 0}}]
    shares = over_writers(of)
    assert (shares["detection"]["k"], shares["detection"]["n"]) == (9, 1010)
    assert shares["detection"]["over writers"]["mean"] == pytest.approx(0.45)
    text = to_markdown({"model": "m", "alerts": 1, "situations": 1, "writers": 3, "shares": shares})
    assert "| detection | 0.009 (9/1010) | 0.450 |" in text
    none = {"detection": {"k": 0, "n": 10, "over writers": {"mean": 0.0, "low": 0.0, "high": 0.0}}}
    alike = to_markdown({"model": "m", "alerts": 1, "situations": 1, "writers": 3, "shares": none})
    assert "| detection | 0.000 (0/10) | 0.000 | none: all alike |" in alike, (
        "a bootstrap of what is alike says nothing"
    )
    assert "rejection" not in text, "of nothing nothing is said"
