"""Autonomy falls back at once in every process that shares the store, and comes back by an admin alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.agents.caution import FELL_BACK, RESUMED, Cautious, fell_back, lifted
from aegis_agents.errors import ActionError, IdentityError, InputError, StoreError
from aegis_agents.ledger.sqlite import SqliteStore
from aegis_agents.monitor import fall_back, fallen, resume
from aegis_agents.monitor.reading import lifted_unread
from aegis_agents.monitor.state import State
from aegis_agents.records import AEGIS
from tests.graph.conftest import FakeFirewall, SureModel
from tests.graph.reviewed import alert
from tests.monitor.watched import OPEN, cautious
from tests.people import YEAR, person


def toml(folder: Path) -> dict[str, Any]:
    matrix = folder / "matrix.toml"
    matrix.write_text('[block_ip]\nstandard = "act"\n', "utf-8")
    return {"matrix": matrix, "risk": OPEN["risk"]}


def rule_of(aegis: Aegis, number: int) -> tuple[str, str]:
    case = aegis.investigate(alert(number))
    block = next(a for a in case.actions if a.action == "block_ip")
    return block.outcome, block.rule


def test_it_asks_at_once_in_another_process_and_acts_again_when_it_is_lifted(
    make: Callable[..., Aegis], tmp_path: Path, firewall: FakeFirewall
) -> None:
    here, there = (cautious(make(model=SureModel(), **toml(tmp_path))) for _ in range(2))
    assert rule_of(there, 1)[0] == "executed"
    entry = fall_back(here.store, "drift.sources", "sources changed", figures={"stake": 200.0})
    assert rule_of(there, 2) == ("awaiting_approval", "caution.fell_back")
    waiting = next(row for row in there.pending() if row.decision.rule == "caution.fell_back")
    assert "sources changed" in waiting.decision.reason
    assert there.approve(waiting.action_id, by="ann").outcome == "executed"
    resume(here.store, here.settings, reason="a new product was connected", by="ann")
    assert rule_of(there, 3)[0] == "executed"
    lift = here.store.entries(kind=RESUMED)[0].body
    assert lift is not None
    assert (lift["entries"], lift["causes"][0]["cause"]) == ([entry], "drift.sources")
    assert lift["principal"]["said"] == "ann"


def test_it_falls_between_the_decision_and_the_writers_lock(
    make: Callable[..., Aegis], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aegis_agents.agents import approval

    aegis = cautious(make(model=SureModel(), **toml(tmp_path)))
    decide, done = approval._decide_all, [False]

    def late(*args: Any) -> Any:
        found = decide(*args)
        if not done[0]:
            done[0] = True
            fall_back(aegis.store, "canary.failed", "just now")
        return found

    monkeypatch.setattr(approval, "_decide_all", late)
    assert rule_of(aegis, 1) == ("awaiting_approval", "caution.fell_back")


def test_another_model_does_not_lift_it(make: Callable[..., Aegis], tmp_path: Path) -> None:
    class Next(SureModel):
        version = "fake@2"

    fall_back(make().store, "calibration", "too sure")
    assert rule_of(cautious(make(model=Next(), **toml(tmp_path))), 1)[1] == "caution.fell_back"


def test_the_same_falls_back_once_and_another_scope_beside_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    assert fall_back(store, "agreement.source:okta", "x", scope="source", of="okta") is not None
    assert fall_back(store, "agreement.source:okta", "x", scope="source", of="okta") is None
    assert fall_back(store, "probing", "x", scope="cluster", of="okta", like="ab") is not None
    assert len(fallen(store).fallen) == 2
    store.close()


def test_eight_workers_that_find_it_at_once_write_it_once(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "a.sqlite").close()

    def worker(_: int) -> int | None:
        store = SqliteStore(tmp_path / "a.sqlite")
        try:
            return fall_back(store, "drift.words", "x")
        finally:
            store.close()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(worker, range(8)))
    assert len([entry for entry in found if entry is not None]) == 1


def test_only_an_admin_with_a_reason_lifts_it(make: Callable[..., Aegis]) -> None:
    aegis = make(require_token=True)
    tokens = {role: aegis.store.add_token(role, [role], AEGIS, valid_for=YEAR) for role in ("operator", "admin")}
    fall_back(aegis.store, "drift.words", "x")
    with pytest.raises(IdentityError, match="no admin"):
        resume(aegis.store, aegis.settings, reason="fine", token=tokens["operator"])
    with pytest.raises(IdentityError, match="token"):
        resume(aegis.store, aegis.settings, reason="fine")
    with pytest.raises(InputError, match="reason"):
        resume(aegis.store, aegis.settings, reason="  ", token=tokens["admin"])
    with pytest.raises(InputError, match="at most"):
        resume(aegis.store, aegis.settings, reason="x" * 3000, token=tokens["admin"])
    with pytest.raises(ActionError, match="entry 4711"):
        resume(aegis.store, aegis.settings, reason="fine", entries=[4711], token=tokens["admin"])
    assert fallen(aegis.store).fallen
    resume(aegis.store, aegis.settings, reason="lone \ud800 surrogate", token=tokens["admin"])
    assert not fallen(aegis.store).fallen
    with pytest.raises(ActionError, match="nothing has fallen back"):
        resume(aegis.store, aegis.settings, reason="fine", token=tokens["admin"])


def test_what_can_t_be_read_is_caution_for_all_until_it_is_named(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    reading = Cautious(store)
    bad = store.append(FELL_BACK, None, {"scope": "nowhere", "reason": 7}).seq
    assert [(f.entry, f.scope) for f in reading.now().fallen] == [(bad, "all")]
    for body in ({}, {"entries": "all"}, {"entries": [True, "1", None, bad + 99]}, {"entries": {"1": 1}}):
        store.append(RESUMED, None, body)
        assert reading.now().fallen
    store.append(RESUMED, None, {"entries": [bad]})
    assert not reading.now().fallen
    store.close()


def test_an_entry_whose_body_retention_removed_is_caution(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    entry = store.append(FELL_BACK, None, {"scope": "source", "of": "okta"})
    gone = entry.model_copy(update={"body": None, "salt": None})
    assert fell_back(gone).scope == "all"
    assert list(lifted([gone])) == []
    store.close()


def test_a_store_that_can_t_be_asked_is_caution(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    reading = Cautious(store)
    assert not reading.now().unreadable

    def away(*args: Any, **named: Any) -> Any:
        raise StoreError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(store, "entries", away)
        assert "away" in reading.now().unreadable
    assert not reading.now().unreadable
    store.close()


def test_an_entry_written_while_the_other_kind_is_read_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    reading, first = Cautious(store), fall_back(store, "drift.words", "one")
    assert reading.now().fallen
    entries = store.entries

    def between(*args: Any, **named: Any) -> Any:
        if named.get("kind") == RESUMED and named["after"] == 0:
            monkeypatch.setattr(store, "entries", entries)
            fall_back(store, "drift.sources", "two")
            store.append(RESUMED, None, {"entries": [first]})
        return entries(*args, **named)

    monkeypatch.setattr(store, "entries", between)
    reading.now()
    assert [f.cause for f in reading.now().fallen] == ["drift.sources"]
    store.close()


def test_while_nothing_is_new_one_query_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    reading, asked, entries = Cautious(store), list[Any](), store.entries
    monkeypatch.setattr(store, "entries", lambda *a, **n: asked.append(n["kind"]) or entries(*a, **n))
    reading.now()
    assert asked == [FELL_BACK]
    fall_back(store, "drift.words", "one")
    reading.now()
    asked.clear()
    reading.now()
    assert asked == [FELL_BACK, RESUMED]
    assert person("ann").person == "ann"
    store.close()


def test_only_what_a_person_named_counts_as_lifted(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    other = store.append("something.else", None, {}).seq
    fell = fall_back(store, "drift.words", "x")
    store.append(RESUMED, None, {"entries": [other]})
    assert lifted_unread(store, State()) == []
    store.append(RESUMED, None, {"entries": [fell]})
    assert [one.cause for one in lifted_unread(store, State())] == ["drift.words"]
    store.close()
