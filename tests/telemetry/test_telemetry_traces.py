"""What a collector gets: spans and metrics in the words of the conventions, and nothing of what alerts say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as conventions
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from aegis_agents import Aegis
from aegis_agents.errors import ModelError
from aegis_agents.telemetry import instruments, spans
from tests.telemetry.collector import Collector, attributes, points
from tests.telemetry.conftest import ATTACK, FakeModel, SureModel

Heard = Callable[..., Aegis]
NAMES = {
    spans.OPERATION: "GEN_AI_OPERATION_NAME", spans.PROVIDER: "GEN_AI_PROVIDER_NAME",
    spans.REQUEST_MODEL: "GEN_AI_REQUEST_MODEL", spans.RESPONSE_MODEL: "GEN_AI_RESPONSE_MODEL",
    spans.INPUT_TOKENS: "GEN_AI_USAGE_INPUT_TOKENS", spans.OUTPUT_TOKENS: "GEN_AI_USAGE_OUTPUT_TOKENS",
    spans.AGENT: "GEN_AI_AGENT_NAME", spans.WORKFLOW: "GEN_AI_WORKFLOW_NAME", spans.CONVERSATION: "GEN_AI_CONVERSATION_ID",
    spans.TOOL: "GEN_AI_TOOL_NAME", spans.TOOL_TYPE: "GEN_AI_TOOL_TYPE", spans.TOOL_CALL: "GEN_AI_TOOL_CALL_ID",
    spans.TOOL_ARGUMENTS: "GEN_AI_TOOL_CALL_ARGUMENTS", spans.INPUT_MESSAGES: "GEN_AI_INPUT_MESSAGES",
    spans.OUTPUT_MESSAGES: "GEN_AI_OUTPUT_MESSAGES",
}  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), NAMES.items())
def test_attribute_names_are_the_installed_conventions(ours: str, theirs: str) -> None:
    assert ours == getattr(conventions, theirs)


def test_metric_names_and_operations_are_the_installed_conventions() -> None:
    assert instruments.MODEL_TIME.name == gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION
    assert instruments.TOKEN_USAGE.name == gen_ai_metrics.GEN_AI_CLIENT_TOKEN_USAGE
    known = {"invoke_workflow", "invoke_agent", "chat", "embeddings", "execute_tool"}
    assert known <= {value.value for value in conventions.GenAiOperationNameValues}


def test_an_incident_is_one_trace_of_its_agents_models_and_tools(heard: Heard, collector: Collector) -> None:
    aegis = heard(model=SureModel())
    case = aegis.investigate(ATTACK)
    waiting = next(r for r in aegis.pending() if r.proposal.action == "block_ip")
    aegis.approve(waiting.action_id, by="alice")
    aegis.undo(waiting.action_id, by="alice")
    aegis.close()

    root = collector.named("invoke_workflow aegis")
    assert {s.trace_id for s in collector.spans} == {hashlib.sha256(case.incident_id.encode()).digest()[:16]}
    inside = {s.name: s for s in collector.spans}
    for agent in ("triage", "intel", "reasoning", "approval", "response"):
        assert inside[f"invoke_agent {agent}"].parent_span_id == root.span_id
    assert inside["assess fake@1"].parent_span_id == inside["invoke_agent triage"].span_id
    assert inside["embeddings fake@1"].parent_span_id == inside["invoke_agent intel"].span_id
    assert inside["execute_tool get_technique"].parent_span_id == inside["invoke_agent intel"].span_id
    assert inside["execute_tool open_ticket"].parent_span_id == inside["invoke_agent response"].span_id

    said = attributes(root)
    assert said[spans.OPERATION] == "invoke_workflow"
    assert said[spans.CONVERSATION] == case.incident_id
    assert (said["aegis.verdict"], said["aegis.source"]) == ("true_positive", "generic")
    assert said["aegis.version.policy"] == case.versions["policy"]
    assert attributes(inside["assess fake@1"])[spans.REQUEST_MODEL] == "fake@1"

    block = attributes(inside["execute_tool block_ip"])
    assert block[spans.TOOL] == "block_ip"
    assert block[spans.TOOL_CALL] == waiting.action_id
    assert (block["aegis.connector"], block["aegis.outcome"]) == ("fake-firewall", "executed")
    assert attributes(inside["execute_tool unblock_ip"])["aegis.outcome"] == "undone"

    decided = {attributes(e)["aegis.action"]: attributes(e) for e in inside["invoke_agent approval"].events}
    assert decided["block_ip"]["aegis.verb"] == "ask"
    assert decided["block_ip"]["aegis.rule"] == "autonomy.ask"
    assert decided["open_ticket"]["aegis.verb"] == "execute"


def test_metrics_reach_the_collector(heard: Heard, collector: Collector) -> None:
    aegis = heard()
    aegis.investigate(ATTACK)
    aegis.telemetry.gauges.provide("aegis_test_depth", "A gauge.", lambda: {("a",): 3.0}, ("stream",))
    aegis.close()
    ((labels, point),) = points(collector.metrics["aegis.incidents"])
    assert labels == {"aegis.verdict": "true_positive", "aegis.source": "generic", "aegis.mode": "live"}
    assert point.as_double or point.as_int == 1
    asked = {p[0][spans.OPERATION]: p[1] for p in points(collector.metrics["gen_ai.client.operation.duration"])}
    assert asked["assess"].count >= 1
    assert collector.metrics["gen_ai.client.operation.duration"].unit == "s"
    assert points(collector.metrics["aegis.test_depth"])[0][0] == {"stream": "a"}
    assert collector.resources[0]["service.name"] == "aegis"
    assert not {"host.name", "process.command_line", "process.owner"} & set(collector.resources[0])


def test_nothing_of_the_alert_leaves(heard: Heard, collector: Collector) -> None:
    aegis = heard()
    words = {
        "hostname": "secret-dc-01",
        "title": "Zanzibar beacon",
        "destination_ip": "203.0.113.77",
        "user": "ann.ominous",
    }
    aegis.investigate(ATTACK | words)
    for row in aegis.pending():
        aegis.approve(row.action_id, by="alice")
    aegis.close()
    assert any(s.name == "execute_tool block_ip" for s in collector.spans)
    for word in (*words.values(), "10.1.2.3", "alice"):
        assert word.encode() not in collector.raw


def test_contents_are_sent_where_that_was_asked_for_and_secrets_are_masked(heard: Heard, collector: Collector) -> None:
    aegis = heard({"contents": True})
    aegis.investigate(ATTACK | {"title": "Beacon with password=hunter22222"})
    block = next(r for r in aegis.pending() if r.proposal.action == "block_ip")
    aegis.approve(block.action_id, by="alice")
    aegis.close()
    root = attributes(collector.named("invoke_workflow aegis"))
    assert root["aegis.incident.title"].startswith("Beacon with password=")
    assert b"hunter22222" not in collector.raw
    assert json.loads(attributes(collector.named("execute_tool block_ip"))[spans.TOOL_ARGUMENTS]) == {
        "ip": "203.0.113.9"
    }


class _Words(GenericFakeChatModel):
    """A chat model that counts tokens."""


def _llm(text: str) -> _Words:
    usage = {"input_tokens": 120, "output_tokens": 14, "total_tokens": 134}
    message = AIMessage(text, usage_metadata=usage, response_metadata={"model_name": "words-2"})
    return _Words(messages=iter([message]))


@pytest.mark.parametrize("contents", [False, True])
def test_a_question_to_a_language_model_is_a_span_with_its_tokens(
    heard: Heard, collector: Collector, contents: bool
) -> None:
    aegis = heard({"contents": contents}, llm=_llm('[{"text": "Odd marmalade.", "cites": ["f1"]}]'))
    aegis.investigate(ATTACK | {"answer": "undetermined"})
    aegis.close()
    (chat,) = (s for s in collector.spans if s.name.startswith("chat "))
    said = attributes(chat)
    assert said[spans.OPERATION] == "chat"
    assert said[spans.RESPONSE_MODEL] == "words-2"
    assert (said[spans.INPUT_TOKENS], said[spans.OUTPUT_TOKENS]) == (120, 14)
    tokens = {p[0]["gen_ai.token.type"]: p[1].sum for p in points(collector.metrics["gen_ai.client.token.usage"])}
    assert tokens == {"input": 120, "output": 14}
    assert (spans.INPUT_MESSAGES in said) is contents
    assert (b"marmalade" in collector.raw) is contents


def test_a_language_model_that_fails_is_named_by_its_kind_alone(heard: Heard, collector: Collector) -> None:
    class Broken(_Words):
        def _generate(self, *_: Any, **__: Any) -> Any:
            raise ValueError("the prompt said wks-041")

    aegis = heard(llm=Broken(messages=iter([])))
    case = aegis.investigate(ATTACK | {"answer": "undetermined"})
    aegis.close()
    assert case.verdict == "undetermined"
    (chat,) = (s for s in collector.spans if s.name.startswith("chat "))
    assert attributes(chat)["error.type"] == "ValueError"
    assert chat.status.code == 2
    assert b"wks-041" not in collector.raw


def test_an_error_is_a_kind_and_never_a_message(heard: Heard, collector: Collector) -> None:
    class Failing(FakeModel):
        def assess(self, *_: Any, **__: Any) -> Any:
            raise ModelError("can't read wks-041")

    aegis = heard(model=Failing())
    with pytest.raises(ModelError):
        aegis.investigate(ATTACK)
    aegis.close()
    for name in ("invoke_workflow aegis", "invoke_agent triage", "assess fake@1"):
        assert attributes(collector.named(name))["error.type"] == "ModelError"
    assert b"wks-041" not in collector.raw
    labels = [p[0] for p in points(collector.metrics["aegis.errors"])]
    assert labels == [{"aegis.where": "incident", "error.type": "ModelError"}]


def test_a_stream_that_is_left_in_the_middle_ends_its_span_and_leaves_the_callers_context_alone(
    heard: Heard, collector: Collector
) -> None:
    from opentelemetry.trace import get_current_span

    aegis = heard()
    steps = aegis.stream(ATTACK)
    next(steps)
    assert not get_current_span().get_span_context().is_valid
    steps.close()
    aegis.investigate(ATTACK)
    aegis.investigate(ATTACK)
    aegis.close()
    roots = [attributes(s) for s in collector.spans if s.name == "invoke_workflow aegis"]
    assert [("aegis.left" in r, "aegis.known" in r) for r in roots] == [(True, False), (False, False), (False, True)]
    assert not any("error.type" in r for r in roots)


def test_sampling_keeps_the_share_that_is_set(heard: Heard, collector: Collector) -> None:
    aegis = heard({"sample": 0.0})
    aegis.investigate(ATTACK)
    aegis.close()
    assert collector.spans == []
    assert "aegis.incidents" in collector.metrics


def test_two_aegis_in_one_process_do_not_mix(heard: Heard, make: Heard, collector: Collector) -> None:
    quiet, loud = make(), heard({"service": "loud"})
    quiet.investigate(ATTACK | {"event_id": "quiet"})
    assert not quiet.telemetry.on
    loud.close()
    assert collector.spans == []
