"""Files that change under a running process: told once, and autonomy falls back where nobody signed for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.assembly import open_gate
from aegis_agents.errors import StoreError
from aegis_agents.hardening.signatures import sign_file
from aegis_agents.hardening.watch import CHANGED, Watch, files_of, ledger_fall_back
from aegis_agents.ledger import SqliteStore
from aegis_agents.ledger.signing import Signer
from aegis_agents.model.files import shipped_folder
from aegis_agents.settings import Settings, load_settings

CEDAR = '@id("mine.none")\nforbid (principal, action == Aegis::Action::"block_ip", resource);\n'


class Watched:
    def __init__(self, folder: Path, *, trusted: bool) -> None:
        self.file = folder / "rules.cedar"
        self.signer = Signer(folder / "lead.key")
        self.keys = folder / "trusted.pub"
        self.keys.write_text(self.signer.key("lead").line + "\n")
        self.write(CEDAR, signed=True)
        hardening = {"trusted_keys": self.keys} if trusted else {}
        self.settings: Settings = load_settings(home=folder / "home", policy=self.file, hardening=hardening)
        self.store = SqliteStore(folder / "aegis.sqlite")
        open_gate(self.settings, None)
        self.reasons: list[str] = []
        self.watch = Watch(self.settings, self.store, self.reasons.append)

    def write(self, text: str, *, signed: bool) -> None:
        self.file.write_text(text)
        if signed:
            sign_file(self.file, self.signer, "lead")

    def told(self) -> list[dict[str, Any]]:
        return [entry.body or {} for entry in self.store.entries(kind=CHANGED)]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path, trusted=True)


def test_what_stays_is_not_told(watched: Watched) -> None:
    assert watched.watch.tick() == []
    watched.file.touch()
    assert watched.watch.tick() == []
    assert watched.told() == []


def test_a_change_nobody_signed_is_an_alarm_told_once(watched: Watched) -> None:
    watched.write(CEDAR + "// x\n", signed=False)
    assert len(watched.watch.tick()) == 1
    assert watched.watch.tick() == []
    (body,) = watched.told()
    assert body["file"] == str(watched.file)
    assert body["signed_by"] == ""
    assert "changed" in body["alarm"]
    assert len(watched.reasons) == 1
    assert watched.reasons[0].startswith("rules.cedar: ")
    watched.write(CEDAR + "// y\n", signed=False)
    assert len(watched.watch.tick()) == 1


def test_a_file_that_is_gone_is_an_alarm(watched: Watched) -> None:
    watched.file.unlink()
    (changed,) = watched.watch.tick()
    assert (changed.sha256, changed.alarm) == ("", "it is gone")
    assert len(watched.reasons) == 1


def test_a_new_version_that_is_signed_is_told_and_no_alarm(watched: Watched) -> None:
    watched.write(CEDAR + "// a new rule will stand here\n", signed=True)
    (changed,) = watched.watch.tick()
    assert (changed.signed_by, changed.alarm) == ("lead", "")
    assert watched.reasons == []


def test_keys_that_change_are_an_alarm(watched: Watched) -> None:
    """Whoever can add a key could sign; it counts from the next start, and somebody should know before."""
    watched.keys.write_text(
        watched.keys.read_text() + Signer(watched.keys.with_name("m.key")).key("mallory").line + "\n"
    )
    (changed,) = watched.watch.tick()
    assert changed.alarm
    assert len(watched.reasons) == 1


def test_without_keys_a_change_is_told_and_autonomy_stays(tmp_path: Path) -> None:
    watched = Watched(tmp_path, trusted=False)
    watched.write(CEDAR + "// x\n", signed=False)
    (changed,) = watched.watch.tick()
    assert changed.alarm == ""
    assert len(watched.told()) == 1
    assert watched.reasons == []


def test_a_change_between_loading_and_the_first_look_is_seen(tmp_path: Path) -> None:
    watched = Watched(tmp_path, trusted=True)
    watched.write(CEDAR + "// in between\n", signed=False)
    late = Watch(watched.settings, watched.store, watched.reasons.append)
    assert len(late.tick()) == 1


def test_a_model_file_that_vanishes_or_changes_is_an_alarm_without_keys_too(tmp_path: Path) -> None:
    import hashlib

    from aegis_agents.model.registry import install, use

    home, model = tmp_path / "home", tmp_path / "m"
    shutil.copytree(shipped_folder(), model)
    found = install(home, model, hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest())
    use(home, found)
    settings, store, reasons = load_settings(home=home), SqliteStore(tmp_path / "aegis.sqlite"), list[str]()
    watch = Watch(settings, store, reasons.append)
    assert watch.tick() == []
    (found.folder / "head.onnx").unlink()
    (found.folder / "calibration.json").write_text("{}")
    assert {changed.file.name for changed in watch.tick()} == {"head.onnx", "calibration.json"}
    assert len(reasons) == 2


def test_a_ledger_that_is_away_is_told_later(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.write(CEDAR + "// x\n", signed=False)

    def away(*_: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as broken:
        broken.setattr(watched.store, "append", away)
        with pytest.raises(StoreError):
            watched.watch.tick()
    assert len(watched.watch.tick()) == 1
    assert len(watched.reasons) == 1


def test_it_makes_the_gate_ask(watched: Watched) -> None:
    """The entry is the one that the gate's caution reads."""
    from aegis_agents.agents.caution import FELL_BACK, Cautious

    watch = Watch(watched.settings, watched.store, ledger_fall_back(watched.store, FELL_BACK))
    assert Cautious(watched.store).now().fallen == ()
    watched.write(CEDAR + "// x\n", signed=False)
    watch.tick()
    (fell,) = Cautious(watched.store).now().fallen
    assert (fell.scope, fell.cause) == ("all", CHANGED)
    assert "rules.cedar" in fell.reason


def test_every_file_setting_is_watched(tmp_path: Path) -> None:
    names = ("policy", "matrix", "assets", "costs", "connectors", "feeds")
    settings = load_settings(home=tmp_path, **{name: tmp_path / name for name in names})
    assert {tmp_path / name for name in names} <= set(files_of(settings))
    assert load_settings(hardening={"verify_minutes": 2}).hardening.verify_minutes == 2


def test_ticks_look_and_tell(watched: Watched) -> None:
    from aegis_agents.agents.caution import FELL_BACK
    from aegis_agents.hardening.egress import Egress
    from aegis_agents.hardening.places import Places
    from aegis_agents.hardening.refusals import REFUSED
    from aegis_agents.hardening.ticks import ticks

    egress = Egress(Places([], loopback=True))
    egress.refusals.add("evil.example:443", "connect")
    files, told = ticks(watched.settings, watched.store, egress, fall_back_kind=FELL_BACK)
    assert files.every_s == watched.settings.hardening.verify_minutes * 60
    watched.write(CEDAR + "// x\n", signed=False)
    for tick in (files, told):
        tick.function()
    kinds = {entry.kind for entry in watched.store.entries()}
    assert {CHANGED, FELL_BACK, REFUSED} <= kinds
    assert len(ticks(watched.settings, watched.store, None, fall_back_kind=FELL_BACK)) == 1


def test_the_same_change_after_it_was_put_back_is_told_again(watched: Watched) -> None:
    for _ in range(2):
        watched.write(CEDAR + "// x\n", signed=False)
        assert len(watched.watch.tick()) == 1
        watched.write(CEDAR, signed=True)
        assert watched.watch.tick() == []
    assert len(watched.reasons) == 2


def test_a_pipe_in_the_place_of_a_file_is_an_alarm_and_holds_up_nobody(watched: Watched) -> None:
    watched.file.unlink()
    os.mkfifo(watched.file)
    (changed,) = watched.watch.tick()
    assert changed.alarm == "it is gone"
