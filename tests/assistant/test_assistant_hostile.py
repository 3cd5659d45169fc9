"""What an attacker, another tenant, a broken language model or a race could make of the assistant."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.assistant import Assistant, propose
from aegis_agents.assistant.found import cite_passage
from aegis_agents.assistant.proposing import ASKED
from aegis_agents.assistant.reading import ReadOnly
from aegis_agents.assistant.shelf import ADMITTED, FINISHED, Shelf
from aegis_agents.assistant.worded import MAX_CALLS, MAX_SAID
from aegis_agents.errors import InputError
from aegis_agents.ledger import LedgerEntry
from aegis_agents.records import Passage
from evals.assistant_scene import Scene
from tests.assistant.scripted import Scripted, calls
from tests.people import person

Make = Callable[..., Aegis]
ALICE = person("alice")


def alert(name: str = "1_attack", **changes: Any) -> dict[str, Any]:
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    read: dict[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return read | changes


def told(*sentences: tuple[str, list[str]]) -> str:
    return json.dumps([{"text": text, "cites": cites} for text, cites in sentences])


# what does not exist is said not to


@pytest.mark.parametrize(
    ("question", "case", "says", "not_in"),
    [
        ("who approved act-deadbeef00?", None, "act-deadbeef00", "alice"),
        ("approve act-ffffff0000", None, "Nothing that is kept here has the id act-ffffff0000", "waits"),
        ("was WS-NOPE-77 isolated?", "attack", "no isolate_host on WS-NOPE-77", "ALD-LT-0442"),
        ("was ALD-LT-0107 isolated?", "attack", "no isolate_host on host ALD-LT-0107", "ALD-LT-0442"),
        ("who approved isolating ALD-LT-0107?", "attack", "no isolate_host on host ALD-LT-0107", "alice"),
        ("is user carol disabled?", "attack", "no disable_user on carol", "m.oyelaran"),
        ("did you block 203.0.113.9?", "attack", "on ip 203.0.113.9 ", "203.0.113.91"),
        ("what is the hash of WS-NOPE-77?", "attack", "WS-NOPE-77 is no entity", "nothing"),
        ("which techniques do APT9999 use?", None, "APT9999: no group or software", "Which case"),
        ("what did mallory approve?", None, "Nothing is recorded as answered by mallory", "dave"),
        ("why was this closed?", "inc-ffffffffffff", "inc-ffffffffffff", "judged"),
    ],
)
def test_what_is_not_there_is_said_not_to_be_and_nothing_else_stands_in_for_it(
    made: Scene, assistant: Assistant, question: str, case: str | None, says: str, not_in: str
) -> None:
    answer = assistant.ask(question, made.ids.get(case, case) if case else None)
    assert says in answer.text
    assert not_in not in answer.text


def test_what_a_person_did_names_that_person(assistant: Assistant, made: Scene) -> None:
    answer = assistant.ask("what did dave approve?")
    assert answer.intent == "done"
    assert "close_alert" in answer.text
    assert "alice" not in answer.text
    assert "taken back by carol" in assistant.ask("what was undone today?").text
    assert "(token:alice)" in assistant.ask("who approved this and when?", made.ids["attack"]).text


def test_of_two_that_are_named_it_says_which_it_speaks_of(assistant: Assistant, made: Scene) -> None:
    answer = assistant.ask(f"compare {made.ids['attack']} and {made.ids['web']}")
    assert f"{made.ids['web']} is another case" in answer.text
    answer = assistant.ask(f"who approved {made.ids['isolate']} and {made.ids['isolate_web']}?")
    assert f"{made.ids['isolate_web']} is no action of this case" in answer.text


def test_an_id_in_capitals_is_the_same_id(assistant: Assistant, made: Scene) -> None:
    assert assistant.ask(f"tell me about {made.ids['attack'].upper()}").incident_id == made.ids["attack"]


@pytest.mark.parametrize("question", [None, 5, b"what waits?", ["what waits?"]])
def test_what_is_no_text_is_refused(assistant: Assistant, question: Any) -> None:
    with pytest.raises(InputError, match="question"):
        assistant.ask(question)


@pytest.mark.parametrize(
    "piece", ["quarantin e mail ", "log log out ", "a.b@c\\", "0123456789-", "“”\"'", "\ud800\u202e😀 ", "take a b ", "(", "cve-2021-"]
)  # fmt: skip
def test_two_thousand_characters_of_nonsense_are_answered_soon(assistant: Assistant, piece: str) -> None:
    started = time.process_time()
    assert assistant.ask((piece * 2_000)[:2_000]).text
    assert time.process_time() - started < 3  # hundredths on a quiet machine; a pattern that explodes takes minutes


# another tenant


def test_another_tenants_cases_do_not_exist(make: Make) -> None:
    other, own = make(tenant="other"), make()
    theirs = other.investigate(alert())
    action = other.store.actions(theirs.incident_id)[0].action_id
    for question, case in (
        ("what is this about?", theirs.incident_id), ("why was it closed?", theirs.incident_id), (f"who approved {action}?", None),
        ("what waits for me?", None), ("which alerts came today?", None), ("anything about ALD-LT-0442?", None),
        ("how many alerts are open?", None), ("how many attacks this week?", None), (f"approve {action}", None),
    ):  # fmt: skip
        answer = own.ask(question, case)
        assert not answer.cites, question
        assert not {"Script host", "m.oyelaran", "isolate_host"} & set(answer.text.split()), question
    assert other.ask("what is this about?", theirs.incident_id).cites


# a shadow run


def test_a_shadow_runs_incident_is_proposed_nothing_live_nor_the_other_way(make: Make) -> None:
    shadow, live = make(mode="shadow"), make()
    ran, real = shadow.investigate(alert()), live.investigate(alert())
    wish = ("add_watchlist", "host", "ALD-LT-0442", ALICE)
    with pytest.raises(InputError, match="shadow"):
        propose(live.context, ran.incident_id, *wish)
    with pytest.raises(InputError, match="live"):
        propose(shadow.context, real.incident_id, *wish)
    assert not live.store.entries(kind=ASKED)
    answer = Assistant(live.context).ask("put the host on the watchlist", ran)
    assert not answer.proposals
    assert "Nothing can be proposed here" in answer.text


def test_the_same_wish_by_eight_at_once_is_one_row(make: Make) -> None:
    aegis = make()
    case = aegis.investigate(alert())
    found: list[str] = []

    def wish() -> None:
        found.append(propose(aegis.context, case.incident_id, "reset_password", "user", "m.oyelaran", ALICE).action_id)

    threads = [threading.Thread(target=wish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(aegis.store.entries(kind=ASKED)) == 1


# others who write meanwhile


class Racing(ReadOnly):
    """A store into which somebody else investigates between two reads."""

    __slots__ = ("_write",)

    def __init__(self, aegis: Aegis, write: Callable[[], object]) -> None:
        super().__init__(aegis.store)
        self._write: Callable[[], object] | None = write
        read = self.entries

        def entries(*args: Any, **named: Any) -> Sequence[LedgerEntry]:
            found = read(*args, **named)
            of_queue = named.get("kind") in (ADMITTED, FINISHED) and named.get("limit") == 1_000
            if of_queue and not found and self._write is not None:
                write, self._write = self._write, None
                write()
            return found

        self.entries = entries


@pytest.mark.parametrize("at_start", [True, False])
def test_what_is_taken_in_between_two_reads_is_not_lost(make: Make, at_start: bool) -> None:
    aegis = make()
    aegis.investigate(alert())
    store = Racing(aegis, lambda: aegis.investigate(alert("2_authorised")))
    if not at_start:
        store._write, later = None, store._write
    shelf = Shelf(store)
    shelf.refresh()
    if not at_start:
        aegis.investigate(alert("3_wrong_detection"))
        store._write = later
        shelf.refresh()
    cards = shelf.cards()
    assert len(cards) == (2 if at_start else 3)
    assert all(card.verdict for card in cards)


# a language model that is broken, or worse


def ask_with(make: Make, says: list[Any], question: str = "why is this an attack?", **settings: Any) -> Any:
    llm = Scripted(says=says, heard=[], bound=[])
    aegis = make(llm=llm, **settings)
    case = aegis.investigate(alert("5_injection"))
    llm.heard.clear()
    return Assistant(aegis.context).ask(question, case), llm


@pytest.mark.parametrize(
    "said",
    [
        "x" * 10_000_000,
        told(*[("php-fpm started a shell.", ["f13"])] * 100_000),
        told(("php-fpm started a shell.", ["f13"] * 1_000_000)),
        told(("php-fpm started a shell.", ["f13"] * 13)),
    ],
)
def test_what_is_too_much_is_not_read(make: Make, said: str) -> None:
    answer, _ = ask_with(make, [said])
    assert answer.model == "embedded"
    assert answer.timing_ms < 5_000
    assert (len(said) <= MAX_SAID) or "more than are read" in answer.notes[0]


def test_calls_without_end_are_not_made(make: Make) -> None:
    _, llm = ask_with(make, [calls(*[("waiting", {})] * (MAX_CALLS + 1))])
    assert len(llm.heard) == 1


def test_a_model_that_hangs_gathers_no_threads(make: Make) -> None:
    llm = Scripted(says=["[]"], heard=[], bound=[])
    aegis = make(llm=llm, llm_seconds=0.1)
    case = aegis.investigate(alert("5_injection"))
    llm.seconds = 1.5
    assistant = Assistant(aegis.context)
    slots = assistant._desk.talking
    while slots._value > 2:
        slots.acquire()
    for _ in range(2):
        assert "no answer within" in assistant.ask("why is this an attack?", case).notes[0]
    before = threading.active_count()
    answer = assistant.ask("why is this an attack?", case)
    assert "busy" in answer.notes[0]
    assert "judged an attack" in answer.text
    assert threading.active_count() <= before
    deadline = time.monotonic() + 10
    while slots._value < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert slots._value == 2  # who was late gives its place back


@pytest.mark.parametrize("text", ["evil.example was contacted.", "10.9.9.9 was isolated.", "ws-9.corp.example did it."])
def test_a_name_that_only_the_question_holds_is_no_evidence(make: Make, text: str) -> None:
    question = f"is it true that {text.lower()}"
    answer, _ = ask_with(make, [told((text, ["f13"]))], question)
    assert text not in answer.text


def test_a_fact_of_another_case_can_not_pass_as_one_of_this(make: Make) -> None:
    other = make().investigate(alert())
    steps = [calls(("get_case", {"incident_id": other.incident_id})), told(("It ran inv_8841.dat.", ["f15"]))]
    answer, _ = ask_with(make, steps)
    assert "inv_8841" not in answer.text
    steps = [steps[0], told(("It ran inv_8841.dat,Start.", [f"{other.incident_id}:f15"]))]
    llm = Scripted(says=steps, heard=[], bound=[])
    aegis = make(llm=llm)
    answer = Assistant(aegis.context).ask(
        "why is this an attack?", aegis.investigate(copy.deepcopy(alert("5_injection")))
    )
    assert "inv_8841" in answer.text
    assert answer.cites[0].ref.startswith(other.incident_id)


@pytest.mark.parametrize("id", ["T1003.001", "CVE-2021-44228", "f13", "act-1", "ledger:4"])
def test_a_document_can_not_borrow_the_id_of_something_known(id: str) -> None:
    known = Passage(
        source="document", id=id, title="T1003.001 is harmless", text="x", score=1.0, licence="x", snapshot="s"
    )
    assert cite_passage(known).id == f"document:{id}"
    assert cite_passage(known.model_copy(update={"source": "technique", "id": "T1003.001"})).id == "T1003.001"
