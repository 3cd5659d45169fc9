"""Reviewing, from the offer to what acts alone because of it, and back."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.agents.earning import Earning, rule_from, rule_of
from aegis_agents.agents.offering import GENERATED, newest
from aegis_agents.errors import (
    ActionError,
    AlreadyDecided,
    IdentityError,
    InputError,
    SettingsError,
    StoreError,
    UnknownAction,
)
from aegis_agents.gate.earned.reviews import DEMOTED, GIVEN, MOST_NOTE, OFFERED, PROMOTED, SEED
from aegis_agents.gate.earned.rule import EarnRule
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import AEGIS
from tests.graph.conftest import FakeFirewall, FakeModel
from tests.graph.reviewed import EARNING, SteadyModel, action_id, alert, evidence
from tests.people import YEAR, person, token_of

FIRST = 381
CELL = "block_ip/standard"
Made = Callable[..., Aegis]


@pytest.fixture
def made(tmp_path: Path, firewall: FakeFirewall, intel_home: Any) -> Iterator[Made]:
    opened: list[Aegis] = []

    def build(rule: EarnRule | None = None, model: Any = None, **settings: Any) -> Aegis:
        asked = EARNING if rule is None else rule.model_dump()
        aegis = Aegis(
            model=model or SteadyModel(), intel=intel_home, tools=[firewall], home=tmp_path, **(asked | settings)
        )
        opened.append(aegis)
        return aegis

    yield build
    for aegis in opened:
        aegis.close()


def kinds(aegis: Aegis, kind: str) -> list[Any]:
    return list(aegis.store.entries(kind=kind, limit=10_000))


def test_what_aegis_would_have_done_is_put_before_people(made: Made) -> None:
    aegis = made()
    case = aegis.investigate(alert(1))
    (item,) = aegis.reviews(by="alice")
    assert item.incident_id == case.incident_id
    assert item.cell in (CELL, "isolate_host/standard")
    assert [i.action_id for i in aegis.reviews(by="bob")] == [item.action_id]  # still unanswered
    assert len(kinds(aegis, OFFERED)) == len(kinds(aegis, SEED)) == 1
    found = aegis.review(item.action_id, correct=True, by="alice")
    assert (found.counts, found.change, found.standing.campaigns, found.standing.open) == (True, None, 1, 0)
    (other,) = aegis.reviews(by="alice")
    assert other.cell != item.cell
    aegis.review(other.action_id, correct=True, by="alice")
    assert aegis.reviews(by="alice") == []


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_blind_shows_facts_and_nothing_of_what_aegis_thought(made: Made, share: float) -> None:
    aegis = made(EarnRule(earn="act", blind_share=share))
    case = aegis.investigate(alert(1))
    (item,) = aegis.reviews(by="alice")
    assert item.blind == bool(share)
    assert item.facts
    assert item.target.value in item.question
    told = (item.verdict, item.confidence, item.severity, item.summary, item.outcome)
    text = item.model_dump_json()
    if item.blind:
        assert told == (None,) * 5
        assert item.evidence == ()
        assert case.summary not in text
        assert "0.97" not in text
        assert "awaiting" not in text
    else:
        assert told == (case.verdict, case.confidence, case.severity, case.summary, "awaiting_approval")
        assert item.evidence == case.evidence


def test_a_campaign_is_put_before_people_once(made: Made) -> None:
    aegis = made()
    for number in range(4):
        aegis.investigate(alert(1) | {"event_id": f"copy-{number}", "hostname": f"wks-{number}"})
    items = aegis.reviews(10, by="alice")
    assert sorted(item.cell for item in items) == [CELL, "isolate_host/standard"]


def test_what_hangs_on_an_attackers_text_would_not_have_been_done(made: Made) -> None:
    aegis = made(model=FakeModel())
    aegis.investigate(alert(1))
    assert aegis.reviews(10, by="alice") == []


def test_protected_assets_and_records_are_not_reviewed(made: Made, tmp_path: Path) -> None:
    assets = tmp_path / "assets.toml"
    assets.write_text('[groups.ot]\nhosts = ["wks-*"]\nips = ["203.0.0.0/8"]\n')
    aegis = made(assets=assets)
    case = aegis.investigate(alert(1))
    assert aegis.reviews(10, by="alice") == []
    for name in ("open_ticket", "block_ip"):
        with pytest.raises(ActionError, match="earn nothing"):
            aegis.review(action_id(aegis, case, name), correct=True, by="alice")


@pytest.mark.parametrize("tenant", sorted(GENERATED))
def test_what_did_not_really_happen_is_not_reviewed(made: Made, tenant: str) -> None:
    aegis = made(tenant=tenant.upper())
    case = aegis.investigate(alert(1))
    assert aegis.reviews(10, by="alice") == []
    found = aegis.review(action_id(aegis, case), correct=False, by="alice")
    assert (found.counts, found.standing.errors) == (False, 1)


def test_what_a_person_denied_comes_first(made: Made) -> None:
    aegis = made()
    cases = [aegis.investigate(alert(number)) for number in range(6)]
    denied = action_id(aegis, cases[3])
    aegis.deny(denied, token=token_of(aegis.store, "dora"))
    assert [item.action_id for item in aegis.reviews(by="alice")] == [denied]


def test_who_had_a_hand_in_it_does_not_review_it(made: Made) -> None:
    aegis = made()
    case = aegis.investigate(alert(1))
    block = action_id(aegis, case)
    tokens = {name: token_of(aegis.store, name) for name in ("alice", "bob")}
    aegis.approve(block, token=tokens["alice"])
    with pytest.raises(IdentityError, match="somebody else"):
        aegis.review(block, correct=True, token=tokens["alice"])
    assert block not in [item.action_id for item in aegis.reviews(5, token=tokens["alice"])]
    assert block in [item.action_id for item in aegis.reviews(5, token=tokens["bob"])]
    assert aegis.review(block, correct=True, token=tokens["bob"]).counts


def test_the_lot_falls_on_what_a_person_approved_too_and_holds_the_promotion(made: Made) -> None:
    # Else somebody could approve what is hard, and be shown the rest.
    aegis = made()
    evidence(aegis, FIRST)
    alice, bob = token_of(aegis.store, "alice"), token_of(aegis.store, "bob")
    blocks = [action_id(aegis, aegis.investigate(alert(number))) for number in range(3)]
    for block in blocks[:2]:
        aegis.approve(block, token=alice)
    for _ in range(3):
        for item in aegis.reviews(9, token=alice):
            assert item.action_id not in blocks[:2]
            aegis.review(item.action_id, correct=True, token=alice)
    book = aegis._earning.book()
    assert {offer.action_id for offer in book.open_offers("fake@1")} == set(blocks[:2])
    assert book.cell("fake@1", CELL).level == "ask"
    results = [aegis.review(item.action_id, correct=True, token=bob) for item in aegis.reviews(9, token=bob)]
    assert [result.change for result in results] == [None, "act_undo"]


def test_nobody_can_keep_a_decision_out_of_the_lot(made: Made) -> None:
    aegis = made()
    block = action_id(aegis, aegis.investigate(alert(1)))
    for correct in (True, None):
        with pytest.raises(ActionError, match="not put before"):
            aegis.review(block, correct=correct, by="alice")
    assert block in {item.action_id for item in aegis.reviews(5, by="alice")}


def test_a_decision_is_wrong_once(made: Made) -> None:
    aegis = climbed(made, autonomy="act")
    case = aegis.investigate(alert(2))
    first = aegis._contradicted(case.incident_id, "benign_positive", person("carol"))
    again = aegis._contradicted(case.incident_id, "benign_positive", person("dora"))
    assert [r.change for r in first if r.cell == CELL] == ["ask"]
    assert [(r.change, r.standing.errors) for r in again if r.cell == CELL] == [(None, 0)]


def test_what_fell_asleep_is_reviewed_again(made: Made) -> None:
    aegis = climbed(made, rule=EarnRule(earn="act_undo", review_days=1e-9), autonomy="act")
    assert level(aegis) == "ask"
    block = action_id(aegis, aegis.investigate(alert(2)))
    assert block in {item.action_id for item in aegis.reviews(5, by="alice")}
    awake = made(autonomy="act")
    awake.review(block, correct=True, by="alice")
    assert level(awake) == "act_undo"


def test_what_had_no_effect_asks_again(made: Made, firewall: FakeFirewall, monkeypatch: pytest.MonkeyPatch) -> None:
    aegis = climbed(made, autonomy="act")
    monkeypatch.setattr(firewall, "read", lambda action, target: False)
    case = aegis.investigate(alert(2))
    block = aegis.store.action(action_id(aegis, case))
    assert block.state == "failed"
    (demoted,) = kinds(aegis, DEMOTED)
    assert (level(aegis), demoted.body["action_id"]) == ("ask", block.action_id)
    assert aegis._heed_failures(case.incident_id) == []


def test_only_reviewers_review_and_only_administrators_demote(made: Made) -> None:
    aegis = made()
    block = action_id(aegis, aegis.investigate(alert(1)))
    token = aegis.store.add_token("olga", ("approver", "operator"), AEGIS, valid_for=YEAR)
    for call in (
        lambda: aegis.review(block, correct=True, token=token),
        lambda: aegis.reviews(token=token),
        lambda: aegis.demote(CELL, reason="no", token=token),
    ):
        with pytest.raises(IdentityError, match="is no"):
            call()


def test_one_person_reviews_once(made: Made) -> None:
    aegis = made()
    aegis.investigate(alert(1))
    (item,) = aegis.reviews(by="alice")
    tokens = [token_of(aegis.store, name) for name in ("alice", "Alice ", "bob")]
    aegis.review(item.action_id, correct=True, token=tokens[0])
    for again in (True, False, None):
        with pytest.raises(AlreadyDecided, match=r"alice|Alice"):
            aegis.review(item.action_id, correct=again, token=tokens[1])
    second = aegis.review(item.action_id, correct=True, token=tokens[2])
    assert second.standing.campaigns == 1


def test_wrong_input_names_itself(made: Made) -> None:
    aegis = made()
    block = action_id(aegis, aegis.investigate(alert(1)))
    with pytest.raises(UnknownAction):
        aegis.review("act-0000", correct=True, by="alice")
    with pytest.raises(InputError, match="note"):
        aegis.review(block, correct=True, by="alice", note="x" * (MOST_NOTE + 1))
    with pytest.raises(InputError, match="verdict"):
        aegis.review(block, correct=True, verdict="false_positive", by="alice")
    with pytest.raises(InputError, match="no final verdict"):
        aegis.review(block, correct=True, verdict="undetermined", by="alice")
    with pytest.raises(InputError, match="limit"):
        aegis.reviews(0, by="alice")
    with pytest.raises(InputError, match="no cell"):
        aegis.demote("kill_process/standard", by="alice", reason="no")
    with pytest.raises(InputError, match="reason"):
        aegis.demote(CELL, by="alice", reason=" ")
    with pytest.raises(ActionError, match="nothing"):
        aegis.demote(CELL, by="alice", reason="never")
    with pytest.raises(SettingsError, match="earn_error"):
        rule_of(earn_error=0.5)
    with pytest.raises(SettingsError, match="earn_error_undo"):
        rule_of(earn_error=0.04)
    assert kinds(aegis, GIVEN) == []


@pytest.mark.parametrize("note", ["\x1b[2J[bold]gone[/bold]", "'; DROP TABLE ledger_entries; --", "\u202e\x00" * 50])
def test_hostile_notes_are_kept_as_text(made: Made, note: str) -> None:
    aegis = made()
    aegis.investigate(alert(1))
    (item,) = aegis.reviews(by="alice")
    aegis.review(item.action_id, correct=True, by="alice", note=note)
    assert [entry.body["note"] for entry in kinds(aegis, GIVEN)] == [note]
    aegis.store.verify()


def test_what_is_no_valid_unicode_is_written_out(made: Made) -> None:
    aegis = made()
    aegis.investigate(alert(1))
    (item,) = aegis.reviews(by="ali\udcffce")
    assert aegis.review(item.action_id, correct=True, by="ali\udcffce", note="\ud800!").counts
    (entry,) = kinds(aegis, GIVEN)
    assert (entry.body["note"], entry.body["principal"]["said"]) == ("\\ud800!", "ali\\udcffce")


def test_what_was_earned_acts_lifts_itself_and_is_lost_by_one_error(made: Made, firewall: FakeFirewall) -> None:
    aegis = made(autonomy="act")
    evidence(aegis, FIRST - 1)
    asked = aegis.investigate(alert(1))
    assert firewall.calls == []
    found = None
    for item in aegis.reviews(5, by="alice"):
        result = aegis.review(item.action_id, correct=True, verdict="true_positive", by="alice")
        found = result if item.cell == CELL else found
    assert found is not None
    assert (found.change, found.standing.level) == ("act_undo", "act_undo")
    (promoted,) = kinds(aegis, PROMOTED)
    assert found.seq in promoted.body["evidence"]
    assert (len(promoted.body["evidence"]), promoted.body["errors"]) == (FIRST, 0)

    case = aegis.investigate(alert(2))
    block = aegis.store.action(action_id(aegis, case))
    assert firewall.calls == [("block_ip", "203.2.113.9")]
    assert block.decision.inputs["autonomy.evidence"] == promoted.seq
    assert block.expires_at is not None
    assert timedelta(hours=3.9) < block.expires_at - block.created_at < timedelta(hours=4.1)
    # ... what was asked about before goes on waiting, and hosts are isolated by people still
    assert asked.incident_id in {row.incident_id for row in aegis.pending()}
    assert aegis.store.action(action_id(aegis, case, "isolate_host")).state == "awaiting"

    wrong = aegis.review(block.action_id, correct=False, by="alice", note="our own scanner")
    assert (wrong.change, wrong.standing.level, wrong.standing.attempt) == ("ask", "ask", 2)
    (demoted,) = kinds(aegis, DEMOTED)
    assert demoted.body["evidence"] == [wrong.seq]
    assert aegis.store.action(action_id(aegis, aegis.investigate(alert(3)))).state == "awaiting"
    aegis.store.verify()


def climbed(made: Made, **settings: Any) -> Aegis:
    """An Aegis whose cell is at act_undo."""
    aegis = made(**settings)
    evidence(aegis, FIRST)
    aegis.investigate(alert(17))
    for item in aegis.reviews(5, by="alice"):
        aegis.review(item.action_id, correct=True, by="alice")
    assert aegis._earning.book().cell("fake@1", CELL).level == "act_undo"
    return aegis


def level(aegis: Aegis) -> str:
    return {row.cell: row.level for row in aegis.autonomy_in_force()}[CELL]


def test_the_matrix_in_force_says_where_each_level_comes_from(made: Made, tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[isolate_host]\nstandard = "recommend"\n')
    aegis = climbed(made, autonomy="act", matrix=matrix)
    rows = {row.cell: (row.level, row.source) for row in aegis.autonomy_in_force()}
    assert rows[CELL] == ("act_undo", "earned")
    assert rows["isolate_host/standard"] == ("recommend", "configured")
    assert rows["open_ticket/standard"] == ("act", "shipped")
    assert rows["block_ip/protected"] == ("ask", "shipped")
    lowered = made(autonomy="recommend")
    assert {row.cell: row.level for row in lowered.autonomy_in_force()}[CELL] == "recommend"


def test_an_administrator_takes_it_back_at_once(made: Made) -> None:
    aegis = climbed(made, autonomy="act")
    assert level(aegis) == "act_undo"
    seq = aegis.demote(CELL, by="root", reason="change of firewall")
    assert level(aegis) == "ask"
    (entry,) = kinds(aegis, DEMOTED)
    assert (entry.seq, entry.body["cause"], entry.body["principal"]["said"]) == (seq, "admin", "root")
    with pytest.raises(ActionError, match="nothing"):
        aegis.demote(CELL, by="root", reason="again")


@pytest.mark.parametrize("source", ["undo", "confirm"])
def test_an_error_that_is_said_otherwise_demotes_too(made: Made, source: Any) -> None:
    aegis = climbed(made, autonomy="act")
    case = aegis.investigate(alert(2))
    if source == "undo":
        found = aegis._mistaken(action_id(aegis, case), "undo", person("carol"), "took the wrong one")
    else:
        assert aegis._contradicted(case.incident_id, "true_positive", person("carol")) == []
        found = next(
            r for r in aegis._contradicted(case.incident_id, "benign_positive", person("carol")) if r.cell == CELL
        )
    assert found is not None
    assert (found.change, level(aegis)) == ("ask", "ask")
    assert aegis._mistaken(action_id(aegis, case, "open_ticket"), "undo", person("carol")) is None


def test_a_promotion_outlives_the_process_and_not_the_model(made: Made) -> None:
    climbed(made, autonomy="act").close()
    assert level(made(autonomy="act")) == "act_undo"

    class NextModel(SteadyModel):
        version = "fake@2"

    assert level(made(autonomy="act", model=NextModel())) == "ask"
    assert level(made(EarnRule(earn="off"), autonomy="act")) == "ask"


def test_shadow_decisions_are_reviewed_too(made: Made) -> None:
    aegis = made(mode="shadow", autonomy="act")
    aegis.investigate(alert(1))
    items = aegis.reviews(5, by="alice")
    assert {item.cell for item in items} == {CELL, "isolate_host/standard"}
    assert all(aegis.review(item.action_id, correct=True, by="alice").counts for item in items)


def test_nothing_is_unlocked_where_earning_is_off_and_reviews_are_kept(made: Made) -> None:
    aegis = made(EarnRule(earn="off"), autonomy="act")
    evidence(aegis, FIRST)
    aegis.investigate(alert(1))
    results = [aegis.review(i.action_id, correct=True, by="alice") for i in aegis.reviews(5, by="alice")]
    assert [r.change for r in results] == [None, None]
    assert kinds(aegis, PROMOTED) == []
    standing = next(s for s in aegis.standings() if s.cell == CELL)
    assert (standing.campaigns, standing.missing, standing.level) == (FIRST + 1, 0, "ask")


def test_a_write_that_fails_leaves_nothing_behind(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    aegis = made(autonomy="act")
    evidence(aegis, FIRST)
    aegis.investigate(alert(1))
    item = next(i for i in aegis.reviews(5, by="alice") if i.cell == CELL)
    other = next(i for i in aegis.reviews(5, by="alice") if i.cell != CELL)
    aegis.review(other.action_id, correct=True, by="alice")
    real = aegis.store.append

    def failing(kind: str, *rest: Any) -> Any:
        if kind == PROMOTED:
            raise StoreError("the disk is full")
        return real(kind, *rest)

    monkeypatch.setattr(aegis.store, "append", failing)
    with pytest.raises(StoreError, match="full"):
        aegis.review(item.action_id, correct=True, by="alice")
    monkeypatch.undo()
    assert (len(kinds(aegis, GIVEN)), level(aegis)) == (FIRST + 1, "ask")
    assert aegis.review(item.action_id, correct=True, by="alice").change == "act_undo"


def test_a_ledger_that_cannot_be_understood_unlocks_nothing(made: Made) -> None:
    aegis = climbed(made, autonomy="act")
    aegis.store.append(GIVEN, None, {"answer": "maybe"})
    assert Earning(aegis.store, rule_from(aegis.settings)).now("fake@1").cells == {}


def test_two_processes_at_once_come_to_one_state(made: Made) -> None:
    one = made(autonomy="act")
    cases = [one.investigate(alert(number)) for number in range(4)]
    two = made(autonomy="act")
    failed: list[str] = []

    def work(aegis: Aegis, name: str) -> None:
        token = token_of(aegis.store, name)
        for _ in range(6):
            for item in aegis.reviews(3, token=token):
                try:
                    aegis.review(item.action_id, correct=True, token=token)
                except AlreadyDecided as error:
                    failed.append(str(error))

    threads = [threading.Thread(target=work, args=args) for args in ((one, "alice"), (two, "bob"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kinds(one, SEED)) == 1
    offered = [entry.body["action_id"] for entry in kinds(one, OFFERED)]
    assert len(offered) == len(set(offered)) == 2 * len(cases)
    books = [aegis._earning.book() for aegis in (one, two)]
    for cell in (CELL, "isolate_host/standard"):
        assert books[0].cell("fake@1", cell) == books[1].cell("fake@1", cell)
        assert books[0].cell("fake@1", cell).offered == len(cases)
    one.store.verify()


def test_the_hot_path_asks_little_of_a_ledger_with_ten_thousand_reviews(tmp_path: Path) -> None:
    from tests.gate.earned_cases import Ledger

    made = Ledger(EarnRule(earn="off"))
    for number in range(5_000):
        made.review(number, model="fake@1")
    with SqliteStore(tmp_path / "a.sqlite").transaction() as _:
        pass
    store = SqliteStore(tmp_path / "b.sqlite")
    with store.transaction():
        for line in made.lines[: 2 * FIRST]:
            store.append(line.kind, None, dict(line.body or {}))
        book = Earning(store, EarnRule(earn="act")).book()
        due = book.promotion("fake@1", CELL)
        assert due is not None
        store.append(PROMOTED, None, due.model_dump(mode="json"))
        for line in made.lines[2 * FIRST :]:
            store.append(line.kind, None, dict(line.body or {}))
    earning = Earning(store, EarnRule(earn="act"))
    assert set(earning.now("fake@1").cells) == {CELL}
    asked: list[int] = []
    plain = store.entries

    def counting(*given: Any, **named: Any) -> Any:
        found = plain(*given, **named)
        asked.append(len(found))
        return found

    store.entries = counting  # type: ignore[method-assign]
    earning.now("fake@1")
    store.close()
    assert asked == [0, 0, 0]  # one look for news of each kind, and nothing is read again


@pytest.mark.parametrize("count", [1, 3, 40])
def test_the_newest_entries_are_found_from_the_front(tmp_path: Path, count: int) -> None:
    store, rng = SqliteStore(tmp_path / "a.sqlite"), random.Random(count)
    assert newest(store, "b", count) == []
    expected = []
    with store.transaction():
        for _ in range(150):
            entry = store.append(rng.choice("ab"), None, {})
            expected += [entry.seq] if entry.kind == "b" else []
    assert [entry.seq for entry in newest(store, "b", count)] == expected[-count:]
    store.close()
