"""What one worker does for all: who leads, what is due, and what a failing tick costs (nothing)."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.fleet import opening
from aegis_agents.fleet import ticks as ticks_module
from aegis_agents.fleet.leading import FileLeading, open_leading
from aegis_agents.fleet.ticks import Tick, Ticks, standing_ticks
from aegis_agents.inbox.records import Message
from tests.fleet.conftest import Desk, alert, message


class _Leads:
    def __init__(self, *answers: bool | Exception) -> None:
        self._answers, self.closed = list(answers), False

    def __call__(self) -> bool:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("watch", [True, False])
def test_a_server_without_a_worker_is_watched_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, watch: bool) -> None:
    model, files = threading.Event(), threading.Event()

    def watched(aegis: Aegis, monitor: object, egress: object) -> tuple[list[Tick], list[Tick]]:
        return [Tick("model", 9.0, model.set)] if monitor is not None else [], [Tick("files", 9.0, files.set)]

    monkeypatch.setattr(opening, "WATCH_EVERY_S", 0.01)
    monkeypatch.setattr(opening, "_watched", watched)
    with Aegis(home=tmp_path, worker={"watch": watch}) as aegis, opening.worker_beside(aegis):
        assert files.wait(20)
        assert model.wait(20 if watch else 0.2) is watch
    another = FileLeading(tmp_path / "fleet.lock")
    assert another(), "who leads leaves it to another"
    another.close()


def test_one_of_all_leads_until_it_ends(tmp_path: Path) -> None:
    first, second = FileLeading(tmp_path / "fleet.lock"), FileLeading(tmp_path / "fleet.lock")
    assert first()
    assert first()
    assert not second()
    first.close()
    first.close()
    assert second()
    second.close()


def test_a_leader_that_is_killed_leads_no_more(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from aegis_agents.fleet.leading import FileLeading\n"
        "leading = FileLeading(Path(sys.argv[1])); print(leading(), flush=True); time.sleep(60)"
    )
    mine = FileLeading(tmp_path / "lock")
    held = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    with held, held.stdout:
        assert held.stdout.readline() == "True\n"
        assert not mine()
        held.kill()
        held.wait(10)
    assert mine()
    mine.close()


def test_a_lock_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(StoreError, match="can't be opened"):
        FileLeading(tmp_path / "lock")()


def test_who_does_not_lead_does_nothing(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    leads = _Leads(False, StoreError("away"), True)
    ticks = Ticks([Tick("x", 0.0, lambda: done.append(1))], leads)
    ticks.run_due()
    with caplog.at_level(logging.WARNING):
        ticks.run_due()
    assert done == []
    assert "away" in caplog.text
    ticks.run_due()
    assert done == [1]
    ticks.close()
    assert leads.closed


def test_a_tick_has_its_turn_and_a_failing_one_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [0.0]
    monkeypatch.setattr(ticks_module.time, "monotonic", lambda: clock[0])
    done: list[str] = []

    def fail() -> None:
        done.append("fail")
        raise ValueError("of an alert")

    ticks = Ticks([Tick("fails", 10.0, fail), Tick("works", 30.0, lambda: done.append("works"))], _Leads(True))
    with caplog.at_level(logging.ERROR):
        for clock[0] in (0.0, 5.0, 10.0, 30.0):
            ticks.run_due()
    assert done == ["fail", "works", "fail", "fail", "works"]
    assert "tick fails failed: ValueError" in caplog.text
    assert "of an alert" not in caplog.text


def test_tampering_that_a_tick_finds_stops_the_worker(desk: Desk) -> None:
    def check() -> None:
        raise LedgerTampered("entry 3")

    with pytest.raises(LedgerTampered):
        desk.work(desk.worker(ticks=[Tick("integrity", 60.0, check)]))


def test_a_worker_finishes_what_a_dead_one_had_taken_in(desk: Desk) -> None:
    """`recover`: the alert was taken in, its process died before it was decided."""
    from aegis_agents.reading import read_alert

    incident, native = read_alert(alert(7), format=None, tenant="default")
    desk.aegis.store.admit(incident, native, desk.aegis.context.versions, owner="")
    desk.work()
    assert desk.aegis.case(incident.id).verdict == "true_positive"


def test_the_leader_forgets_what_was_done_long_ago(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(desk.inbox, "forget", lambda days: asked.append(days) or 0)
    desk.work()
    assert asked == [desk.aegis.settings.inbox.kept_days]


def test_recovering_is_as_often_as_it_is_set(desk: Desk) -> None:
    every = {t.name: t.every_s for t in standing_ticks(desk.aegis, desk.inbox)}
    assert every["recover"] == 60.0
    other = desk.other(worker={"recover_s": 7.0})
    assert {t.name: t.every_s for t in standing_ticks(other, desk.inbox)}["recover"] == 7.0


def test_two_workers_at_once_share_the_work_and_one_leads(desk: Desk) -> None:
    desk.inbox.put([message(n) for n in range(30)])
    led: list[int] = []
    stop = threading.Event()
    aegises = [desk.other(), desk.other()]
    workers = [
        desk.worker(aegis=a, ticks=[Tick("lead", 3600.0, lambda n=n: led.append(n))]) for n, a in enumerate(aegises)
    ]
    threads = [threading.Thread(target=w.run, args=(stop,)) for w in workers]
    for thread in threads:
        thread.start()
    while desk.inbox.counts().done < 30:
        assert all(t.is_alive() for t in threads)
        stop.wait(0.02)
    assert len(led) == 1
    stop.set()
    for thread in threads:
        thread.join(20)
    assert sum(w.report().decided for w in workers) == 30
    assert len(desk.aegis.cases(limit=100).items) == 30
    assert isinstance(open_leading(desk.aegis.settings), FileLeading)


def test_copies_that_come_while_it_waits_are_one_case(desk: Desk) -> None:
    desk.inbox.put([Message("a", alert(1), "1"), Message("b", alert(1), "9")])
    assert desk.work().decided == 1
