"""Answers without a language model: about the right case, from what is there, with cites that exist."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from aegis_agents.assistant import Assistant
from aegis_agents.assistant.excerpts import plain, sentences
from aegis_agents.assistant.records import Answer, markdown
from aegis_agents.errors import InputError
from aegis_agents.records import Sentence
from evals.assistant import judge
from evals.assistant_questions import DEVELOP, Conversation
from evals.assistant_scene import Scene


@pytest.mark.parametrize("conversation", DEVELOP, ids=lambda c: c[0].question[:40])
def test_what_a_right_answer_must_have_is_there_and_every_cite_is_real(
    conversation: Conversation, made: Scene, assistant: Assistant
) -> None:
    for turn in conversation:
        case = made.ids[turn.case] if turn.case else None
        answer = assistant.ask(turn.question.format_map(made.ids), case, thread=conversation[0].question)
        judged = judge(turn, answer, made.ids, assistant)
        assert not judged.wrong, answer.text
        assert not judged.unreal


def test_a_question_about_closing_says_first_that_it_was_not_closed(made: Scene, assistant: Assistant) -> None:
    answer = assistant.ask("why was this closed?", made.ids["purple"])
    assert answer.sentences[0].text.startswith("It is not closed")
    assert made.ids["close_purple"] in answer.sentences[0].cites


def test_every_excerpt_of_a_passage_stands_there_word_for_word(made: Scene, assistant: Assistant) -> None:
    answer = assistant.ask("what is T1003.001?")
    intel = made.aegis.context.intel
    assert intel is not None
    passage = intel.technique("T1003.001")
    assert passage is not None
    quoted = [s.text for s in answer.sentences[1:]]
    assert len(quoted) >= 2
    assert all(text in plain(passage.text) for text in quoted)


def test_markup_links_and_cut_sentences_are_left_out_of_excerpts(made: Scene) -> None:
    from aegis_agents.records import Passage

    text = "[Evil](https://evil.example/x) sends mail, e.g. spam.(Citation: Foo 2020) It runs.\nThen it was c..."
    passage = Passage(source="software", id="S1", title="Evil", text=text, score=1, snapshot="x")
    assert sentences(passage) == ["Evil sends mail, e.g. spam.", "It runs."]


def test_a_follow_up_is_about_what_was_spoken_of_and_only_in_its_own_thread(made: Scene, assistant: Assistant) -> None:
    assistant.ask("was the host isolated?", made.ids["attack"], thread="one")
    follow = assistant.ask("and who approved it?", thread="one")
    assert follow.incident_id == made.ids["attack"]
    assert "alice" in follow.text
    assert "bert" not in follow.text  # he denied another action of the same case
    stranger = assistant.ask("and who approved it?", thread="two")
    assert not stranger.answered
    assert "Which case" in stranger.text


def test_another_case_that_is_named_takes_over_and_the_old_actions_are_forgotten(
    made: Scene, assistant: Assistant
) -> None:
    assistant.ask("was the host isolated?", made.ids["attack"], thread="switch")
    other = assistant.ask(f"and who closed {made.ids['wiki']}?", thread="switch")
    assert other.incident_id == made.ids["wiki"]
    assert "dave" in other.text
    assert "alice" not in other.text


def test_a_choice_can_be_answered_by_its_place_in_the_list(made: Scene, assistant: Assistant) -> None:
    asked_back = assistant.ask("why was it closed?", thread="choice")
    assert not asked_back.answered
    second = [s for s in asked_back.sentences if s.cites][1].cites[0]
    assert assistant.ask("the second one, why?", thread="choice").incident_id == second


def test_a_host_that_nothing_names_is_not_answered_with_all_there_is(assistant: Assistant) -> None:
    answer = assistant.ask("which true positives came today on host no-such-9?")
    assert not answer.answered
    assert not answer.cites
    assert answer.looked_at == ("incidents on the shelf",)


def test_a_new_case_is_found_by_the_next_question(make) -> None:  # type: ignore[no-untyped-def]
    aegis = make()
    asked = Assistant(aegis.context)
    assert not asked.ask("anything about host WKS-77?").answered
    case = aegis.investigate({"event_id": "n-1", "title": "New", "hostname": "WKS-77", "severity": "low"})
    assert case.incident_id in asked.ask("anything about host WKS-77?").text


def test_without_intelligence_or_cases_it_says_so(make) -> None:  # type: ignore[no-untyped-def]
    asked = Assistant(make().context)
    assert "no case yet" in asked.ask("why was this closed?").text
    assert "Nothing waits" in asked.ask("what waits for me?").text
    assert "can't be read here" in asked.ask("what may you do without asking?").text


@pytest.mark.parametrize("question", ["", "  \n", "x" * 2_001])
def test_an_empty_or_overlong_question_is_an_error_that_names_its_field(assistant: Assistant, question: str) -> None:
    with pytest.raises(InputError, match="question"):
        assistant.ask(question)


@pytest.mark.parametrize(
    "question",
    [
        "?",
        "!!!",
        "\x00\x1b[31m",
        "ж" * 500,
        "{incident}",
        "%s %d",
        "'; DROP TABLE intake; --",
        "a" * 2_000,
        "“",
        "inc-",
        "\ud800",
    ],
)
def test_odd_questions_are_answered_without_a_crash(assistant: Assistant, question: str) -> None:
    answer = assistant.ask(question)
    assert answer.text
    assert not answer.proposals


def test_an_answer_is_frozen_and_json_safe(assistant: Assistant) -> None:
    answer = assistant.ask("what is APT29?")
    assert json.loads(json.dumps(answer.to_dict()))["text"] == answer.text
    with pytest.raises(ValidationError):
        answer.text = "other"  # type: ignore[misc]


def test_nothing_from_an_alert_marks_up_or_links_in_a_notebook(make) -> None:  # type: ignore[no-untyped-def]
    hostile = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) https://evil.example `x` **b**\n# c"
    aegis = make()
    case = aegis.investigate({"event_id": "m-1", "title": hostile, "hostname": "WKS-78", "command_line": hostile})
    shown = Assistant(aegis.context).ask("what is this case about?", case)._repr_markdown_()
    assert "<img" not in shown
    assert "](javascript" not in shown
    assert "https://" not in shown
    assert "\n# " not in shown


def test_markdown_of_plain_words_is_the_words() -> None:
    assert markdown("It was closed, yes") == "It was closed, yes"
    told = Answer(question="q", text="a", sentences=(Sentence(text="a", cites=("f1",)),), cites=())
    assert told._repr_markdown_() == "a \\[f1\\]"


def test_secrets_in_a_fact_stay_out_of_the_answer(make) -> None:  # type: ignore[no-untyped-def]
    key = "AKIAIOSFODNN7EXAMPLE"
    aegis = make()
    case = aegis.investigate(
        {"event_id": "s-1", "title": "Key used", "command_line": f"aws configure set aws_access_key_id {key}"}
    )
    for question in ("which facts decided?", "what is this case about?", "any sign of injection?"):
        answer = Assistant(aegis.context).ask(question, case)
        assert key not in json.dumps(answer.to_dict())


@pytest.mark.parametrize(
    "question", ["what was blocked on 203.0.113.250 this year?", "what was done on host NOWHERE-77 this year?", "when does the block of 203.0.113.250 lift itself?"]
)  # fmt: skip
def test_an_answer_about_other_targets_does_not_take_the_place_of_one_about_those_named(
    assistant: Assistant, question: str
) -> None:
    answer = assistant.ask(question)
    assert answer.text.startswith("No "), answer.text
    assert "203.0.113.250" in answer.text or "NOWHERE-77" in answer.text, "it says of what there is nothing"
