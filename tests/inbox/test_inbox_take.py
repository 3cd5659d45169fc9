"""Taken, held for a time, done, tried again, set aside: each once, and none for ever."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from pydantic import ValidationError

from aegis_agents.errors import InputError
from aegis_agents.settings_inbox import InboxSettings
from aegis_agents.sources import parse
from tests.inbox.inboxes import Clock, Open, again, alert


def test_what_is_held_is_nobody_elses_and_what_is_done_is_over(open_one: Open) -> None:
    inbox, other = open_one(), open_one()
    inbox.put([alert(1), alert(2)])
    (first,), (second,) = inbox.take("a"), other.take("b")
    assert first.number != second.number
    assert inbox.take("a") == []
    assert not inbox.done("a", second.number)
    assert inbox.done("a", first.number)
    assert not inbox.done("a", first.number)
    assert other.counts()[:4] == (0, 1, 1, 0)


@pytest.mark.parametrize(("owner", "most"), [("", 1), ("w", 0)])
def test_who_takes_has_a_name_and_takes_something(open_one: Open, owner: str, most: int) -> None:
    with pytest.raises(InputError):
        open_one().take(owner, most)


def test_a_hold_runs_out(open_one: Open, clock: Clock) -> None:
    inbox = open_one(hold_s=60)
    inbox.put([alert(1)])
    (held,) = inbox.take("a")
    clock.move(59)
    assert inbox.take("b") == []
    clock.move(1)
    assert inbox.extend("a", [held.number]) == [held.number]  # nobody has taken it yet
    clock.move(59)
    assert inbox.take("b") == []
    clock.move(1)
    (taken,) = inbox.take("b")
    assert (taken.number, taken.attempts) == (held.number, 2)
    assert inbox.extend("a", [held.number, 999]) == []
    assert not inbox.done("a", held.number)
    inbox.kill("a", held.number, "late")
    assert not inbox.again("a", held.number, "late")
    assert inbox.done("b", held.number)


def test_what_was_not_begun_is_given_back_as_it_was(open_one: Open) -> None:
    inbox = open_one(attempts=1)
    inbox.put([alert(1), alert(2), alert(3)])
    first, second, third = inbox.take("w", 3)
    inbox.done("w", third.number)
    inbox.give_back("other", [first.number])
    assert inbox.counts().held == 2
    inbox.give_back("w", [second.number, first.number, third.number, 99])
    assert inbox.counts()[:3] == (2, 0, 1)
    assert inbox.take("v", 9) == [first, second]
    inbox.give_back("v", [])


def test_what_ends_its_taker_is_set_aside(open_one: Open, clock: Clock) -> None:
    inbox = open_one(hold_s=10, attempts=3)
    inbox.put([alert(1)])
    for attempt in (1, 2, 3):
        assert [h.attempts for h in inbox.take(f"w{attempt}")] == [attempt]
        clock.move(11)
    assert inbox.take("w4") == []
    (letter,) = inbox.dead()
    assert (letter.message, letter.attempts) == (alert(1), 3)
    assert "3 times" in letter.why
    assert inbox.replay([letter.number, 77]) == 1
    assert inbox.take("w5")[0].attempts == 1


def test_again_waits_longer_each_time_and_ends(open_one: Open, clock: Clock) -> None:
    inbox = open_one(attempts=4, hold_s=1)
    inbox.put([alert(1)])
    for wait in (5, 10, 20):
        (held,) = inbox.take("w")
        assert not inbox.again("w", held.number, "no model")
        assert inbox.counts()[:2] == (1, 0)
        clock.move(wait - 0.1)
        assert inbox.take("w") == []
        clock.move(0.2)
    (held,) = inbox.take("w")
    assert inbox.again("w", held.number, "no model")
    (letter,) = inbox.dead()
    assert (letter.why, letter.attempts) == ("no model", 4)
    assert letter.died_at == clock.at


def test_the_setting_attempts_ends_it_sooner(open_one: Open) -> None:
    inbox = open_one(attempts=1)
    inbox.put([alert(1)])
    assert inbox.again("w", inbox.take("w")[0].number, "no")


def test_again_waits_no_longer_than_a_quarter_of_an_hour(open_one: Open, clock: Clock) -> None:
    inbox = open_one(attempts=100)
    inbox.put([alert(1)])
    for _ in range(12):
        (held,) = inbox.take("w")
        inbox.again("w", held.number, "no")
        clock.move(901)
    assert inbox.take("w")[0].attempts == 13


def test_killed_is_kept_whole_and_replayed(open_one: Open) -> None:
    inbox = open_one()
    inbox.put([alert(n) for n in range(4)])
    for held in inbox.take("w", 3):
        inbox.kill("w", held.number, f"bad \x00 \ud800 {held.number}")
    letters = inbox.dead()
    assert [letter.message for letter in letters] == [alert(0), alert(1), alert(2)]
    assert letters[0].why == f"bad \x00 \ud800 {letters[0].number}"
    assert inbox.dead(1, after=letters[0].number) == letters[1:2]
    assert inbox.dead(0) == []
    assert inbox.replay([letters[1].number]) == 1
    assert [h.message for h in inbox.take("w", 9)] == [alert(3), alert(1)]
    assert inbox.replay() == 2
    assert inbox.replay() == 0


def test_a_clock_that_goes_back_holds_nothing_for_ever(open_one: Open, clock: Clock) -> None:
    inbox = open_one(hold_s=120, attempts=9)
    inbox.put([alert(1), alert(2), alert(3)])
    first, second = inbox.take("w", 2)
    inbox.again("w", second.number, "no")
    clock.move(-10 * 86_400)
    assert sorted(h.message for h in inbox.take("v", 9)) == [alert(1), alert(2), alert(3)]
    assert not inbox.done("w", first.number)
    clock.move(20 * 86_400)
    assert len(inbox.take("u", 9)) == 3
    assert inbox.counts().oldest_s == 0.0


def test_postgresql_holds_by_its_own_clock(open_one: Open, url: str | None) -> None:
    inbox = open_one(clock=None, hold_s=0.3)
    inbox.put([alert(1)])
    assert bool(inbox._db.clock) == (url is not None)
    (held,) = inbox.take("a")
    assert open_one(clock=None).take("b") == []
    threading.Event().wait(0.35)
    assert [h.number for h in open_one(clock=None).take("b")] == [held.number]


def test_counts_say_how_things_stand(open_one: Open, clock: Clock) -> None:
    inbox = open_one()
    assert inbox.counts() == (0, 0, 0, 0, 0, 0.0, {})
    inbox.put([alert(1), alert(2), alert(3, stream="net"), alert(1, position="x")])
    clock.move(30)
    inbox.put([alert(4)])
    held = inbox.take("w", 2)
    inbox.done("w", held[0].number)
    inbox.again("w", held[1].number, "no")
    clock.move(4)
    found = inbox.counts()
    assert (found.waiting, found.held, found.done, found.dead, found.copies) == (3, 0, 1, 0, 1)
    assert found.oldest_s == 34
    assert sum(found.by_stream.values()) == 3


def test_what_is_done_is_forgotten_in_time_and_counted_still(open_one: Open, clock: Clock) -> None:
    inbox = open_one()
    inbox.put([alert(1), alert(2), alert(1, position="x"), alert(3, position="bad")])
    first, second, third = inbox.take("w", 3)
    inbox.done("w", first.number)
    inbox.kill("w", third.number, "never")
    clock.move(10 * 86_400)
    inbox.done("w", second.number)
    assert inbox.forget(11) == 0
    assert inbox.forget(9) == 1
    assert inbox.counts()[2:5] == (1, 1, 1)
    assert inbox.copies(first.incident_id) == 0
    assert inbox.put([alert(1)]).new == 1  # its position is forgotten with it; its case is not made twice


def test_what_is_done_leaves_no_text(open_one: Open) -> None:
    inbox = open_one()
    inbox.put([alert(1)])
    (held,) = inbox.take("w")
    inbox.done("w", held.number)
    assert bytes(inbox._db.one("SELECT native FROM inbox_messages")) == b""
    assert inbox.copies(held.incident_id) == 1


def test_threads_share_one_inbox(open_one: Open) -> None:
    inbox = open_one()
    seen: list[int] = []

    def put_some(start: int) -> None:
        for number in range(start, start + 20):
            inbox.put([alert(number)])

    def take_all(name: str) -> None:
        misses = 0
        while misses < 50:
            found = inbox.take(name, 3)
            misses = 0 if found else misses + 1
            seen.extend(h.number for h in found if inbox.done(name, h.number))

    threads = [threading.Thread(target=put_some, args=(at,)) for at in (0, 100)]
    threads += [threading.Thread(target=take_all, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while held := inbox.take("c", 5):
        seen += [h.number for h in held if inbox.done("c", h.number)]
    assert len(seen) == len(set(seen)) == 40


def test_the_incident_is_the_one_that_investigating_gives(open_one: Open) -> None:
    inbox = open_one()
    inbox.put([alert(1)._replace(format="generic")])
    (held,) = inbox.take("w")
    assert held.incident_id == parse(held.message.native, format=held.message.format).id
    assert held.received_at - timedelta(0) == Clock().at


def test_workers_with_other_settings_leave_each_others_holds_alone(open_one: Open, clock: Clock) -> None:
    patient, hasty = open_one(hold_s=100_000), open_one(hold_s=1)
    patient.put([alert(1)])
    (held,) = patient.take("a")
    clock.move(5000)
    assert hasty.take("b") == []
    assert patient.done("a", held.number)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hold_s", "inf"), ("hold_s", 0), ("kept_days", "nan"), ("fold_minutes", -1), ("rate_per_stream", "nan"),
        ("attempts", 0), ("most_waiting", 0), ("unknown", 1),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        InboxSettings.model_validate({name: value})


def test_what_is_discarded_is_gone_and_may_come_again(open_one: Open) -> None:
    inbox = open_one()
    inbox.put([alert(n) for n in range(4)])
    inbox.put([alert(0, position="once more")])
    for held in inbox.take("w", 3):
        inbox.kill("w", held.number, "bad")
    first, second, third = inbox.dead()
    waiting = inbox.counts().waiting
    assert inbox.discard([first.number, first.number, 77, -1, 2**70]) == 1
    assert [letter.number for letter in inbox.dead()] == [second.number, third.number]
    assert inbox.discard() == 2
    assert inbox.discard() == 0
    assert inbox.counts()[:4] == (waiting, 0, 0, 0)
    assert inbox.counts().copies == 1  # how many were copies stays counted
    assert inbox.put([alert(0, position="later")]).new == 1


def test_what_waits_or_is_held_is_not_discarded(open_one: Open) -> None:
    inbox = open_one()
    inbox.put([alert(1), alert(2)])
    (held,) = inbox.take("w", 1)
    assert inbox.discard([1, 2]) == 0
    assert inbox.discard() == 0
    inbox.done("w", held.number)
    assert inbox.discard([held.number]) == 0
    assert inbox.counts()[:3] == (1, 0, 1)


def test_a_copy_of_what_was_discarded_stands_for_itself(open_one: Open, clock: Clock) -> None:
    inbox = open_one(fold_minutes=60)
    inbox.put([again(1)])
    assert inbox.put([again(2)]).folded == 1
    (held,) = inbox.take("w")
    inbox.kill("w", held.number, "bad")
    assert inbox.discard([held.number]) == 1
    assert inbox.put([again(2)]).new == 1
    assert [h.message for h in inbox.take("w", 9)] == [again(2)]
