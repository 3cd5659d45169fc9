"""Ledger, autonomy, timers and intelligence over HTTP, as the library says them."""

from __future__ import annotations

import sqlite3
from typing import Any

from aegis_agents.assistant.records import Event
from tests.server.conftest import ATTACK, Rig


def test_the_ledger_is_paged_and_filtered(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    case = ana.post("/v1/incidents", json=ATTACK).json()
    found: list[Any] = []
    after = 0
    while True:
        page = ana.get("/v1/ledger", params={"after": after, "limit": 5}).json()
        found += page["items"]
        if page["next"] is None:
            break
        after = page["next"]
    seqs = [e["seq"] for e in found]
    assert seqs == list(range(1, len(seqs) + 1))
    own = ana.get("/v1/ledger", params={"incident": case["incident_id"], "limit": 1000}).json()["items"]
    assert {e["incident_id"] for e in own} == {case["incident_id"]}
    kinds = ana.get("/v1/ledger", params={"kind": "intake.admitted"}).json()["items"]
    assert [e["kind"] for e in kinds] == ["intake.admitted"]
    assert kinds[0]["body"]["native_id"] == "a-1"


def test_the_ledger_is_checked(rig: Rig) -> None:
    viewer = rig.person("v", "viewer")
    rig.aegis.investigate(ATTACK)
    found = viewer.get("/v1/ledger/verify").json()
    assert found["intact"] is True
    assert found["entries"] >= 3
    with sqlite3.connect(rig.aegis.settings.home / "aegis.sqlite") as db:
        db.execute("DROP TRIGGER ledger_no_update")
        db.execute("UPDATE ledger_entries SET at = '2020-01-01' WHERE seq = 2")
    db.close()
    broken = viewer.get("/v1/ledger/verify").json()
    assert broken["intact"] is False
    assert "ledger" in broken["error"] or "entry 2" in broken["error"]


def test_autonomy_is_as_the_library_says(rig: Rig) -> None:
    found = rig.person("v", "viewer").get("/v1/autonomy").json()
    assert found["cells"] == [row.model_dump(mode="json") for row in rig.aegis.autonomy_in_force()]
    assert (found["mode"], found["earn"]) == ("live", "off")
    assert {s["level"] for s in found["standings"]} == {"ask"}


def test_intelligence_says_how_fresh_it_is_and_what_it_knows(rig: Rig) -> None:
    viewer = rig.person("v", "viewer")
    status = viewer.get("/v1/intel/status").json()
    assert status["snapshot"] == rig.aegis.context.intel.snapshot_id  # type: ignore[union-attr]
    assert sum(status["corpora"]["technique"].values()) > 100
    found = viewer.get("/v1/intel/search", params={"q": "T1003.001", "k": 2}).json()["items"]
    assert found[0]["id"].startswith("T1003.001")
    assert viewer.get("/v1/intel/search").status_code == 422
    assert viewer.get("/v1/intel/search", params={"q": "  "}).status_code == 422


def test_questions_are_answered_by_the_library_or_said_not_to_be(rig: Rig) -> None:
    ana = rig.person("ana", "analyst")
    asked: list[Any] = []

    class Said:
        def to_dict(self) -> dict[str, Any]:
            return {"text": "because", "cites": [{"id": "f1"}]}

    def ask(question: str, case: str | None = None, *, thread: str | None = None) -> Said:
        asked.append((question, case, thread))
        return Said()

    rig.aegis.ask = ask  # type: ignore[attr-defined, method-assign, unused-ignore]
    parts = [Event(kind="token", text="because"), Event(kind="cite", cite=None)]
    rig.aegis.ask_stream = lambda q, c=None, *, thread=None: iter(parts)  # type: ignore[attr-defined, method-assign, unused-ignore]
    assert ana.post("/v1/ask", json={"question": "why?"}).json() == {
        "text": "because",
        "cites": [{"id": "f1"}],
        "thread": None,
    }
    assert asked == [("why?", None, None)]
    streamed = ana.post("/v1/ask", json={"question": "why?"}, headers={"Accept": "text/event-stream"})
    lines = [line for line in streamed.text.splitlines() if line.startswith(("event", "data"))]
    assert lines == ["event: token", 'data: {"text":"because"}', "event: cite", 'data: {"text":""}']
    assert ana.post("/v1/ask", json={"question": "why?", "incident_id": "none"}).status_code == 404
    assert ana.post("/v1/ask", json={"question": ""}).status_code == 422
