"""The book: what entries add up to, in any process, and what never promotes."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aegis_agents.errors import LedgerError
from aegis_agents.gate.earned.book import Book
from aegis_agents.gate.earned.cells import CELLS, MOST_EARNED
from aegis_agents.gate.earned.reviews import DEMOTED, GIVEN, OFFERED, PROMOTED, SEED
from aegis_agents.gate.earned.rule import THRESHOLDS, VOTES_A_DAY, EarnRule
from aegis_agents.gate.earned.sampling import is_blind, lot
from aegis_agents.records import CATALOGUE
from tests.gate.earned_cases import ALICE, BOB, CELL, MODEL, OPEN, START, Ledger, Line, replayed

FIRST, SECOND = 381, 764
"""Campaigns without an error until act_undo, and from there until act."""


def climbed(count: int = FIRST, rule: EarnRule = OPEN) -> Ledger:
    ledger = Ledger(rule)
    for number in range(count):
        ledger.review(number)
    return ledger


@pytest.fixture(scope="module")
def promoted() -> list[Line]:
    """A cell at act_undo; copied by those who go on from it."""
    return climbed().lines


def resumed(lines: list[Line], rule: EarnRule = OPEN) -> Ledger:
    ledger = Ledger(rule)
    ledger.lines, ledger.book = list(lines), replayed(lines, rule)
    return ledger


def test_levels_are_earned_one_at_a_time_each_with_evidence_of_its_own(promoted: list[Line]) -> None:
    ledger = resumed(promoted[:-1])
    assert (promoted[-1].kind, ledger.level()) == (PROMOTED, "ask")
    ledger = resumed(promoted)
    assert ledger.level() == "act_undo"
    body = promoted[-1].body
    assert body is not None
    assert (body["campaigns"], body["errors"], body["threshold"], len(body["evidence"])) == (FIRST, 0, 0.9, FIRST)
    assert body["bound"] <= 0.02
    for number in range(FIRST, FIRST + SECOND - 1):
        ledger.review(number)
    assert ledger.level() == "act_undo"
    ledger.review(FIRST + SECOND)
    assert ledger.level() == "act"


def test_what_a_person_was_asked_about_says_nothing_of_acting(promoted: list[Line]) -> None:
    ledger = resumed(promoted)
    for number in range(FIRST, FIRST + 50):
        ledger.review(number, under=None)
    assert ledger.book.standing(MODEL, CELL, START).campaigns == 0


def test_an_error_demotes_at_once_and_all_is_to_be_shown_anew(promoted: list[Line]) -> None:
    ledger = resumed(promoted)
    ledger.review(FIRST, "wrong")
    assert (ledger.level(), ledger.changes) == ("ask", ["ask"])
    assert ledger.book.earned(MODEL, START).cells == {}
    standing = ledger.book.standing(MODEL, CELL, START)
    assert (standing.campaigns, standing.attempt) == (0, 2)
    assert standing.missing > FIRST  # the next try has a fifth of the doubt
    # ... also where the process died before it wrote that it demoted
    assert replayed(ledger.lines[:-1]).cell(MODEL, CELL).level == "ask"
    assert ledger.lines[-1].kind == DEMOTED


def test_an_error_while_asking_is_not_forgotten() -> None:
    ledger = Ledger()
    ledger.review(0, "wrong")
    for number in range(1, FIRST + 100):
        ledger.review(number)
    assert ledger.level() == "ask"
    assert ledger.book.standing(MODEL, CELL, START).errors == 1
    for number in range(FIRST + 100, 600):
        ledger.review(number)
    assert ledger.level() == "act_undo"  # 592 campaigns with one error


@pytest.mark.parametrize(("answer", "level"), [("unclear", "act_undo"), ("wrong", "ask")])
def test_unclear_counts_against_and_demotes_nothing(promoted: list[Line], answer: Any, level: str) -> None:
    ledger = resumed(promoted)
    ledger.review(FIRST, answer)
    assert ledger.level() == level
    if answer == "unclear":
        assert ledger.book.standing(MODEL, CELL, START).errors == 1


def test_wrong_below_the_threshold_is_no_error_of_what_acts() -> None:
    ledger = Ledger()
    for number in range(FIRST):
        ledger.review(number, acts_at=0.9 if number % 2 else 0.8)
    assert ledger.book.cell(MODEL, CELL).threshold == 0.8
    ledger.review(FIRST, "wrong", acts_at=0.7, under=None)
    assert ledger.level() == "act_undo"
    ledger.review(FIRST + 1, "wrong", acts_at=0.8, under=None)
    assert ledger.level() == "ask"


def test_the_threshold_is_one_at_which_decisions_were_seen() -> None:
    ledger = Ledger()
    for number in range(FIRST + 30):
        low = number % 10 == 0
        ledger.review(number, "unclear" if low else "right", acts_at=0.7 if low else 0.8)
        if ledger.level() != "ask":
            break
    assert (ledger.level(), ledger.book.cell(MODEL, CELL).threshold) in {("ask", 0.0), ("act_undo", 0.8)}
    for number in range(FIRST + 30, FIRST + 60):
        ledger.review(number, acts_at=0.8)
    assert (ledger.level(), ledger.book.cell(MODEL, CELL).threshold) == ("act_undo", 0.8)


def test_copies_are_one_vote() -> None:
    ledger = Ledger()
    for number in range(2 * FIRST):
        ledger.review(number, links=(f"campaign-{number // 2}",))
    assert ledger.level() == "act_undo"
    assert ledger.book.standing(MODEL, CELL, START).evidence == next(
        line.seq for line in ledger.lines if line.kind == PROMOTED
    )
    before = [line for line in ledger.lines if line.kind == GIVEN and line.seq < (ledger.lines[-1].seq)]
    assert len(before) > 2 * FIRST - 3  # not one sooner than half of them


def test_the_same_person_twice_is_one() -> None:
    ledger = Ledger()
    offers = [ledger.offer(number) for number in range(FIRST - 1)]
    for offer in offers * 2:
        ledger.give(offer)
    assert ledger.level() == "ask"
    assert ledger.book.standing(MODEL, CELL, START).campaigns == FIRST - 1


def test_what_nobody_put_before_people_speaks_against_alone() -> None:
    ledger = Ledger()
    for number in range(FIRST):
        offer = ledger.offer(number, action_id=f"other-{number}")
        ledger.give(offer.model_copy(update={"action_id": f"mine-{number}"}), offered=False)
    assert ledger.book.standing(MODEL, CELL, START).campaigns == 0
    ledger.give(offer.model_copy(update={"action_id": "mine"}), "wrong", offered=False)
    assert ledger.book.standing(MODEL, CELL, START).errors == 1
    ledger.give(offer.model_copy(update={"action_id": "mine"}), "wrong", offered=False, person=BOB)
    assert ledger.book.standing(MODEL, CELL, START).errors == 1


def test_a_claim_to_have_been_offered_is_checked() -> None:
    ledger = Ledger()
    offer = ledger.offer(0)
    for changes in (
        {"action_id": "forged"},
        {"acts_at": 0.8},
        {"links": ("other",)},
        {"blind": False},
        {"cell": CELLS[3]},
    ):
        with pytest.raises(LedgerError, match="offer"):
            ledger.give(offer.model_copy(update=changes))


def test_generated_data_unlocks_nothing_and_can_show_an_error(promoted: list[Line]) -> None:
    ledger = Ledger()
    for number in range(FIRST + 20):
        ledger.give(ledger.offer(number), generated=True)
    assert ledger.book.standing(MODEL, CELL, START).campaigns == 0
    acting = resumed(promoted)
    acting.give(acting.offer(FIRST), "wrong", generated=True)
    assert acting.level() == "ask"


@pytest.mark.parametrize("changes", [{"source": "undo"}, {"source": "confirm"}, {"person": "aegis"}])
def test_only_reviews_by_people_speak_in_favour(changes: dict[str, Any]) -> None:
    ledger = Ledger()
    for number in range(30):
        ledger.give(ledger.offer(number), **changes)
    assert ledger.book.standing(MODEL, CELL, START).campaigns == 0


def test_an_offer_that_nobody_answered_holds_the_promotion_back() -> None:
    ledger = Ledger()
    hard = ledger.offer(10_000)
    for number in range(FIRST + 20):
        ledger.review(number)
    assert ledger.level() == "ask"
    assert ledger.book.standing(MODEL, CELL, START).open == 1
    ledger.give(hard, person=BOB)
    assert ledger.level() == "act_undo"


def test_a_share_must_be_blind() -> None:
    ledger = Ledger()
    for number in range(FIRST):
        ledger.review(number, blind=False)
    standing = ledger.book.standing(MODEL, CELL, START)
    assert (ledger.level(), standing.missing, standing.missing_blind) == ("ask", 0, 115)
    for number in range(FIRST, FIRST + 200):
        ledger.review(number)
        if ledger.level() != "ask":
            break
    assert number - FIRST + 1 >= 0.3 * (number + 1)
    plain = climbed_with(blind=False, rule=EarnRule(earn="act", blind_share=0.0))
    assert plain.level() == "act_undo"


def climbed_with(rule: EarnRule, **changes: Any) -> Ledger:
    ledger = Ledger(rule)
    for number in range(FIRST):
        ledger.review(number, **changes)
    return ledger


def test_a_flood_of_one_day_earns_nothing() -> None:
    ledger = Ledger()
    for number in range(FIRST + 20):
        ledger.review(number, decided_at=START)
    standing = ledger.book.standing(MODEL, CELL, START)
    assert (ledger.level(), standing.campaigns) == ("ask", VOTES_A_DAY)
    assert standing.held_back == FIRST + 20 - VOTES_A_DAY


def test_another_model_begins_anew_and_the_old_one_keeps_what_it_showed(promoted: list[Line]) -> None:
    book = replayed(promoted)
    now = START + timedelta(days=20)
    assert set(book.earned(MODEL, now).cells) == {CELL}
    assert book.earned("model@2", now).cells == {}
    ledger = resumed(promoted)
    ledger.review(FIRST, "wrong", model="model@2")
    assert ledger.level() == "act_undo"


def test_no_review_for_long_and_it_asks_until_there_is_one(promoted: list[Line]) -> None:
    book = replayed(promoted)
    last = START + timedelta(days=FIRST // 20)
    for days, cells in ((29, {CELL}), (31, set())):
        assert set(book.earned(MODEL, last + timedelta(days=days)).cells) == cells
    assert book.standing(MODEL, CELL, last + timedelta(days=31)).asleep
    ledger = resumed(promoted)
    later = last + timedelta(days=40)
    ledger.review(FIRST, decided_at=later, under=None)
    assert set(ledger.book.earned(MODEL, later).cells) == {CELL}


def test_a_clock_that_jumps_keeps_nothing_awake(promoted: list[Line]) -> None:
    """Set back, a clock makes old reviews young; run ahead for one review, it would make them young for years."""
    ledger = resumed(promoted)
    last = START + timedelta(days=FIRST // 20)
    assert ledger.book.earned(MODEL, last - timedelta(days=2)).cells == {}
    assert ledger.book.earned(MODEL, last - timedelta(minutes=30)).cells  # machines' clocks differ a little
    ahead = last + timedelta(days=2000)
    ledger.review(FIRST, decided_at=ahead, under=None)
    assert ledger.book.earned(MODEL, last + timedelta(days=50)).cells == {}
    ledger.review(FIRST + 1, decided_at=last + timedelta(days=50), under=None)
    assert ledger.book.earned(MODEL, last + timedelta(days=50)).cells
    assert ledger.book.earned(MODEL, last + timedelta(days=90)).cells == {}


@pytest.mark.parametrize("earn", ["off", "act_undo", "act"])
def test_the_ceiling_of_earning(earn: Any) -> None:
    rule = EarnRule(earn=earn)
    ledger = climbed(FIRST + SECOND + 1, rule)
    assert ledger.level() == {"off": "ask"}.get(earn, earn)
    found = ledger.book.earned(MODEL, START + timedelta(days=60)).cells
    assert {name: cell.level for name, cell in found.items()} == ({} if earn == "off" else {CELL: earn})
    lowered = replayed(ledger.lines, EarnRule(earn="act_undo")).earned(MODEL, START + timedelta(days=60))
    assert all(cell.level == "act_undo" for cell in lowered.cells.values())


def test_closing_alerts_is_never_earned_for_good() -> None:
    ledger = Ledger()
    for number in range(FIRST + SECOND + 5):
        ledger.review(number, cell="close_alert/standard")
    assert ledger.level("close_alert/standard") == "act_undo"
    assert ledger.book.standing(MODEL, "close_alert/standard", START).next is None


def test_what_can_be_earned_can_be_taken_back() -> None:
    assert len(CELLS) == 18
    for name in MOST_EARNED:
        spec = next(s for s in CATALOGUE.values() if s.name == name)
        assert spec.reversible
        assert spec.effect != "destroy"
    assert not any(cell.endswith("/protected") for cell in CELLS)


def test_a_promotion_that_the_reviews_do_not_bear_out_is_not_believed(promoted: list[Line]) -> None:
    body = promoted[-1].body
    assert body is not None
    forged = Ledger()
    forged.append(PROMOTED, body)
    assert forged.level() == "ask"
    assert forged.book.standing(MODEL, CELL, START).doubted == 1
    skipped = resumed(promoted[:-1])
    skipped.append(PROMOTED, {**body, "level": "act"})
    assert skipped.level() == "ask"
    for changes in ({"threshold": 0.5}, {"cell": "kill_process/standard"}, {"cell": "block_ip/protected"}):
        again = resumed(promoted[:-1])
        again.append(PROMOTED, {**body, **changes})
        assert again.book.earned(MODEL, START).cells == {}


@pytest.mark.parametrize("rule", [EarnRule(earn="act", earn_doubt=0.01), EarnRule(earn="act", earn_error_undo=0.015)])
def test_a_stricter_rule_takes_back_what_does_not_satisfy_it(promoted: list[Line], rule: EarnRule) -> None:
    assert replayed(promoted, rule).cell(MODEL, CELL).level == "ask"


def test_an_administrator_demotes(promoted: list[Line]) -> None:
    ledger = resumed(promoted)
    ledger.append(DEMOTED, {"cell": CELL, "model": None, "cause": "admin"})
    assert ledger.level() == "ask"
    attempt = ledger.book.cell(MODEL, CELL).attempt
    ledger.append(DEMOTED, {"cell": CELL, "model": None, "cause": "admin"})
    assert (
        ledger.book.cell(MODEL, CELL).attempt == attempt
    )  # at ask there is nothing to begin anew: no way to lose errors


def test_demoting_does_not_wash_errors_away_while_asking() -> None:
    ledger = Ledger()
    ledger.review(0, "wrong")
    ledger.append(DEMOTED, {"cell": CELL, "model": None, "cause": "admin"})
    assert ledger.book.standing(MODEL, CELL, START).errors == 1


def test_an_entry_that_cannot_be_read_is_an_error() -> None:
    for kind, body in (
        (GIVEN, {"cell": CELL}), (GIVEN, None), (OFFERED, {}), (PROMOTED, {"level": "act"}), (DEMOTED, {}), (SEED, {}),
        (GIVEN, {"answer": "right", "acts_at": float("nan")}),
    ):  # fmt: skip
        with pytest.raises(LedgerError, match="entry 1"):
            Book(OPEN).add(Line(1, START.isoformat(), kind, body))
    Book(OPEN).add(Line(1, START.isoformat(), "action.decided", None))  # none of ours


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_every_process_finds_the_same(data: st.DataObject) -> None:
    # Evidence is cheap here, so that drawn sequences reach promotions and demotions.
    rule = EarnRule(earn="act", earn_error=0.05, earn_error_undo=0.05, blind_share=0.1)
    ledger, rng = Ledger(rule), random.Random(data.draw(st.integers(0, 10**6)))
    for number in range(rng.randrange(400)):
        answer = rng.choices(("right", "wrong", "unclear"), (0.985, 0.01, 0.005))[0]
        offer = ledger.offer(
            number, links=(f"l{rng.randrange(2 * number + 2)}",), acts_at=rng.choice((0.0, *THRESHOLDS, 0.9, 0.9)),
            blind=rng.random() < 0.4,
        )  # fmt: skip
        if rng.random() < 0.99:
            ledger.give(offer, answer, person=rng.choice((ALICE, BOB)))
    cut = rng.randrange(len(ledger.lines) + 1)
    other = replayed(ledger.lines[:cut], rule)
    for line in ledger.lines[max(0, cut - 20) :]:  # read in two goes that overlap
        other.add(line)
    assert other.cell(MODEL, CELL) == ledger.book.cell(MODEL, CELL)
    assert other.standing(MODEL, CELL, START) == ledger.book.standing(MODEL, CELL, START)


@pytest.mark.parametrize(
    "wrong",
    [{"earn": "always"}, {"earn_error": 0.0}, {"earn_error": 0.2}, {"earn_doubt": 0.5}, {"blind_share": 1.5},
     {"review_days": 0}, {"review_days": float("inf")}, {"review_days": float("nan")}, {"review_days": 1e12},
     {"blind_share": float("nan")}, {"earn_error": 1e-320}, {"earn_doubt": 1e-300}, {"earn_error": 0.04, "earn_error_undo": 0.01}],
)  # fmt: skip
def test_wrong_rules(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"earn|blind|review"):
        EarnRule(**wrong)


def test_the_lot_can_be_drawn_again_and_not_be_guessed() -> None:
    drawn = [lot("seed", f"act-{n}", "order") for n in range(2000)]
    assert drawn == [lot("seed", f"act-{n}", "order") for n in range(2000)]
    assert 0.45 < sum(drawn) / 2000 < 0.55
    assert drawn != [lot("other", f"act-{n}", "order") for n in range(2000)]
    assert drawn != [lot("seed", f"act-{n}", "blind") for n in range(2000)]


@given(st.floats(0, 1), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_the_blind_are_never_fewer_than_their_share(share: float, seed: int) -> None:
    blind = 0
    for number in range(60):
        blind += is_blind(str(seed), f"act-{number}", share, blind, number)
        assert blind >= share * (number + 1) - 1e-9
