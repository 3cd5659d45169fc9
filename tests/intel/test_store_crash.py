"""Writers that are killed, writers that wait, readers that go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aegis_agents.intel import Document, Intel, files
from aegis_agents.intel.changes import Change

ROOT = Path(__file__).parents[2]

_CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import FakeEmbedder
from aegis_agents.intel import Document, Intel, files, segments, writer
from aegis_agents.intel.changes import Change

die_at, calls = int(sys.argv[2]), 0

def dying(real):
    def step(*arguments, **named):
        global calls
        calls += 1
        if calls == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    return step

with Intel.open(Path(sys.argv[1]), FakeEmbedder()) as intel:
    for module, name in (
        (segments, "write_index"), (segments, "write_tables"), (files, "sync"), (files, "place"), (files, "replace"),
        (writer, "write_manifest"),
    ):
        setattr(module, name, dying(getattr(module, name)))
    feed = sys.argv[3]
    made = [
        Document(corpus="report", id=f"{{feed}}/{{n}}", title="t", text=f"zanzibar {{n}}", licence="x", feed=feed)
        for n in range(3)
    ]
    intel.apply([Change(feed, "1", made, True)])
print(calls)
"""


def run(directory: Path, die_at: int) -> subprocess.CompletedProcess[str]:
    code = _CHILD.format(tests=str(Path(__file__).parent))
    return subprocess.run(
        [sys.executable, "-c", code, str(directory), str(die_at), "news"], capture_output=True, text=True, cwd=ROOT
    )


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_writer_killed_at_any_step_leaves_the_last_good_snapshot(directory: Path, tmp_path: Path, model) -> None:
    import shutil

    whole = run(Path(shutil.copytree(directory, tmp_path / "whole")), 0)
    steps = int(whole.stdout)
    assert steps == 14
    before = (directory / "current").read_text()
    for die_at in (1, 7, 8, 9, 10, 11, 12):
        done = run(directory, die_at)
        assert done.returncode == -signal.SIGKILL, done.stderr
        with Intel.open(directory, model, build_if_missing=False) as intel:
            swapped = (directory / "current").read_text() != before
            # Only what comes after the swap leaves the new snapshot, and that whole. The segment of an earlier
            # attempt that was put in place is used again, which spares two steps.
            assert swapped == (die_at == steps - 2)
            assert len(intel.lookup([f"news/{n}" for n in range(3)])) == (3 if swapped else 0)
            assert intel.technique("T1059") is not None
    with Intel.open(directory, model) as intel:  # and the next writer goes on, and tidies up
        intel.apply([Change("news", "1", [document(1)], complete=True)])
        assert [p.id for p in intel.lookup("news/1")] == ["news/1"]
    assert not list(directory.rglob(".building-*"))


def document(number: int, feed: str = "news") -> Document:
    return Document(
        corpus="report", id=f"{feed}/{number}", title="t", text=f"zanzibar {number}", licence="x", feed=feed
    )


def test_a_writer_waits_for_another_and_works_on_what_it_left(directory: Path, embedder) -> None:
    began, let_go, written = threading.Event(), threading.Event(), threading.Event()
    with Intel.open(directory, embedder()) as one, Intel.open(directory, embedder()) as two:

        def hold() -> None:
            with files.only_writer(directory):
                began.set()
                let_go.wait(30)

        def write() -> None:
            one.apply([Change("news", "1", [document(1)], complete=True)])
            written.set()

        holder, writer = threading.Thread(target=hold), threading.Thread(target=write)
        holder.start()
        began.wait(30)
        writer.start()
        assert two.search("powershell")  # readers never wait: the lock is held until they are done
        assert two.refresh() is False
        assert not written.wait(0.2)
        let_go.set()
        assert written.wait(30)
        assert two.refresh() is True
        holder.join()
        writer.join()


def test_many_writers_lose_nothing(directory: Path, embedder) -> None:
    def write(feed: str) -> None:
        with Intel.open(directory, embedder()) as intel:
            for number in range(4):
                intel.apply([Change(feed, str(number), [document(number, feed)], complete=False)])

    threads = [threading.Thread(target=write, args=(f"feed{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Intel.open(directory, embedder()) as intel:
        assert intel.counts()["report"] == {f"feed{n}": 4 for n in range(3)}
        assert len(intel.search("zanzibar", corpora=("report",), k=100)) == 12


def test_two_processes_write_one_after_the_other(directory: Path, model) -> None:
    code = _CHILD.format(tests=str(Path(__file__).parent))
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(directory), "0", feed], cwd=ROOT, stdout=subprocess.DEVNULL)
        for feed in ("ant", "bee")
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    with Intel.open(directory, model) as intel:
        assert intel.counts()["report"] == {"ant": 3, "bee": 3}


def test_searches_go_on_while_many_changes_are_applied(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        stop, wrong = threading.Event(), []

        def read() -> None:
            while not stop.is_set():
                found = intel.search("zanzibar", corpora=("report",), k=50)
                if [p for p in found if p.snapshot != found[0].snapshot]:
                    wrong.append(found)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for number in range(12):
            intel.apply([Change("news", "1", [document(n) for n in range(number)], complete=True)])
        stop.set()
        for reader in readers:
            reader.join()
        assert wrong == []
