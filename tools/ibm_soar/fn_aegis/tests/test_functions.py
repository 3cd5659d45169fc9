"""Each function, called through resilient-circuits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_aegis import FakeAegis
from resilient_circuits.util import get_function_definition

FUNCTIONS = ("fn_aegis_investigate", "fn_aegis_decide_action", "fn_aegis_ask")
HOSTILE = {"title": "</div><script>alert(1)</script>", "host": "wks-<b>1</b>"}


@pytest.fixture
def waiting(call: Any, fake: FakeAegis) -> dict[str, Any]:
    fake.actions.clear()
    fake.cases.clear()
    return dict(call("fn_aegis_investigate", aegis_alert=json.dumps(HOSTILE))["content"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_export_defines_it(name: str) -> None:
    found = get_function_definition("fn_aegis", name)
    assert found is not None
    assert found["destination_handle"] == "fn_aegis"
    assert found["view_items"], "a function without inputs can't be used"


class TestFunctions:
    """One resilient-circuits for all of them: it takes a second to start."""

    def test_an_alert_is_judged(self, waiting: dict[str, Any]) -> None:
        assert waiting["verdict"] == "true_positive"
        assert [a["action"] for a in waiting["waiting"]] == ["isolate_host"]

    def test_what_an_alert_says_is_text_in_the_note(self, waiting: dict[str, Any]) -> None:
        assert "<script>" not in waiting["note"]
        assert "wks-<b>1</b>" not in waiting["note"]
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in waiting["note"]
        assert waiting["actions"][0]["action_id"] in waiting["note"]

    def test_rich_text_inputs_are_read_too(self, call: Any) -> None:
        result = call(
            "fn_aegis_investigate", aegis_alert={"type": "text", "content": '{"title": "Beacon"}'}, aegis_shadow=True
        )
        assert result["content"]["actions"][0]["outcome"] == "would_execute"
        assert result["content"]["waiting"] == []

    def test_the_incident_itself_is_made_an_alert_the_same_each_time(self, call: Any, fake: FakeAegis) -> None:
        first = call("fn_aegis_investigate", aegis_soar_incident_id=2101)
        sent = json.loads(fake.requests[-1].body)
        assert sent["id"] == "soar-2101"
        assert sent["artifacts"][0] == {"type": "IP Address", "ip_address": "203.0.113.91"}
        assert sent["artifacts"][1]["hostname"] == "ALD-LT-0442"
        again = call("fn_aegis_investigate", aegis_soar_incident_id=2101)
        assert again["content"]["incident_id"] == first["content"]["incident_id"]
        assert len(fake.cases) == len({*fake.cases})

    def test_neither_alert_nor_incident_stops_the_playbook(self, call: Any) -> None:
        with pytest.raises(ValueError, match="aegis_alert"):
            call("fn_aegis_investigate")

    @pytest.mark.parametrize("bad", ["[1, 2]", '"text"', "{not json"])
    def test_what_is_no_alert_fails_with_its_reason(self, call: Any, bad: str) -> None:
        result = call("fn_aegis_investigate", aegis_alert=bad)
        assert not result["success"]
        assert result["content"]["error"]["kind"] == "InvalidInput"

    def test_an_action_is_approved_once_and_then_undone(
        self, call: Any, fake: FakeAegis, waiting: dict[str, Any]
    ) -> None:
        of = {"aegis_action_id": waiting["waiting"][0]["action_id"], "aegis_incident_id": waiting["incident_id"]}
        done = call("fn_aegis_decide_action", **of, aegis_decision={"id": 1, "name": "approve"}, aegis_reason="seen")
        assert done["content"]["outcome"] == "executed"
        assert json.loads(fake.requests[-1].body)["reason"].startswith("seen (IBM SOAR: ")
        second = call("fn_aegis_decide_action", **of, aegis_decision="deny")
        assert not second["success"]
        assert second["content"]["error"]["kind"] == "AlreadyDecided"
        assert call("fn_aegis_decide_action", **of, aegis_decision="undo")["content"]["outcome"] == "undone"

    def test_an_action_of_another_incident_is_left_alone(
        self, call: Any, fake: FakeAegis, waiting: dict[str, Any]
    ) -> None:
        action_id = waiting["waiting"][0]["action_id"]
        with pytest.raises(ValueError, match="not of inc-other"):
            call(
                "fn_aegis_decide_action",
                aegis_action_id=action_id,
                aegis_incident_id="inc-other",
                aegis_decision="approve",
            )
        assert fake.actions[action_id]["outcome"] == "awaiting_approval"

    @pytest.mark.parametrize("bad", ["../incidents", "act-1/../../v1/ask", "act-XYZ", "", "act-0123456789abcdef?x=1"])
    def test_an_action_id_never_becomes_another_address(self, call: Any, fake: FakeAegis, bad: str) -> None:
        before = len(fake.requests)
        with pytest.raises(ValueError, match="aegis_action_id"):
            call("fn_aegis_decide_action", aegis_action_id=bad, aegis_decision="approve")
        assert len(fake.requests) == before

    def test_only_four_things_can_be_said_of_an_action(self, call: Any) -> None:
        with pytest.raises(ValueError, match="aegis_decision"):
            call("fn_aegis_decide_action", aegis_action_id="act-0123456789abcdef", aegis_decision="close")

    def test_an_answer_cites_and_its_note_is_escaped(self, call: Any, waiting: dict[str, Any]) -> None:
        asked = {"aegis_question": "why?", "aegis_incident_id": waiting["incident_id"]}
        content = call("fn_aegis_ask", **asked)["content"]
        assert content["cites"][0]["id"] == "f1"
        assert "<script>" not in content["note"]
        assert "&lt;script&gt;" in content["note"]

    def test_a_server_that_is_busy_says_when_to_come_again(self, call: Any, fake: FakeAegis) -> None:
        problem = json.dumps(
            {"title": "Too Many Requests", "status": 429, "detail": "wait", "code": "rate_limited"}
        ).encode()
        fake.script((429, {"Retry-After": "90", "Content-Type": "application/problem+json"}, problem))
        result = call("fn_aegis_ask", aegis_question="what waits?")
        assert not result["success"]
        assert result["content"]["error"]["kind"] == "RateLimited"
        assert result["content"]["error"]["retry_after"] == 90
