"""Damaged files, full disks, keys that changed, clocks that jump: said with an error of ours, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError, LedgerError, LedgerTampered, StoreError
from aegis_agents.ledger import Signer, action_id
from aegis_agents.ledger.anchor import Anchor, AnchorFile
from aegis_agents.ledger.files import write_whole
from tests.ledger.ledgers import Clock, case_of, decided, finished, incident, open_in
from tests.people import person


def run(home: Path, script: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: what is tried may end it."""
    before = f"from pathlib import Path\nfrom tests.ledger.ledgers import *\nhome = Path({str(home)!r})\n"
    code = before + textwrap.dedent(script)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())


@pytest.mark.parametrize("size", [0, 10, 255])
def test_an_anchor_that_is_cut_short_under_a_running_process_does_not_end_it(tmp_path: Path, size: int) -> None:
    """The anchor is mapped: touching what was cut off is SIGBUS, which no exception handler sees."""
    done = run(
        tmp_path,
        f"""
        import os
        from aegis_agents.errors import LedgerTampered
        store = open_in(home)
        finished(store, "inc-1")
        os.truncate(home / "aegis.sqlite.anchor", {size})
        finished(store, "inc-2")
        try:
            store.verify()
        except LedgerTampered as error:
            print(error)
        store.close()
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "it is no anchor" in done.stdout
    with closing(open_in(tmp_path)) as again:
        assert [e.kind for e in again.entries(incident_id="inc-2")][-1] == "case.finished"


def test_an_anchor_that_can_not_be_written_undoes_nothing_that_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_in(tmp_path)) as store:
        key = decided(store, "inc-1")
        store.answer(key, True, person("alice"))

        def refused(*_: object) -> None:
            raise PermissionError("not yours")

        monkeypatch.setattr(store._anchor, "write", refused)
        assert store.begin(key).row.state == "intent"  # an error here would leave an intent that nobody acts on
        store.settle(key, "executed", None, "")
        store.finish("inc-1", case_of("inc-1"))
        (entry,) = store.entries(kind="ledger.unanchored")
        assert entry.body == {"reason": "not yours"}
        monkeypatch.undo()
        store.append("test", None, {})
        assert store._anchor.read().entries == store.verify().entries


def test_an_anchor_that_can_not_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / f"aegis.sqlite.anchor.{os.getpid()}.new").mkdir()
    with pytest.raises(StoreError, match="anchor"):
        open_in(tmp_path)
    (tmp_path / f"aegis.sqlite.anchor.{os.getpid()}.new").rmdir()
    with closing(open_in(tmp_path)) as store:
        store.append("test", None, {})
        store.verify()


def test_a_full_disk_is_an_error_and_what_was_there_stays(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
        import resource
        from aegis_agents.errors import StoreError
        store = open_in(home)
        key = decided(store, "inc-1")
        wal = (home / "aegis.sqlite-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 5000, resource.RLIM_INFINITY))
        for number in range(3):
            try:
                store.append("big", None, {"text": "x" * 9000})
                print("kept")
            except StoreError:
                print("refused")
        try:
            store.answer(key, True, person("alice"))
        except StoreError:
            print("refused")
        before = store.verify().entries
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert store.action(key).state == "awaiting"
        store.answer(key, True, person("alice"))
        assert store.verify().entries > before
        store.close()
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * 4
    with closing(open_in(tmp_path)) as again:
        again.verify()


def test_a_write_that_takes_a_part_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: real(handle, bytes(content)[:7]))
    handle = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    write_whole(handle, b"0123456789" * 5)
    os.close(handle)
    assert (tmp_path / "f").read_bytes() == b"0123456789" * 5
    copies = tmp_path / "copies"
    copies.mkdir()
    with closing(open_in(tmp_path, every=1, copies=copies)) as store:
        store.append("test", None, {})
        store.verify(against=copies)
    Signer(tmp_path / "ledger.key").key("x")  # the key was written whole


@pytest.mark.parametrize("kept", [0, 1, 60, -1])
def test_a_copy_that_a_kill_left_half_written_is_completed(tmp_path: Path, kept: int) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with closing(open_in(tmp_path, every=1, copies=copies)) as store:
        store.append("test", None, {})
        store.append("test", None, {})
    files = sorted(copies.iterdir())
    whole = files[-1].read_bytes()
    files[-1].write_bytes(whole[:kept])
    with closing(open_in(tmp_path, every=1, copies=copies)) as store:
        store.verify(against=copies)  # a beginning of the newest says nothing, and nothing false
        store.append("test", None, {})
        assert files[-1].read_bytes() == whole
        assert store.verify(against=copies).checkpoints == len(list(copies.iterdir()))
        assert store.entries(kind="ledger.uncopied") == []


def test_a_copy_in_the_middle_that_is_torn_is_damage(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    with closing(open_in(tmp_path, every=1, copies=copies)) as store:
        for _ in range(3):
            store.append("test", None, {})
        first = sorted(copies.iterdir())[0]
        first.write_bytes(first.read_bytes()[:40])
        with pytest.raises(LedgerTampered, match="kept elsewhere"):
            store.verify(against=copies)


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"{}\n", b"[" * 100_000 + b"\n", b"\x00" * 300 + b"\n"])
@pytest.mark.parametrize("folder", [False, True])
def test_copies_that_are_damaged_are_said_and_keep_nothing_from_being_done(
    tmp_path: Path, damage: bytes, folder: bool
) -> None:
    copies = tmp_path / "copies"
    if folder:
        copies.mkdir()
    with closing(open_in(tmp_path, every=1, copies=copies)) as store:
        store.append("test", None, {})
        store.append("test", None, {})
    (sorted(copies.iterdir())[0] if folder else copies).write_bytes(damage)
    with closing(open_in(tmp_path, every=1, copies=copies)) as store:
        assert store.append("test", None, {}).seq > 3
        assert store.entries(kind="ledger.uncopied")
        with pytest.raises((InputError, LedgerTampered)):
            store.verify(against=copies)


def test_a_key_that_was_exchanged_by_hand_signs_nothing(tmp_path: Path) -> None:
    with closing(open_in(tmp_path)) as store:
        finished(store, "inc-1")
        store.checkpoint()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Signer(elsewhere / "ledger.key").key("x")
    for remembered in (True, False):  # with the file of public keys gone, too
        (tmp_path / "ledger.key").write_bytes((elsewhere / "ledger.key").read_bytes())
        if not remembered:
            (tmp_path / "ledger.pub").unlink()
        with closing(open_in(tmp_path)) as store:
            with pytest.raises(LedgerError, match="not the key that the ledger names"):
                store.append("test", None, {}) and store.checkpoint()
            with pytest.raises(LedgerError, match="not the key"):
                store.prune(store._clock(), person("root"))
            for _ in range(5):
                store.append("test", None, {})
            assert store.entries(kind="ledger.unsigned")  # work goes on, and it is said
    with closing(open_in(tmp_path)) as store:
        line = store.renew_key(person("root"))
        assert json.loads(json.dumps(store.entries(kind="ledger.key")[-1].body))["key"] == line
        assert line in store.public_keys()
        store.append("test", None, {})
        store.checkpoint()


def test_renewing_before_anything_was_signed(tmp_path: Path) -> None:
    with closing(open_in(tmp_path, every=100)) as store:
        store.renew_key(person("root"))
        store.append("test", None, {})
        store.checkpoint()
        found = store.verify()
        assert (found.checkpoints, found.unsigned) == (2, 0)


def test_a_clock_that_jumps_breaks_no_chain_and_loses_no_timer(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = datetime(2026, 6, 1, tzinfo=UTC)
    with closing(open_in(tmp_path, clock=clock)) as store:
        for days in (0, -4000, 9000, -5000):
            clock.now += timedelta(days=days)
            name = f"inc{days}"
            key = decided(store, name)
            store.answer(key, True, person("alice"))
            store.begin(key)
            store.settle(key, "executed", None, "", until=clock.now + timedelta(hours=1))
            store.finish(name, case_of(name))
        assert len(store.timers()) == 4
        store.verify()


@pytest.mark.parametrize(
    "at", [datetime(2030, 1, 1), datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))], ids=["naive", "too far"]
)
def test_a_timer_that_is_no_moment_is_refused(tmp_path: Path, at: datetime) -> None:
    with closing(open_in(tmp_path)) as store:
        key = decided(store, "inc-1")
        store.answer(key, True, person("alice"))
        store.begin(key)
        with pytest.raises(InputError, match="at"):
            store.settle(key, "executed", None, "", until=at)
        assert store.action(key).state == "intent"
        store.settle(key, "executed", None, "")
        with pytest.raises(InputError, match="at"):
            store.set_expiry(key, at, person("alice"))


def test_text_that_is_no_unicode_is_an_error_of_ours(tmp_path: Path) -> None:
    bad: Any = "x\ud800"
    with closing(open_in(tmp_path)) as store:
        with pytest.raises(InputError, match="incident"):
            store.admit(incident("inc-1").model_copy(update={"title": bad}), "{}", {})
        key = decided(store, "inc-1")
        row = store.action(key)
        with pytest.raises(InputError, match="case"):
            store.finish("inc-1", case_of("inc-1").model_copy(update={"summary": bad}))
        store.admit(incident("inc-2"), bad, {})  # an alert's own text may be anything
        taken = store.intake("inc-2")
        assert taken is not None
        assert taken.native == bad
        proposal = row.proposal.model_copy(update={"action_id": action_id("inc-2", "block_ip", row.target)})
        decision = row.decision.model_copy(update={"action_id": proposal.action_id, "reason": bad})
        with pytest.raises(InputError, match="decision"):
            store.record_decision("inc-2", proposal, decision, "awaiting")
        with pytest.raises(StoreError):
            store.entries(after=2**70)
        store.verify()


def test_processes_that_move_the_anchor_at_once_leave_one_of_their_lines(tmp_path: Path) -> None:
    """Two writes in place could leave a line that is of both, and nothing would ever mend it."""
    path = tmp_path / "ledger.anchor"
    AnchorFile(path).create(Anchor(0, "0" * 64))
    program = (
        "import sys\nfrom pathlib import Path\nfrom aegis_agents.ledger.anchor import Anchor, AnchorFile\n"
        "anchor, digit = AnchorFile(Path(sys.argv[1])), sys.argv[2]\nanchor.open()\n"
        "for number in range(1, 20_000):\n    with anchor.held():\n"
        "        anchor.read(mapped=True)\n        anchor.write(Anchor(number, digit * 64))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), digit]) for digit in "ab"]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    assert AnchorFile(path).read().entries == 19_999
