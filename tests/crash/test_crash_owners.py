"""Who may finish what another process began. With real processes: living, stopped, killed, not yet collected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from aegis_agents import Aegis
from aegis_agents.ledger import Store
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.owners import UNDER_WAY, UnderWay, may_take_over, state_of, this_process
from tests.crash.cut import admitted, approved
from tests.graph.conftest import ATTACK, FakeFirewall

HOUR, NOW = timedelta(hours=1), timedelta()
linux = pytest.mark.skipif(sys.platform != "linux", reason="a process's birth is read from /proc")

_NAMES_ITSELF = """
import sys
from aegis_agents.tools.owners import this_process
print(this_process(), flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A living process, and the owner that it writes."""
    process = subprocess.Popen([sys.executable, "-c", _NAMES_ITSELF], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process, process.stdout.readline().decode().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


@linux
def test_another_process_lives_until_it_does_not() -> None:
    with other_process() as (process, owner):
        assert state_of(owner) == "alive"
        os.kill(process.pid, signal.SIGSTOP)  # slow is not dead
        assert state_of(owner) == "alive"
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and its parent does not know yet
        assert state_of(owner) == "dead"
        process.wait()
        assert state_of(owner) == "dead"


@linux
def test_another_process_with_the_same_number_is_not_taken_for_it() -> None:
    host_and_pid, _, birth = this_process().rpartition(":")
    boot, namespace, ticks = birth.split(".")
    assert state_of(f"{host_and_pid}:{boot}.{namespace}.{int(ticks) - 1}") == "dead"
    assert state_of(f"{host_and_pid}:000000000000.{namespace}.{ticks}") == "dead"  # before this boot
    assert state_of(f"{host_and_pid}:{boot}.1.{ticks}") == "unknown"  # another container, seen from here


def test_what_can_not_be_told_waits_until_it_is_stale() -> None:
    for owner in ("elsewhere/12345678:1:a.b.1", "no owner at all", "::", "a:b"):
        assert state_of(owner) == "unknown"
        assert not may_take_over(owner, HOUR - timedelta(seconds=1), HOUR)
        assert may_take_over(owner, HOUR, HOUR)
    assert not may_take_over(this_process(), HOUR * 1000, HOUR)
    assert may_take_over("", NOW, HOUR)
    assert may_take_over(None, NOW, HOUR)


def test_a_process_may_have_given_something_up_itself() -> None:
    work = UnderWay()
    with work.at_work("a"), work.at_work("a"):
        assert not work.given_up(this_process(), "a")
        assert work.given_up(this_process(), "b")
    assert work.given_up(this_process(), "a")
    assert not work.given_up("elsewhere/1:1:a.b.1", "a")


@linux
@pytest.mark.parametrize("stage", ["intent", "undoing"])
def test_an_intent_of_a_living_process_is_left_to_it_and_a_dead_ones_is_settled(
    open_one: Callable[[], Store], firewall: FakeFirewall, stage: str
) -> None:
    store = open_one()
    path = WritePath(store, assign([firewall]))
    with other_process() as (process, owner):
        key = approved(store, owner=owner, undoing=stage == "undoing")
        assert path.settle_open() == []
        assert path.settle_open(stale_after=NOW) == []  # however long it takes: it lives
        assert store.action(key).state == stage
        process.kill()
        process.wait()
        (receipt,) = path.settle_open()
    assert receipt.outcome == ("failed" if stage == "intent" else "undone")
    assert path.settle_open() == []


def test_an_intent_of_another_machine_is_settled_once_it_is_stale(
    open_one: Callable[[], Store], firewall: FakeFirewall
) -> None:
    store = open_one()
    path = WritePath(store, assign([firewall]))
    approved(store, owner="elsewhere/12345678:1:a.b.1")
    assert path.settle_open() == []
    assert [receipt.outcome for receipt in path.settle_open(stale_after=NOW)] == ["failed"]


def test_what_this_process_is_at_is_its_own_and_what_it_gave_up_is_not(
    open_one: Callable[[], Store], firewall: FakeFirewall
) -> None:
    store = open_one()
    path = WritePath(store, assign([firewall]))
    key = approved(store, owner=this_process())
    with UNDER_WAY.at_work(key):
        assert path.settle_open(stale_after=NOW) == []
    assert [receipt.action_id for receipt in path.settle_open()] == [key]


@linux
def test_an_incident_that_a_living_process_is_at_is_not_driven_by_another(make: Callable[..., Aegis]) -> None:
    aegis = make()
    with other_process() as (process, owner):
        incident_id = admitted(aegis, ATTACK, owner=owner)
        assert aegis.recover(stale_after=NOW) == []
        assert aegis.store.case(incident_id) is None
        process.kill()
        process.wait()
        (case,) = aegis.recover()
    assert case.incident_id == incident_id
    (entry,) = aegis.store.entries(incident_id, kind="intake.taken_over")
    assert entry.body == {"owner": this_process(), "held_by": owner}


def test_an_incident_of_another_machine_waits_from_when_it_was_last_taken_over(make: Callable[..., Aegis]) -> None:
    aegis, elsewhere = make(), "elsewhere/12345678:1:a.b.1"
    incident_id = admitted(aegis, ATTACK, owner=elsewhere)
    assert aegis.recover() == []
    aegis.store.claim(incident_id, "third/12345678:1:a.b.1", elsewhere)
    assert aegis.recover(stale_after=timedelta(seconds=30)) == []
    assert [case.incident_id for case in aegis.recover(stale_after=NOW)] == [incident_id]


def test_of_two_that_recover_at_once_one_decides(make: Callable[..., Aegis], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make(), make()
    incident_id = admitted(first, ATTACK, owner="")
    row = first.store.intake(incident_id)
    assert row is not None
    assert second._take_over(row, HOUR)
    assert not first._take_over(row, HOUR)  # it looked before the other took it
