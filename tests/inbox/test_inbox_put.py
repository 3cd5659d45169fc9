"""What is put is there, once, whole, or not at all."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from aegis_agents.errors import InboxFull, InputError, StoreError
from aegis_agents.inbox.opening import open_database
from aegis_agents.inbox.records import Mark, Message
from aegis_agents.sources import parse
from tests.inbox.inboxes import Open, again, alert, open_at, settings_of

_HOSTILE = {
    "no JSON": "nope",
    "nothing": "",
    "half-written": '{"alert_id": "a-1", "host": "ho',
    "no object": "[1, 2]",
    "a text": '"text"',
    "empty": "{}",
    "a bomb": '{"a":' * 200 + "1" + "}" * 200,
    "a bomb of lists": "[" * 100_000,
    "too large": '{"a": "' + "x" * 5_000_001 + '"}',
    "too many": json.dumps({"a": list(range(6000))}),
    "a lone NUL": "\x00",
    "lone surrogates": "\ud800\udfff",
}


def test_what_was_put_is_taken_as_it_was(open_one: Open) -> None:
    inbox = open_one()
    natives = [
        '{"a": "x\\u0000y \\ud800 z", "b": 1}',
        '{"a": "raw \x00 \x1a0000 \udcff", "b": 2}',
        '{"host": "h",   "b": 3}  ',
    ]
    messages = [Message("edr\x1a", native, f"p\x00\ud800{n}", None) for n, native in enumerate(natives)]
    assert inbox.put(messages).new == 3
    held = inbox.take("w", 10)
    assert [h.message for h in held] == messages
    assert [h.incident_id for h in held] == [parse(native).id for native in natives]
    assert [(h.copies, h.attempts) for h in held] == [(1, 1)] * 3


def test_it_is_on_disk_when_put_returns(open_one: Open) -> None:
    open_one().put([alert(1)], [Mark("edr", "file", "17")])
    other = open_one()
    assert other.mark("edr", "file") == "17"
    assert [h.message for h in other.take("w")] == [alert(1)]


def test_a_position_is_taken_in_once_whatever_stands_there(open_one: Open) -> None:
    inbox = open_one()
    long = "x" * 5000
    assert inbox.put([alert(1), alert(2, position="p1"), alert(3, position=long)])[:4] == (2, 0, 1, 0)
    assert inbox.put([alert(1), alert(9, position=long), alert(1, stream="other")])[:4] == (0, 1, 2, 0)
    assert [h.message.position for h in inbox.take("w", 9)] == ["p1", long]


def test_without_a_position_the_same_alert_counts_again(open_one: Open) -> None:
    inbox = open_one()
    first = inbox.put([alert(1, position="")] * 3)
    assert (first.new, first.folded, first.known) == (1, 2, 0)
    assert inbox.copies(parse(alert(1).native).id) == 3
    assert inbox.copies("inc-unknown") == 0


def test_marks_are_kept_with_the_messages_or_not_at_all(open_one: Open) -> None:
    inbox = open_one(most_waiting=1)
    inbox.put([alert(1)], [Mark("edr", "a", "1"), Mark("edr", "b" * 9000, "2"), Mark("edr", "a", "3")])
    assert (inbox.mark("edr", "a"), inbox.mark("edr", "b" * 9000), inbox.mark("edr", "c")) == ("3", "2", None)
    with pytest.raises(InboxFull):
        inbox.put([alert(2)], [Mark("edr", "a", "4")])
    assert inbox.mark("edr", "a") == "3"
    inbox.put([], [Mark("edr", "a", "5")])
    assert inbox.mark("edr", "a") == "5"


def test_a_full_inbox_takes_nothing_in_and_copies_still_count(open_one: Open) -> None:
    inbox = open_one(most_waiting=3)
    inbox.put([alert(1), alert(2)])
    with pytest.raises(InboxFull, match="most_waiting"):
        inbox.put([alert(3), alert(4)])
    assert inbox.counts().waiting == 2
    assert inbox.put([alert(3)]).new == 1  # the position of what was refused is not known
    assert inbox.put([alert(1, position="again"), Message("edr", "nope")])[:4] == (0, 1, 0, 1)
    with pytest.raises(InboxFull):
        inbox.put([alert(4)])
    (held,) = inbox.take("w")
    assert inbox.put([alert(4)]).new == 1  # what is being worked on does not wait
    inbox.again("w", held.number, "later")  # now four: what has to be tried again is not thrown away
    with pytest.raises(InboxFull):
        inbox.put([alert(5)])


def test_a_batch_larger_than_the_inbox_goes_into_an_empty_one(open_one: Open) -> None:
    inbox = open_one(most_waiting=3)
    assert inbox.put([alert(n) for n in range(5)]).new == 5
    with pytest.raises(InboxFull):
        inbox.put([alert(9)])


@pytest.mark.parametrize("what", _HOSTILE)
def test_what_is_no_alert_is_kept_whole_and_stops_nothing(open_one: Open, what: str) -> None:
    inbox = open_one()
    bad = Message("edr", _HOSTILE[what], "bad")
    taken = inbox.put([alert(1), bad, alert(2)], [Mark("edr", "f", "9")])
    assert (taken.new, taken.dead, inbox.mark("edr", "f")) == (2, 1, "9")
    (letter,) = inbox.dead()
    assert letter.message == bad
    assert letter.why
    assert letter.attempts == 0
    assert inbox.replay() == 0  # it still can't be read
    assert [inbox.counts().waiting, inbox.counts().dead] == [2, 1]


def test_an_unknown_format_is_a_reason_that_replay_overcomes(open_one: Open) -> None:
    inbox = open_one()
    inbox.put([Message("edr", alert(1).native, "p", "no-such-format")])
    (letter,) = inbox.dead()
    assert "no-such-format" in letter.why


def test_a_bug_in_a_reader_stops_nothing(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = open_one()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("bug")

    with monkeypatch.context() as patched:
        patched.setattr("aegis_agents.sources.parse", broken)
        assert inbox.put([alert(1)]).dead == 1
    assert "ZeroDivisionError" in inbox.dead()[0].why
    assert inbox.replay() == 1
    assert inbox.take("w")[0].incident_id == parse(alert(1).native).id


def test_a_bug_in_what_tells_its_turn_keeps_no_alert_out(open_one: Open) -> None:
    inbox = open_one(prioritise=lambda _: "no such priority")
    assert inbox.put([again(1), again(2)]).new == 2
    assert [h.priority for h in inbox.take("w", 9)] == ["high", "high"]


def test_a_dead_letter_whose_alert_came_by_another_way_becomes_a_copy(
    open_one: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = open_one()
    with monkeypatch.context() as patched:
        patched.setattr("aegis_agents.sources.parse", lambda *_, **__: 1 / 0)
        inbox.put([alert(1, position="")] * 2)
    inbox.put([alert(1)])
    assert inbox.replay() == 1
    assert inbox.counts()[:4] == (1, 0, 0, 0)
    assert inbox.copies(parse(alert(1).native).id) == 3


def test_two_alerts_with_one_incident_id_are_not_taken_for_copies(
    open_one: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = open_one()
    same = parse(alert(1).native).id
    real = parse
    monkeypatch.setattr(
        "aegis_agents.sources.parse", lambda text, **named: real(text, **named).model_copy(update={"id": same})
    )
    assert inbox.put([alert(1), alert(2)])[:4] == (1, 0, 0, 1)
    assert inbox.put([alert(3)])[:4] == (0, 0, 0, 1)
    assert {letter.message for letter in inbox.dead()} == {alert(2), alert(3)}
    assert "collide" in inbox.dead()[0].why
    assert inbox.replay() == 0
    assert inbox.copies(same) == 1


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_stream_needs_a_name(open_one: Open, name: str) -> None:
    with pytest.raises(InputError, match="stream"):
        open_one().put([alert(1, stream=name)])


def test_many_messages_at_once(open_one: Open) -> None:
    inbox = open_one()
    assert inbox.put([alert(n) for n in range(1201)]).new == 1201
    assert inbox.put([alert(n) for n in range(1201)]).known == 1201


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    open_at(settings_of(tmp_path / "new", None, "aegis")).close()
    assert stat.S_IMODE((tmp_path / "new" / "inbox.sqlite").stat().st_mode) == 0o600


def test_a_newer_version_is_refused(open_one: Open, url: str | None, tmp_path: Path, schema: str) -> None:
    open_one()._db.run("UPDATE inbox_version SET version = 2")
    with pytest.raises(StoreError, match="newer version"):
        open_database(settings_of(tmp_path, url, schema))


def test_a_closed_inbox_is_an_error_and_closing_twice_is_fine(open_one: Open) -> None:
    inbox = open_one()
    inbox.close()
    inbox.close()
    with pytest.raises(StoreError):
        inbox.put([alert(1)])
