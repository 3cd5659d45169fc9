"""The outbox keeps the contract of every connector: the file system is its vendor, and can refuse, stall and lie."""

from __future__ import annotations

import errno
import inspect
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools import WritePath
from aegis_agents.tools.connectors.outbox import OutboxConnector
from tests.connectors.contract import HOSTILE, Approved, Case, ConnectorContract, Rig

ALERT, ANN = Target(kind="alert", value="a1b2:incident-7"), Target(kind="user", value="ann")


class Disk:
    """What Path.replace and Path.unlink do, with switches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.denied = self.ignoring = False
        self.losing = self.limiting = self.effects = 0
        replace, unlink = Path.replace, Path.unlink
        disk = self

        def guarded(do: Any) -> Any:
            if disk.denied:
                raise OSError(errno.EACCES, "Permission denied")
            if disk.limiting:
                disk.limiting -= 1
                raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
            done = None if disk.ignoring else do()
            if disk.losing:
                disk.losing -= 1
                raise OSError(errno.ETIMEDOUT, "Connection timed out")
            return done

        def counted_replace(self: Path, to: Path) -> Any:
            if "outbox" not in self.parts:  # the store's own files
                return replace(self, to)

            def do() -> Any:
                disk.effects += 1
                return replace(self, to)

            return guarded(do)

        def guarded_unlink(self: Path, missing_ok: bool = False) -> None:
            if self.suffix == ".tmp" or "outbox" not in self.parts:
                return unlink(self, missing_ok=missing_ok)
            return guarded(lambda: unlink(self, missing_ok=missing_ok))

        monkeypatch.setattr(Path, "replace", counted_replace)
        monkeypatch.setattr(Path, "unlink", guarded_unlink)


class OutboxRig(Rig):
    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder, self.disk = folder, disk

    def connector(self) -> OutboxConnector:
        return OutboxConnector(self.folder)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.folder.glob("*/*.json"))]

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.connector().apply(action, target, key="somebody-else", note="")
        self.disk.effects = 0

    def in_effect(self, action: ActionName, target: Target) -> bool:
        return any((one["action"], one["target"]["value"]) == (action, target.value) for one in self.entries())

    def effects(self) -> int:
        return self.disk.effects

    def touched(self) -> set[str]:
        return {one["target"]["value"] for one in self.entries()}

    def forget(self, target: Target) -> None:
        """It knows no targets."""

    def deny(self) -> None:
        self.disk.denied = True

    def ignore(self) -> None:
        self.disk.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.disk.losing = count

    def limit_rate(self, count: int) -> None:
        self.disk.limiting = count


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutboxRig:
    return OutboxRig(tmp_path / "outbox", Disk(monkeypatch))


class TestOutbox(ConnectorContract):
    cases = (
        Case("open_ticket", ALERT), Case("close_alert", ALERT), Case("add_watchlist", ANN),
        Case("notify_owner", ANN, readable=False),
    )  # fmt: skip
    forgetful = False

    @pytest.fixture
    def rig(self, rig: OutboxRig) -> Rig:
        return rig

    def test_hostile_names_touch_nothing_else(self, rig: OutboxRig, case: Case) -> None:
        """Each has a file of its own in the folder, and says who is meant."""
        connector = rig.connector()
        for value in HOSTILE:
            connector.apply(
                case.action, Target.model_construct(kind=case.target.kind, value=value), key="k", note=value
            )
        assert rig.touched() == set(HOSTILE)
        files = [file for file in rig.folder.rglob("*") if file.is_file()]
        assert len(files) == len(HOSTILE)
        assert {file.parent for file in files} == {rig.folder / case.action}

    def test_every_answer_lost(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        """A notice's own file is found by its key, so it is confirmed all the same."""
        rig.lose_answers(10)
        assert path.execute(approved(case.action, case.target)).outcome == "executed"
        assert rig.effects() == 1

    def test_its_configuration(self, rig: Rig) -> None:
        """`folder` may also be given by position, as it always could."""
        assert set(inspect.signature(OutboxConnector).parameters) == {"folder"}
        assert (OutboxConnector.kind, OutboxConnector.extra, OutboxConnector.secrets) == ("outbox", "", frozenset())


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EACCES, NotPermitted), (errno.EROFS, NotPermitted), (errno.EBUSY, TransientConnectorError),
        (errno.ENOSPC, ConnectorError), (errno.EIO, ConnectorError),
    ],
)  # fmt: skip
def test_what_the_file_system_says_is_told_apart(
    rig: OutboxRig, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConnectorError, match=os.strerror(number)) as caught:
        rig.connector().apply("open_ticket", ALERT, key="k", note="n")
    assert type(caught.value) is error
    assert list(rig.folder.rglob("*.tmp")) == []
    assert rig.entries() == []


def test_many_at_once_leave_one_whole_entry(rig: OutboxRig) -> None:
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        rig.connector().apply("open_ticket", ALERT, key=f"k{number}", note="n" * 10_000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rig.entries()) == 1
    assert [file.suffix for file in (rig.folder / "open_ticket").iterdir()] == [".json"]


def test_a_notice_can_not_be_taken_back(rig: OutboxRig) -> None:
    with pytest.raises(ConnectorError, match="can't be taken back"):
        rig.connector().undo("notify_owner", ANN, key="k")
