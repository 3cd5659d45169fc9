"""Old snapshots are dropped, and nothing that is still needed goes with them."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from pathlib import Path

import pytest

from aegis_agents.errors import InputError, IntelError, IntelTampered
from aegis_agents.intel import Intel, facade, files, opened, prune, snapshot
from aegis_agents.intel.readers import Reader
from tests.intel.test_store_apply import change, report

NOW = dt.timedelta(0)


@pytest.fixture
def history(directory: Path, model) -> list[str]:
    """Twelve snapshots, each with one report more, some of whose segments were folded."""
    with Intel.open(directory, model) as intel:
        return [
            intel.snapshot_id,
            *(intel.apply([change([report(n)], complete=False)]) for n in range(11)),
        ]


def segments_of(directory: Path) -> set[str]:
    return {p.name for p in (directory / "segments").iterdir()}


def test_only_the_current_and_the_named_stay_and_only_their_segments(
    directory: Path, model, history: list[str]
) -> None:
    before = segments_of(directory)
    with Intel.open(directory, model) as intel:
        done = intel.prune([history[3]], spare=NOW)
        assert [s.id for s in intel.snapshots()] == [history[-1], history[3]]
        assert done.snapshots == tuple(reversed([i for i in history[:-1] if i != history[3]]))
        with Intel.open(directory, model, snapshot=history[3]) as replay:
            named = {p.segment for i in (intel, replay) for p in i.manifest.parts}
            assert len(replay.search("zanzibar", corpora=("report",), k=50)) == 3
        assert segments_of(directory) == named
        assert done.segments == len(before - named) > 0
        assert done.bytes > 1000 * done.segments
        assert len(intel.search("zanzibar", corpora=("report",), k=50)) == 11
        assert {d.kind for d in intel.diff(history[3], history[-1])} == {"added"}
        with pytest.raises(IntelError, match="no such snapshot"):
            intel.diff(history[2], history[-1])
        assert intel.prune([history[3]], spare=NOW) == ((), 0, 0)
    with pytest.raises(IntelError, match="no such snapshot"):
        Intel.open(directory, model, snapshot=history[2])


def test_what_was_superseded_lately_stays(directory: Path, model, history: list[str]) -> None:
    with Intel.open(directory, model) as intel:
        assert intel.prune([]).snapshots == ()
        past = time.time() - 7200
        for at, name in enumerate(history[:5]):  # the last of these was superseded a moment ago
            os.utime(directory / "snapshots" / f"{name}.json", (past + at, past + at))
        assert set(intel.prune([]).snapshots) == set(history[:4])


def test_who_reads_a_dropped_snapshot_goes_on(directory: Path, model, embedder, history: list[str]) -> None:
    with Intel.open(directory, model, snapshot=history[6]) as reader, Intel.open(directory, embedder()) as other:
        assert history[6] in other.prune([], spare=NOW).snapshots
        view = reader.seen_by(Reader("globex"))
        for eyes in (reader, view):
            assert len(eyes.search("zanzibar", corpora=("report",), k=50)) == 6
            assert eyes.lookup("news/5")[0].snapshot == history[6]
        assert len(list(reader.documents(feed="news"))) == 6
        assert reader.refresh()
        assert reader.lookup("news/10")
        reader.apply([change([report(20)], complete=False)])


def test_the_snapshot_in_use_stays(directory: Path, model, history: list[str]) -> None:
    with Intel.open(directory, model, snapshot=history[6]) as replay:
        assert history[6] not in replay.prune([], spare=NOW).snapshots
    with Intel.open(directory, model, snapshot=history[6]) as again:
        assert again.lookup("news/5")


@pytest.mark.parametrize("keep", ["0" * 32, [""], ["../current"], ["memory:empty"], ["A" * 32]])
def test_what_is_no_id_drops_nothing(directory: Path, model, history: list[str], keep: object) -> None:
    with Intel.open(directory, model) as intel:
        with pytest.raises(InputError) as caught:
            intel.prune(keep, spare=NOW)  # type: ignore[arg-type]
        assert caught.value.field == "keep"
        assert len(intel.snapshots()) == len(history)


def test_nothing_is_dropped_when_one_that_stays_can_not_be_read(directory: Path, model, history: list[str]) -> None:
    path = directory / "snapshots" / f"{history[4]}.json"
    path.write_bytes(path.read_bytes() + b" ")
    before = {*directory.rglob("*")}
    with Intel.open(directory, model) as intel:
        with pytest.raises(IntelTampered, match="differs"):
            intel.prune([history[4]], spare=NOW)
        assert {*directory.rglob("*")} - {directory / files.LOCK} == before - {directory / files.LOCK}
        intel.prune(["0" * 32], spare=NOW)  # one that is to go need not be sound, and one that is gone not be there
        assert not path.exists()


def test_segments_that_no_snapshot_names_go_and_nothing_else_in_the_folder(
    directory: Path, model, history: list[str]
) -> None:
    stray, strange = directory / "segments" / ("0" * 32), directory / "segments" / "notes"
    for folder in (stray, strange):
        folder.mkdir()
        (folder / "x").write_text("x")
    with Intel.open(directory, model) as intel:
        assert intel.prune(history, spare=NOW) == ((), 1, 1)
    assert strange.exists()
    assert not stray.exists()


def test_a_directory_without_a_snapshot_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntelError, match="no intelligence snapshot"):
        prune.prune(tmp_path, [])


def test_writers_and_readers_go_on_while_others_prune(directory: Path, embedder) -> None:
    stop, wrong = threading.Event(), []

    def guarded(step) -> None:
        try:
            with Intel.open(directory, embedder()) as intel:
                while not stop.is_set():
                    step(intel)
        except BaseException as error:  # noqa: BLE001 - shown below
            wrong.append(error)

    def read(intel: Intel) -> None:
        intel.refresh()
        intel.snapshots()
        assert len({p.snapshot for p in intel.search("zanzibar", corpora=("report",), k=50)}) <= 1
        Intel.open(directory, embedder()).close()

    steps = (read, lambda intel: intel.prune([], spare=NOW))
    others = [threading.Thread(target=guarded, args=(step,)) for step in steps]
    for thread in others:
        thread.start()
    with Intel.open(directory, embedder()) as intel:
        for n in range(25):
            intel.apply([change([report(n)], complete=False)])
        stop.set()
        for thread in others:
            thread.join()
        assert wrong == []
        assert intel.counts()["report"] == {"news": 25}
        assert len(intel.lookup([f"news/{n}" for n in range(25)])) == 25


@pytest.mark.parametrize("module", [facade, opened])
def test_who_read_the_pointer_just_before_its_snapshot_was_pruned_looks_again(
    directory: Path, model, monkeypatch, history: list[str], module
) -> None:
    reader = Intel.open(directory, model, snapshot=history[0])
    with Intel.open(directory, model) as intel:
        intel.prune([], spare=NOW)
    stale = [history[5]]
    monkeypatch.setattr(module, "current", lambda place: stale.pop() if stale else snapshot.current(place))
    with reader:
        if module is opened:
            assert reader.refresh()
            assert reader.snapshot_id == history[-1]
        else:
            with Intel.open(directory, model) as intel:
                assert intel.snapshot_id == history[-1]
    assert stale == []


def test_a_snapshot_that_goes_while_they_are_listed_is_left_out(
    directory: Path, model, monkeypatch, history: list[str]
) -> None:
    found = snapshot.made_at(directory)
    (directory / "snapshots" / f"{history[2]}.json").unlink()
    monkeypatch.setattr(snapshot, "made_at", lambda place: found)
    with Intel.open(directory, model) as intel:
        assert {s.id for s in intel.snapshots()} == {*history} - {history[2]}
