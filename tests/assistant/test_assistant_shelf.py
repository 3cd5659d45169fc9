"""The shelf: bounded, forgetting what retention removed, and ids of feeds that pass for none of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources

from aegis_agents import Aegis
from aegis_agents.assistant import Assistant
from aegis_agents.assistant.excerpts import sentences
from aegis_agents.assistant.found import cite_passage
from aegis_agents.assistant.reading import ReadOnly
from aegis_agents.assistant.shelf import Named, Shelf
from aegis_agents.records import AEGIS, Passage

Make = Callable[..., Aegis]


def alert(number: int) -> dict[str, str]:
    return {"event_id": f"s-{number}", "title": f"Odd {number}", "hostname": f"WKS-{number}", "user_name": "bob"}


def test_the_oldest_leave_a_full_shelf_with_their_names(make: Make) -> None:
    aegis = make()
    for number in range(4):
        aegis.investigate(alert(number))
    shelf = Shelf(ReadOnly(aegis.store), most=3)
    assert [c.title for c in shelf.cards()] == ["Odd 3", "Odd 2", "Odd 1"]
    assert shelf.cut
    aegis.investigate(alert(4))
    assert [c.title for c in shelf.cards()] == ["Odd 4", "Odd 3", "Odd 2"]
    assert shelf.named("wks-1") == []
    assert shelf.named("bob") == [Named("user", "bob")]


def test_what_retention_removed_is_gone_from_the_shelf(make: Make) -> None:
    aegis = make()
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    case = aegis.investigate(json.loads((folder / "3_wrong_detection.json").read_text("utf-8")))
    asked = Assistant(aegis.context)
    assert "Log4j" in asked.ask("show all cases").text
    for row in aegis.store.actions(case.incident_id):  # what is open keeps its alert
        aegis.deny(row.action_id)
    aegis.store.prune(datetime.now(UTC), AEGIS)
    assert aegis.store.forgotten()  # so that it can fail
    answer = asked.ask("show all cases")
    assert "Log4j" not in answer.text
    assert not answer.cites
    assert not Assistant(aegis.context).ask("anything about 10.44.9.80?").cites


def test_a_feed_s_passage_can_not_pass_for_a_fact_an_action_or_a_case() -> None:
    for id in ("f1", "d2", "act-0123456789abcdef", "inc-00", "ledger:9"):
        passage = Passage(source="document", id=id, title="t", text="x", score=1, snapshot="s")
        assert cite_passage(passage).id == f"document:{id}"


def test_a_passage_made_to_be_slow_is_read_in_no_time() -> None:
    for seed in ("A. ", "(Citation: ", "[x](http://", "e.g. "):
        passage = Passage(source="document", id="d", title="t", text=seed * 7_000, score=1, snapshot="s")
        started = time.thread_time()
        sentences(passage)
        assert time.thread_time() - started < 0.5
