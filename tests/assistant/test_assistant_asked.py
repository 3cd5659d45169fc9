"""How a question is read: ids, names, spans of time, actions, and streams."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from aegis_agents.assistant import Assistant
from aegis_agents.assistant.assistant import MOST_THREADS
from aegis_agents.assistant.doing import actions_in
from aegis_agents.assistant.examples import EXAMPLES, INTENTS
from aegis_agents.assistant.found import Found
from aegis_agents.assistant.mentions import Mentions, read_mentions
from aegis_agents.assistant.names import Subject
from aegis_agents.assistant.periods import period_in
from aegis_agents.assistant.records import Cite
from aegis_agents.assistant.shelf import Named, short_names
from evals.assistant_scene import Scene

NOW = datetime(2026, 11, 26, 15, 30, tzinfo=UTC)  # a Thursday


def read(text: str) -> Mentions:
    entities = {"bob": [Named("user", "CORP\\bob")], "why": [Named("host", "why")], "ws-1": [Named("host", "ws-1")]}
    groups = {"cozy bear": Subject("group", "G0016"), "net": Subject("software", "S0039")}
    return read_mentions(text, now=NOW, named=lambda n: entities.get(n.lower(), []), subject=groups.get)


def test_every_intent_has_examples_and_none_has_another_s() -> None:
    assert EXAMPLES.keys() == set(INTENTS)
    said = [q for questions in EXAMPLES.values() for q in questions]
    assert len(said) == len(set(said))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("today", "2026-11-26 00:00", "2026-11-26 15:31"), ("yesterday", "2026-11-25 00:00", "2026-11-26 00:00"), ("of yesterdays", "2026-11-25 00:00", "2026-11-26 00:00"),
        ("last week", "2026-11-16 00:00", "2026-11-23 00:00"), ("this week", "2026-11-23 00:00", "2026-11-26 15:31"),
        ("in the last 3 hours", "2026-11-26 12:30", "2026-11-26 15:31"), ("2 days ago", "2026-11-24 00:00", "2026-11-25 00:00"),
        ("on 2026-11-20", "2026-11-20 00:00", "2026-11-21 00:00"), ("since 2026-11-20", "2026-11-20 00:00", "2026-11-26 15:31"),
        ("since monday", "2026-11-23 00:00", "2026-11-26 15:31"), ("on tuesday", "2026-11-24 00:00", "2026-11-25 00:00"),
        ("last thursday", "2026-11-19 00:00", "2026-11-20 00:00"),
        ("this year", "2026-01-01 00:00", "2026-11-26 15:31"), ("last year", "2025-01-01 00:00", "2026-01-01 00:00"),
        ("in the last 2 years", "2024-11-26 15:30", "2026-11-26 15:31"), ("past year", "2025-11-26 15:30", "2026-11-26 15:31"),
    ],
)  # fmt: skip
def test_spans_of_time(text: str, start: str, end: str) -> None:
    found = period_in(f"any alerts {text}?", NOW)
    assert found is not None
    assert (f"{found.start:%Y-%m-%d %H:%M}", f"{found.end:%Y-%m-%d %H:%M}") == (start, end)


@pytest.mark.parametrize("text", ["nothing", "2026-13-45", "last 99999999 weeks and", "mondayish"])
def test_what_is_no_span_of_time(text: str) -> None:
    assert period_in(text, NOW) is None


def test_names_and_ids_are_read_and_leave_the_shape() -> None:
    found = read(
        "did bob or ws-1 talk to 203[.]0[.]113[.]9 (inc-0a0a0a0a, act-0b0b0b0b, CVE-2021-44228, t1003.001, Cozy Bear)?"
    )
    assert found.entities == (Named("user", "CORP\\bob"), Named("host", "ws-1"))
    assert found.indicators == (Named("ip", "203.0.113.9"),)
    assert (found.incidents, found.actions, found.cves) == (("inc-0a0a0a0a",), ("act-0b0b0b0b",), ("CVE-2021-44228",))
    assert found.subjects == (Subject("technique", "T1003.001"), Subject("group", "G0016"))
    assert "203" not in found.shape
    assert "bob" not in found.shape


def test_a_host_with_the_name_of_a_common_word_is_meant_only_where_that_is_said() -> None:
    assert read("why was this closed?").entities == ()
    assert read("what about host why?").entities == (Named("host", "why"),)
    assert read("what is net income?").subjects == ()


def test_a_name_that_nothing_bears_is_kept_as_such() -> None:
    assert read("anything about user mallory?").unknown == ("mallory",)
    assert read("alerts on SRV-99?").unknown == ("SRV-99",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("isolate it", ("isolate_host",)), ("take ws-1 off the network", ("isolate_host",)), ("log him out", ("revoke_sessions",)),
        ("disable the access key", ("disable_access_key",)), ("disable bob", ("disable_user",)),
        ("quarantine that mail", ("quarantine_email",)), ("who closed it?", ("close_alert",)), ("disable_user please", ("disable_user",)),
        ("release_host", ("isolate_host",)), ("what is the weather?", ()),
    ],
)  # fmt: skip
def test_actions_by_their_words(text: str, names: tuple[str, ...]) -> None:
    assert actions_in(text) == names


def test_people_are_called_by_parts_of_their_names() -> None:
    assert {"bob", "corp\\bob"} <= short_names(Named("user", "CORP\\bob"))
    assert "bob" in short_names(Named("email", "bob@corp.example"))
    assert "ws-1" in short_names(Named("host", "WS-1.corp.example"))


def test_a_stream_is_cites_and_words_and_then_the_answer(made: Scene, assistant: Assistant) -> None:
    events = list(assistant.ask_stream("why is this an attack?", made.ids["attack"]))
    assert [e.kind for e in events].count("answer") == 1
    answer = events[-1].answer
    assert answer is not None
    assert "".join(e.text for e in events if e.kind == "token") == answer.text
    assert {e.cite.id for e in events if e.cite} == {c.id for c in answer.cites}
    assert events[0].kind == "cite"
    assert 0 < answer.first_token_ms <= answer.timing_ms


def test_conversations_are_forgotten_from_the_oldest_on(assistant: Assistant) -> None:
    for number in range(MOST_THREADS + 5):
        assistant._remember(f"t{number}", assistant._remembered(None))
    assert len(assistant._threads) == MOST_THREADS
    assert "t0" not in assistant._threads


def test_many_ask_at_once_and_none_gets_another_s_answer(made: Scene, assistant: Assistant) -> None:
    wrong: list[str] = []

    def run(name: str) -> None:
        for _ in range(5):
            answer = assistant.ask("what is this case about?", made.ids[name], thread=name)
            if answer.incident_id != made.ids[name] or made.ids[name] not in {c.id for c in answer.cites}:
                wrong.append(name)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("attack", "purple", "wiki", "web")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_the_question_says_is_no_evidence_for_a_language_model() -> None:
    found, cite = Found(), Cite(id="inc-1", kind="case", ref="inc-1", text="a case")
    found.tell("The verdict is a real attack.", cite)
    found.echo("host WS-99 is no entity of inc-1.", cite)
    assert found.echoes == {"host WS-99 is no entity of inc-1."}
    assert [s.text for s in found.sentences][-1] == "host WS-99 is no entity of inc-1."
