"""Workers in processes of their own: what dies is started again, what it held is decided by another, nothing twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.fleet import processes as processes_module
from aegis_agents.fleet.processes import STUCK, Ended, Processes, alone
from aegis_agents.fleet.stopping import told_to_stop
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.opening import open_inbox
from tests.crash.world import World
from tests.fleet import light
from tests.fleet.conftest import message
from tests.fleet.scene import open_scene, scene_settings


@pytest.fixture
def scene(tmp_path: Path, intel_folder: Path) -> Iterator[tuple[partial[Aegis], Inbox]]:
    """How processes open an Aegis on a state, and its inbox."""
    home = tmp_path / "home"
    home.mkdir()
    inbox = open_inbox(scene_settings(home))
    yield partial(open_scene, home, intel_folder), inbox
    inbox.close()


@contextmanager
def running(fleet: Processes) -> Iterator[tuple[threading.Event, list[Ended]]]:
    """The fleet in a thread; stopped in the end."""
    stop, ended = threading.Event(), []
    thread = threading.Thread(target=lambda: ended.append(fleet.run(stop)))
    thread.start()
    try:
        yield stop, ended
    finally:
        stop.set()
        thread.join(90)
        assert not thread.is_alive()


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_deaths_lose_nothing_and_nothing_is_done_twice(scene: tuple[partial[Aegis], Inbox]) -> None:
    """One process is killed, and one alert ends whoever takes it: it is set aside, all others are decided once."""
    opener, _ = scene
    opener = partial(opener, inbox={"attempts": 3, "hold_s": 0.5})
    inbox = open_inbox(scene_settings(opener.args[0], inbox={"attempts": 3, "hold_s": 0.5}))
    moods = {2: "deadly", 5: "slow", 6: "slow"}
    inbox.put([message(n, mood=moods.get(n, "")) for n in range(14)])
    said: list[str] = []
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.fleet.preload"])
    fleet = Processes(opener, 2, restarts=10, say=said.append, method="forkserver")
    with running(fleet) as (_, ended):
        until(lambda: inbox.counts().done >= 3)
        os.kill(fleet.pids[0], signal.SIGKILL)
        until(lambda: inbox.counts().done == 13 and inbox.counts().dead == 1)
    assert ended[0].code == 0
    assert any("ended by SIGKILL; another is started" in line for line in said)
    (dead,) = inbox.dead()
    assert '"mood": "deadly"' in dead.message.native
    inbox.close()
    with opener() as aegis:
        assert len([c for c in aegis.cases(limit=100).items if c.verdict]) == 13
        aegis.store.verify()
    calls = Counter((c.action, c.target) for c in World(opener.args[0] / "world.sqlite").calls() if c.effective)
    assert set(calls.values()) <= {1}


def test_a_crash_loop_ends_with_a_clear_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes_module, "_FIRST_PAUSE_S", 0.01)
    said: list[str] = []
    ended = Processes(light.die, 1, restarts=1, say=said.append).run(threading.Event())
    assert said == ["worker 0 ended by SIGKILL; another is started in 0.0 s"]
    assert ended.code == 1
    assert "2 workers ended by themselves within 5 minutes, the last one ended by SIGKILL: gives up" in ended.why


def test_a_stuck_process_is_named_so() -> None:
    ended = Processes(light.stuck, 1, restarts=0).run(threading.Event())
    assert "the last one was stuck at one alert" in ended.why


def test_a_stuck_worker_ends_its_process(scene: tuple[partial[Aegis], Inbox], monkeypatch: pytest.MonkeyPatch) -> None:
    opener, inbox = scene
    opener = partial(opener, worker={"longest_s": 0.3})
    inbox.put([message(0, mood="long")])
    codes: list[int] = []
    monkeypatch.setattr(processes_module.os, "_exit", codes.append)
    alone(threading.Event(), opener, until_empty=True)
    assert codes == [STUCK]


@pytest.mark.parametrize(
    ("opener", "code", "why", "words"),
    [
        (light.wrong, 2, "its settings are wrong", "policy: is no file"),
        (light.tampered, 3, "tampered", "entry 7 does not fit"),
    ],
)
def test_what_starting_again_can_not_mend_stops_all(
    opener: Any, code: int, why: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = Processes(opener, 2, say=lambda _: pytest.fail("started again")).run(threading.Event())
    assert ended.code == code
    assert why in ended.why
    assert words in capfd.readouterr().err
    assert alone(threading.Event(), opener).code == code


def test_workers_end_with_the_process_that_started_them(scene: tuple[partial[Aegis], Inbox], tmp_path: Path) -> None:
    opener, _ = scene
    code = (
        "import sys, threading; from pathlib import Path; from functools import partial\n"
        "from aegis_agents.fleet.processes import Processes; from tests.fleet.scene import open_scene\n"
        "def main():\n"
        "    fleet = Processes(partial(open_scene, Path(sys.argv[1]), Path(sys.argv[2])), 1)\n"
        "    threading.Timer(0.5, lambda: print(*fleet.pids, flush=True)).start()\n"
        "    fleet.run(threading.Event())\n"
        "if __name__ == '__main__': main()\n"
    )
    file = tmp_path / "parent.py"
    file.write_text(code)
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(file), str(opener.args[0]), str(opener.args[1])], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait(10)
    until(lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text())


def test_signals_set_the_event_and_mean_what_they_did_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have let it be ignored
    with told_to_stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
    assert signal.getsignal(signal.SIGTERM) is before
    with told_to_stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, interrupted)
