"""A worker answers for every alert that it takes: decided, set aside, tried again or given back."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, InputError, LedgerTampered, ModelTampered, StoreError
from aegis_agents.fleet import worker as worker_module
from aegis_agents.fleet.outcomes import fate, reason
from aegis_agents.fleet.ready import Readiness
from aegis_agents.inbox.copies import COPIES, note_copies
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Held, Message
from tests.fleet.conftest import Desk, Wrapped, alert, message


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(worker_module, "LONGEST_WAIT_S", 0.02)


def test_what_waits_becomes_cases_each_once(desk: Desk) -> None:
    desk.inbox.put([message(n) for n in range(5)])
    report = desk.work()
    assert (report.decided, report.dead, report.again, report.lost) == (5, 0, 0, 0)
    assert report.model == "fake@1"
    assert report.owner.count("#") == 1
    counts = desk.inbox.counts()
    assert (counts.waiting, counts.held, counts.done) == (0, 0, 5)
    assert len(desk.aegis.cases().items) == 5


def test_an_alert_of_a_known_incident_is_done_and_nothing_is_decided_twice(desk: Desk) -> None:
    before = desk.aegis.investigate(alert(1))
    entries = len(desk.aegis.store.entries(before.incident_id))
    desk.inbox.put([message(1)])
    assert desk.work().decided == 1
    assert len(desk.aegis.store.entries(before.incident_id)) == entries
    assert desk.aegis.case(before.incident_id).verdict == before.verdict


@pytest.mark.parametrize("native", ["/etc/passwd", "~/x", "[1]", "\ufeff/etc/passwd", "null", "https://x.example/a"])
def test_text_of_a_stream_is_never_a_path(desk: Desk, native: str) -> None:
    """`Aegis.investigate` takes a path too; the inbox keeps such text out already, and the worker does not rely on it."""
    held = Held(1, Message("siem", native), "inc-x", "normal", 1, 1, datetime.now(UTC))
    left = [held]
    killed: list[str] = []

    def take(owner: str, most: int = 1) -> list[Held]:
        return [left.pop()] if left else []

    inbox = Wrapped(desk.inbox, take=take, kill=lambda owner, number, why: killed.append(why))
    assert desk.work(desk.worker(inbox)).dead == 1
    assert "is no JSON object" in killed[0]
    assert desk.aegis.cases().items == ()


def test_a_batch_is_taken_at_once_and_the_setting_says_how_many(desk: Desk) -> None:
    desk.inbox.put([message(n) for n in range(5)])
    asked: list[int] = []
    real = desk.inbox.take

    def take(owner: str, most: int = 1) -> Sequence[Held]:
        asked.append(most)
        return real(owner, most)

    settings = desk.aegis.settings.worker.model_copy(update={"batch": 3})
    desk.work(desk.worker(Wrapped(desk.inbox, take=take), settings=settings))
    assert asked == [3, 3, 3]


def _failing(desk: Desk, monkeypatch: pytest.MonkeyPatch, *errors: Exception | None) -> list[str]:
    """Let investigate raise these, one a call, and work after them."""
    left, calls, real = list(errors), [], desk.aegis.investigate

    def investigate(text: Any, *, format: str | None = None) -> Any:
        calls.append(text)
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return real(text, format=format)

    monkeypatch.setattr(desk.aegis, "investigate", investigate)
    return calls


def test_what_can_never_be_decided_is_a_dead_letter(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(desk, monkeypatch, InputError("is wrong", field="x", fix="mend it"))
    desk.inbox.put([message(1), message(2)])
    report = desk.work()
    assert (report.decided, report.dead) == (1, 1)
    (dead,) = desk.inbox.dead()
    assert dead.why == "InputError: x: is wrong (mend it)"
    assert dead.message.native in (alert(1), alert(2))
    desk.inbox.replay()
    assert desk.work().decided == 1


def test_a_failure_of_no_alert_is_tried_again_and_says_no_word_of_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _failing(desk, monkeypatch, KeyError("the-secret-of-the-alert"))
    desk.inbox.put([message(1)])
    with caplog.at_level(logging.INFO):
        report = desk.work()
    assert (report.decided, report.again) == (0, 1)
    assert report.errors == {"KeyError": 1}
    assert "KeyError" in caplog.text
    assert "the-secret" not in caplog.text
    assert "Beacon" not in caplog.text


def test_it_waits_for_the_database_with_what_it_holds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _failing(desk, monkeypatch, StoreError("away"), StoreError("still away"))
    desk.inbox.put([message(1)])
    report = desk.work()
    assert (report.decided, report.again, report.dead) == (1, 0, 0)
    assert len(calls) == 3
    assert report.errors == {"StoreError": 2}
    assert report.trouble == ""


def test_what_the_database_takes_offence_at_is_not_waited_with_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _failing(desk, monkeypatch, *[StoreError("this one")] * 50)
    desk.inbox.put([message(1)])
    assert desk.work().again == 1
    assert len(calls) == worker_module.MOST_WAITS + 1


def test_a_database_that_is_away_as_long_as_it_likes_costs_no_attempt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the investigation nor the inbox answers; then both do."""
    calls = _failing(desk, monkeypatch, *[StoreError("away")] * 3)
    left = 20
    real = desk.inbox.extend

    def extend(owner: str, numbers: Sequence[int]) -> list[int]:
        nonlocal left
        left -= 1
        if left > 0:
            raise StoreError("away")
        return real(owner, numbers)

    desk.inbox.put([message(1)])
    assert desk.work(desk.worker(Wrapped(desk.inbox, extend=extend))).decided == 1
    assert len(calls) >= 4


def test_take_is_waited_for_and_the_report_says_so(desk: Desk) -> None:
    left, stop = [1, 1, 1], threading.Event()
    real = desk.inbox.take
    seen: list[str] = []

    def take(owner: str, most: int = 1) -> Sequence[Held]:
        if left:
            left.pop()
            raise StoreError("postgresql://db: away")
        if worker.report().idle:
            stop.set()
        seen.append(worker.report().trouble)
        return real(owner, most)

    worker = desk.worker(Wrapped(desk.inbox, take=take))
    desk.inbox.put([message(1)])
    assert worker.run(stop).decided == 1
    assert seen[0] == "StoreError: postgresql://db: away"
    assert seen[-1] == ""


@pytest.mark.parametrize("error", [LedgerTampered("entry 3"), ModelTampered("encoder.onnx")])
def test_tampering_stops_the_worker_and_nothing_is_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _failing(desk, monkeypatch, None, error)
    desk.inbox.put([message(n) for n in range(4)])
    given_back: list[int] = []
    inbox = Wrapped(desk.inbox, give_back=lambda owner, numbers: given_back.extend(numbers))
    with pytest.raises(type(error)):
        desk.work(desk.worker(inbox))
    assert len(given_back) == 3
    counts = desk.inbox.counts()
    assert (counts.done, counts.waiting + counts.held, counts.dead) == (1, 3, 0)


def test_told_to_stop_it_finishes_what_it_is_at_and_gives_back_the_rest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, real = threading.Event(), desk.aegis.investigate

    def investigate(text: Any, *, format: str | None = None) -> Any:
        stop.set()
        return real(text, format=format)

    monkeypatch.setattr(desk.aegis, "investigate", investigate)
    desk.inbox.put([message(n) for n in range(4)])
    given_back: list[int] = []
    inbox = Wrapped(desk.inbox, give_back=lambda owner, numbers: given_back.extend(numbers))
    assert desk.worker(inbox).run(stop).decided == 1
    assert len(given_back) == 3


def test_what_was_taken_before_is_worked_on_by_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what ends whoever works on it takes no others along."""
    held = [
        Held(n, message(n), f"inc-{n}", "normal", 1, attempts, datetime.now(UTC))
        for n, attempts in [(1, 3), (2, 1), (3, 2), (4, 1)]
    ]
    seen: list[str] = []
    real = desk.aegis.investigate
    monkeypatch.setattr(
        desk.aegis, "investigate", lambda text, format: seen.append(json.loads(text)["event_id"]) or real(text)
    )
    batches = [held]
    inbox = Wrapped(
        desk.inbox, take=lambda owner, most: batches.pop() if batches else [], done=lambda owner, number: True,
        give_back=lambda owner, numbers: seen.append(f"back {numbers}"),
    )  # fmt: skip
    desk.work(desk.worker(inbox))
    assert seen == ["a-2", "a-4", "back [3]", "a-1"]


def test_holds_are_extended_while_one_takes_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = desk.aegis.investigate
    taken_meanwhile: list[Held] = []

    def slow(text: Any, *, format: str | None = None) -> Any:
        time.sleep(0.9)
        taken_meanwhile.extend(other.take("somebody else", 10))
        return real(text, format=format)

    held_short = desk.aegis.settings.inbox.model_copy(update={"hold_s": 0.3})
    settings = desk.aegis.settings.model_copy(update={"inbox": held_short})
    monkeypatch.setattr(desk.aegis, "settings", settings)
    monkeypatch.setattr(desk.aegis, "investigate", slow)
    mine, other = open_inbox(settings), open_inbox(settings)
    mine.put([message(1)])
    report = desk.work(desk.worker(mine))
    assert taken_meanwhile == []
    assert (report.decided, report.lost) == (1, 0)
    mine.close()
    other.close()


def test_who_is_stuck_lets_go_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()

    def stuck(text: Any, *, format: str | None = None) -> Any:
        assert freed.wait(10)
        raise InputError("late")

    monkeypatch.setattr(desk.aegis, "investigate", stuck)
    settings = desk.aegis.settings.worker.model_copy(update={"longest_s": 0.2})
    desk.inbox.put([message(1)])
    desk.work(desk.worker(settings=settings, when_stuck=freed.set))
    assert freed.is_set()


def test_while_the_disk_is_full_or_the_model_gone_nothing_is_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = desk.aegis.settings.worker.model_copy(update={"least_free_mb": 10**9})
    monkeypatch.setattr(desk.aegis, "settings", desk.aegis.settings.model_copy(update={"worker": full}))
    desk.inbox.put([message(1)])
    with caplog.at_level(logging.ERROR):
        report = desk.work()
    assert report.decided == 0
    assert "worker.least_free_mb" in report.trouble
    assert caplog.text.count("nothing is taken any more") == 1
    assert desk.inbox.counts().waiting == 1

    roomy = full.model_copy(update={"least_free_mb": 0})
    monkeypatch.setattr(desk.aegis, "settings", desk.aegis.settings.model_copy(update={"worker": roomy}))
    models = desk.aegis.settings.home / "models"
    (models / "abc").mkdir(parents=True)
    (models / "current.json").write_text(f'{{"name":"own","folder":"{models}/abc","manifest_sha256":"{"0" * 64}"}}')
    report = desk.work()
    assert report.decided == 0
    assert f"{models}/abc/manifest.json is gone" in report.trouble
    (models / "current.json").unlink()
    assert desk.work().decided == 1


def test_readiness_looks_again_and_says_when_it_is_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = iter(["home: full", "home: full", ""])
    ready = Readiness(desk.aegis.settings, every_s=0)
    monkeypatch.setattr(ready, "_look", lambda: next(found))
    with caplog.at_level(logging.WARNING):
        assert [ready(), ready(), ready()] == [False, False, True]
    assert [r.message for r in caplog.records] == ["nothing is taken any more: home: full", "alerts are taken again"]


def test_a_storm_leaves_an_entry_for_each_power_of_ten(desk: Desk) -> None:
    desk.inbox.put([Message("siem", alert(1), f"p{n}") for n in range(1200)])
    desk.work()
    (row,) = desk.aegis.cases().items
    assert desk.inbox.copies(row.incident_id) == 1200
    (entry,) = desk.aegis.store.entries(row.incident_id, kind=COPIES)
    assert entry.body == {"copies": 1200}
    assert not note_copies(desk.aegis.store, row.incident_id, 9999)
    assert note_copies(desk.aegis.store, row.incident_id, 10_000)
    assert not note_copies(desk.aegis.store, "inc-unknown", 10_000)
    assert not note_copies(desk.aegis.store, row.incident_id, 9)


def test_reasons_hold_nothing_that_a_terminal_obeys_and_have_an_end() -> None:
    assert "\x1b" not in reason(InputError("\x1b[2Jgone\nnext", field="x"))
    assert len(reason(InputError("x" * 5000))) == 300
    assert reason(OSError(28, "No space left on device")) == "OSError: No space left on device"
    assert fate(ConnectorError("no")) == "again"
    assert fate(RuntimeError("x")) == "again"


def test_the_encoder_of_a_worker_has_the_threads_that_it_is_given(tmp_path: Path) -> None:
    from aegis_agents.fleet.opening import for_worker
    from aegis_agents.settings import only

    assert for_worker(only(home=tmp_path, threads=7)).threads == 1
    assert for_worker(only(home=tmp_path, threads=7, worker={"threads": 3})).threads == 3
