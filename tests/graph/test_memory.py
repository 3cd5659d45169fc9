"""Confirmed cases join the next decision, within bounds that flooding and an attacker's own cases can't pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_agents import Aegis
from aegis_agents.agents.recall import CONFIRMED, recall, votes
from aegis_agents.errors import InputError
from aegis_agents.intel import FinalVerdict, SimilarCase
from aegis_agents.records import Assessment, Verdict


def assessed(verdict: Verdict, **shares: float) -> Assessment:
    rest = (1 - sum(shares.values())) / (4 - len(shares))
    every: dict[Verdict, float] = {
        v: shares.get(v, rest) for v in ("true_positive", "benign_positive", "false_positive", "undetermined")
    }
    return Assessment(
        verdict=verdict, confidence=every[verdict], probabilities=every, severity="medium", weights=(), techniques=(),
        model="m", facts_read=1, facts_skipped=0,
    )  # fmt: skip


def case(verdict: FinalVerdict, likeness: float, name: str = "c") -> SimilarCase:
    return SimilarCase(
        case_id=name, verdict=verdict, title="t", dedupe_key=name, similarity=likeness, memory="memory:1"
    )


def test_a_confirmed_case_that_is_alike_decides_a_doubtful_one() -> None:
    doubtful = assessed("undetermined", true_positive=0.3, benign_positive=0.2, undetermined=0.4)
    changed, notes = recall(doubtful, [case("benign_positive", 1.0)], 2.0)
    assert changed.verdict == "benign_positive"
    assert "c (benign_positive, 1.00)" in notes[0]
    assert sum(changed.probabilities.values()) == pytest.approx(1)


def test_strength_is_a_knob_and_unlike_cases_say_nothing() -> None:
    doubtful = assessed("undetermined", true_positive=0.3, benign_positive=0.2, undetermined=0.4)
    assert recall(doubtful, [case("benign_positive", 1.0)], 0.0) == (doubtful, ())
    assert recall(doubtful, [case("benign_positive", 0.85)], 2.0) == (doubtful, ())


def test_an_attack_is_never_made_harmless_by_memory_alone() -> None:
    attack = assessed("true_positive", true_positive=0.5, benign_positive=0.3)
    flood = [case("benign_positive", 1.0, f"c{n}") for n in range(50)]
    changed, _ = recall(attack, flood, 10.0)
    assert changed.verdict == "undetermined"


def test_a_flood_adds_little_to_one_vote() -> None:
    one, many = votes([case("false_positive", 1.0)]), votes([case("false_positive", 1.0, f"c{n}") for n in range(99)])
    assert one["false_positive"] == 1.0
    assert many["false_positive"] == 1.5


def test_harmless_votes_do_not_raise_doubt_about_what_is_harmless() -> None:
    calm = assessed("false_positive", false_positive=0.4, undetermined=0.39)
    changed, _ = recall(calm, [case("benign_positive", 0.99)], 1.0)
    assert changed.verdict in ("false_positive", "benign_positive")


def test_a_persons_word_is_recorded_and_heard(tmp_path: Path) -> None:
    alert = {"title": "Odd process", "host": "wks-17", "process": {"command_line": "updater.exe /q", "signer": "none"}}
    with Aegis(home=tmp_path, mode="shadow", memory_strength=10) as aegis:
        first = aegis.investigate(alert)
        other: FinalVerdict = "true_positive" if first.verdict != "true_positive" else "false_positive"
        aegis.confirm(first.incident_id, other, by="alice")
        again = aegis.investigate(alert | {"host": "wks-18"})
        assert again.verdict != first.verdict
        assert any("confirmed cases changed the verdict" in note for note in again.notes)
        (entry,) = [e for e in aegis.store.entries() if e.kind == CONFIRMED]
        assert entry.body["by"] == "alice"
        assert entry.body["verdict"] == other
        with pytest.raises(InputError, match="final verdict"):
            aegis.confirm(first.incident_id, "undetermined", by="alice")  # type: ignore[arg-type]
        assert entry.body["principal"]["id"].startswith("os_account:")
