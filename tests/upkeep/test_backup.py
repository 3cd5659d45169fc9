"""Backup and restore: the drill, and everything that must be refused."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import InputError, LedgerTampered, StoreError
from aegis_agents.gate.killswitch import engaged
from aegis_agents.ledger import Signer
from aegis_agents.ledger.opening import open_store
from aegis_agents.records import AEGIS
from aegis_agents.settings import Settings, only
from aegis_agents.upkeep import restore as restoring
from aegis_agents.upkeep.backup import back_up
from aegis_agents.upkeep.manifest import read_manifest
from aegis_agents.upkeep.restore import Restored, check, restore, spoken
from aegis_agents.upkeep.rolled_back import go_on
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel, firewall, intel_home  # noqa: F401 - fixtures
from tests.ledger.ledgers import incident
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures
from tests.upkeep.states import fill, fill_inbox, open_home, signer_of, told


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the state lies: a file, or a schema."""
    if request.param == "sqlite":
        return {}
    return {"database": request.getfixturevalue("postgres_url"), "database_schema": request.getfixturevalue("schema")}


class Place:
    """A home and its Aegis, which can be lost."""

    def __init__(self, settings: Settings, firewall: FakeFirewall, intel: Any) -> None:
        self.settings, self.firewall, self._intel = settings, firewall, intel

    def aegis(self, settings: Settings | None = None) -> Aegis:
        return Aegis(model=FakeModel(), intel=self._intel, tools=[self.firewall], settings=settings or self.settings)

    def lose(self) -> None:
        """The disaster: files and tables are gone."""
        shutil.rmtree(self.settings.home)
        if self.settings.database is not None:
            import psycopg

            with psycopg.connect(self.settings.database.get_secret_value(), autocommit=True) as db:
                db.execute(f"DROP SCHEMA {self.settings.database_schema} CASCADE")

    def restore(self, folder: Path, **given: Any) -> Restored:
        return restore(self.settings, folder, open_aegis=self.aegis, **given)


@pytest.fixture
def place(tmp_path: Path, firewall: FakeFirewall, intel_home: Any, database: dict[str, Any]) -> Place:
    return Place(only(home=tmp_path / "home", ledger_copies=tmp_path / "copies", **database), firewall, intel_home)


def attack(aegis: Aegis, number: int) -> str:
    """An attack whose block waits; answers the action."""
    case = aegis.investigate(ATTACK | {"event_id": f"e-{number}", "destination_ip": f"203.0.113.{number}"})
    return next(a.action_id for a in case.actions if a.action == "block_ip")


def test_the_drill(place: Place, tmp_path: Path, firewall: FakeFirewall) -> None:
    (tmp_path / "copies").mkdir()
    with place.aegis() as aegis:
        done, waits, answered_later, lifted_later = (attack(aegis, n) for n in (1, 2, 3, 4))
        aegis.approve(done)
        aegis.approve(lifted_later)
        stop = threading.Event()
        worker = threading.Thread(target=_work, args=(aegis, stop))
        worker.start()
        try:
            made = back_up(place.settings, tmp_path / "backup", with_key=True)
        finally:
            stop.set()
            worker.join()
        # what is not in the backup
        aegis.approve(answered_later)
        aegis.undo(lifted_later)
        lost = attack(aegis, 200)
        aegis.store.checkpoint()
        at_the_end = aegis.store.verify().entries
    calls = list(firewall.calls)
    place.lose()

    restored = place.restore(tmp_path / "backup")
    assert firewall.calls == calls  # nothing was done
    assert engaged(place.settings.kill_switch_file)
    assert restored.known_lost == at_the_end - made.entries > 0
    with place.aegis() as aegis:
        assert aegis.store.verify().unsigned <= 10
        (entry,) = aegis.store.entries(kind="ledger.restored")
        assert entry.body is not None
        assert (entry.body["entries"], entry.body["head"]) == (made.entries, made.head)
        assert entry.body["known_lost"] == restored.known_lost
        assert aegis.store.action(done).state == "executed"
        assert aegis.store.action(lifted_later).state == "undone"  # seen not in effect any more
        told_of = {item.action.action_id: item.what for item in restored.read_back.items}
        assert "taken back since" in told_of[lifted_later]
        assert "answered since" in told_of[answered_later]
        assert done not in told_of
        assert "remove" in spoken(restored)[-1]
        with pytest.raises(Exception, match="kill switch"):
            aegis.approve(waits)
        place.settings.kill_switch_file.unlink()
        assert aegis.approve(waits).outcome == "executed"
        assert aegis.approve(answered_later).outcome == "executed"  # found in effect: not done again
        aegis.recover()
        again = attack(aegis, 200)  # the lost alert comes again: it is the same incident
        assert again == lost
        assert aegis.approve(done_before := attack(aegis, 5)).outcome == "executed"
        assert aegis.undo(done_before).outcome == "undone"
        aegis.store.verify()
    assert len(firewall.calls) == len(set(firewall.calls))  # no action twice
    # a rollback, though an honest one, is found by who kept checkpoints elsewhere
    with place.aegis() as aegis, pytest.raises(LedgerTampered):
        aegis.store.verify(against=tmp_path / "copies")


def _work(aegis: Aegis, stop: threading.Event) -> None:
    number = 20
    while not stop.wait(0.05):
        attack(aegis, number)
        number += 1


def test_a_silent_rollback_is_found_by_the_anchor_and_by_copies(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    settings = only(home=tmp_path / "home", ledger_copies=copies)
    store = open_home(settings.home, copies)
    fill(store)
    back_up(settings, tmp_path / "backup")
    store.append("later", None, {})
    store.checkpoint()
    store.close()
    for tail in ("", "-wal", "-shm"):  # somebody puts the old file there by hand, and says nothing
        (settings.home / f"aegis.sqlite{tail}").unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "backup/aegis.sqlite", settings.home / "aegis.sqlite")
    store = open_home(settings.home, copies)
    with pytest.raises(LedgerTampered, match="anchor knows"):
        store.verify()
    store.close()
    (settings.home / "aegis.sqlite.anchor").unlink()
    shutil.rmtree(settings.home / "intel", ignore_errors=True)
    (settings.home / "aegis.sqlite").unlink()
    (settings.home / "ledger.pub").unlink()
    restore(settings, tmp_path / "backup", look=False)
    store = open_home(settings.home)
    store.verify()
    with pytest.raises(LedgerTampered):
        store.verify(against=copies)
    store.close()


def test_a_state_that_was_set_back_does_nothing_until_a_person_lets_it_go_on(
    place: Place, firewall: FakeFirewall
) -> None:
    home = place.settings.home
    with place.aegis() as aegis:
        waits, other = attack(aegis, 1), attack(aegis, 2)
    if place.settings.database is None:
        shutil.copyfile(home / "aegis.sqlite", home / "older")
    else:
        pg_copy(place.settings, "older", place.settings.database_schema)
    with place.aegis() as aegis:
        aegis.approve(waits)
    if place.settings.database is None:
        shutil.move(home / "older", home / "aegis.sqlite")  # a virtual machine is set back, and its anchor is not
    else:
        pg_copy(place.settings, place.settings.database_schema, "older")
    calls = list(firewall.calls)
    with place.aegis() as aegis:
        for key in (waits, other):
            with pytest.raises(LedgerTampered, match=r"set back.*aegis restore --here"):
                aegis.approve(key)
        with pytest.raises(LedgerTampered, match="set back"):
            attack(aegis, 10)  # whose ticket Aegis opens by itself: taken in, and not decided
        for _ in range(60):  # it grows past what the anchor knows
            aegis.store.append("test", None, {})
        with pytest.raises(LedgerTampered, match="another entry of that number"):
            attack(aegis, 11)
        assert firewall.calls == calls
    went = go_on(place.settings, open_aegis=place.aegis)
    assert [item.action.action_id for item in went.read_back.items if item.seen == "in effect"] == [waits]
    assert Path(went.anchor).exists()
    assert engaged(place.settings.kill_switch_file)
    with pytest.raises(StoreError, match="nothing was rolled back"):
        go_on(place.settings, open_aegis=place.aegis)
    place.settings.kill_switch_file.unlink()
    with place.aegis() as aegis:
        aegis.store.verify()
        aegis.recover()
        assert aegis.store.action(waits).state == "executed"
        assert aegis.store.action(other).state == "recommended"
        assert aegis.store.unfinished() == []
    assert [call for call in firewall.calls if call[1] == "203.0.113.1"] == [("block_ip", "203.0.113.1")]


def pg_copy(settings: Settings, to: str, source: str) -> None:
    """What a set-back standby would have: the tables as they were, in a schema of another name until then."""
    import psycopg

    assert settings.database is not None
    tables = ("intake", "journal", "leases", "ledger_entries", "ledger_checkpoints", "ledger_meta")
    with psycopg.connect(settings.database.get_secret_value(), autocommit=True) as db:
        if to == "older":
            db.execute("DROP SCHEMA IF EXISTS older CASCADE; CREATE SCHEMA older")
            for table in tables:
                db.execute(f"CREATE TABLE older.{table} AS SELECT * FROM {source}.{table}")
            return
        with db.transaction():
            for table in reversed(tables):
                guarded = table in ("ledger_entries", "ledger_checkpoints")
                if guarded:
                    db.execute(f"ALTER TABLE {to}.{table} DISABLE TRIGGER USER")
                db.execute(f"DELETE FROM {to}.{table}")
            for table in tables:
                identity = " OVERRIDING SYSTEM VALUE" if table in ("journal", "leases") else ""
                db.execute(f"INSERT INTO {to}.{table}{identity} SELECT * FROM older.{table}")
            for table in ("ledger_entries", "ledger_checkpoints"):
                for (name,) in db.execute(
                    "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = %s::regclass",
                    (f"{to}.{table}",),
                ).fetchall():
                    db.execute(f"ALTER TABLE {to}.{table} ENABLE ALWAYS TRIGGER {name}")


@pytest.fixture
def filled(tmp_path: Path, database: dict[str, Any]) -> Settings:
    """A home (or schema) with rows of every kind, inbox included."""
    settings = only(home=tmp_path / "home", **database)
    home = settings.home if not database else tmp_path / "embedded"
    store = open_home(home)
    fill(store)
    store.close()
    fill_inbox(home)
    for folder in ("intel", "models/x", "outbox/open_ticket"):
        (settings.home / folder).mkdir(parents=True)
        (settings.home / folder / "f").write_text(folder)
    if database:
        from aegis_agents.upkeep.moving import Move

        moved = only(home=home, **database)
        Move.of(moved).run()
        for file in home.glob("*"):
            if file.name.startswith(("ledger.", "postgres-")):
                shutil.copyfile(file, settings.home / file.name)
                (settings.home / file.name).chmod(0o600)
    return settings


def the_store(settings: Settings) -> Any:
    url = settings.database.get_secret_value() if settings.database else None
    return open_store(url, settings.home, schema=settings.database_schema, signer=signer_of(settings.home))


def test_all_rows_are_in_it_whatever_the_database(filled: Settings, tmp_path: Path) -> None:
    made = back_up(filled, tmp_path / "backup", with_key=True)
    store = the_store(filled)
    was = told(store)
    store.close()
    assert (made.database, made.with_key) == ("sqlite" if filled.database is None else "postgresql", True)
    elsewhere = only(home=tmp_path / "elsewhere")  # the other way round works by `aegis migrate`, which is tested there
    restoring._put_files(elsewhere, tmp_path / "backup", made)
    store = open_home(elsewhere.home)
    now = told(store)
    beyond = made.entries
    assert now == was | {
        "ledger": was["ledger"][:beyond],
        "notes": was["notes"][: len(now["notes"])],
        "meta": now["meta"],
    }
    assert store.verify().head == made.head
    store.close()
    for folder in ("intel", "models/x", "outbox/open_ticket"):
        assert (elsewhere.home / folder / "f").read_text() == folder
    import sqlite3

    with sqlite3.connect(elsewhere.home / "inbox.sqlite") as db:
        assert db.execute("SELECT count(*), max(number) FROM inbox_messages").fetchone() == (20, 58)
        assert db.execute("SELECT native FROM inbox_messages LIMIT 1").fetchone() == (b"n\x00\xff",)
    db.close()


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a home in files that is lost."""
    settings = only(home=tmp_path / "home")
    store = open_home(settings.home)
    fill(store)
    store.close()
    fill_inbox(settings.home)
    back_up(settings, tmp_path / "backup")
    (tmp_path / "kept.pub").write_bytes((settings.home / "ledger.pub").read_bytes())
    shutil.rmtree(settings.home)
    return tmp_path / "backup"


def _edit(file: Path, change: Callable[[Any], Any]) -> None:
    said = json.loads(file.read_text())
    change(said)
    file.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n")


def _rehash(folder: Path) -> None:
    from aegis_agents.upkeep.manifest import sha256_of

    size = (folder / "aegis.sqlite").stat().st_size
    new = {"sha256": sha256_of(folder / "aegis.sqlite"), "size": size}
    _edit(folder / "manifest.json", lambda m: m["files"].__setitem__("aegis.sqlite", new))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda f: (f / "aegis.sqlite").write_bytes((f / "aegis.sqlite").read_bytes()[:-4096]),
            "aegis.sqlite: is not what",
        ),
        (lambda f: (f / "inbox.sqlite").unlink(), "inbox.sqlite: is missing"),
        (lambda f: (f / "more").write_text("x"), "more: is not of this backup"),
        (lambda f: (f / "intel").symlink_to("/etc"), "is a link"),
        (lambda f: (f / "manifest.json").write_bytes((f / "manifest.json").read_bytes()[:300]), "half of one"),
        (
            lambda f: _edit(f / "manifest.json", lambda m: m.__setitem__("entries", 1)),
            "no key that was given has signed",
        ),
        (
            lambda f: _edit(f / "manifest.json", lambda m: m["files"].__setitem__("../x", m["files"]["aegis.sqlite"])),
            "no file of a",
        ),
        (
            lambda f: _edit(
                f / "manifest.json", lambda m: m["files"].__setitem__("/etc/x", m["files"]["aegis.sqlite"])
            ),
            "no file of a",
        ),
        (lambda f: ((f / "aegis.sqlite").write_bytes(b"x"), _rehash(f)), "no key that was given has signed"),
        (lambda f: (f / "manifest.sig").write_text("x"), "no key that was given has signed"),
    ],
)
def test_what_is_not_as_it_was_made_is_refused(backup: Path, tmp_path: Path, damage: Any, said: str) -> None:
    damage(backup)
    with pytest.raises(LedgerTampered, match=said):
        restore(only(home=tmp_path / "home"), backup, look=False)
    assert not (tmp_path / "home").exists()


def test_a_key_that_is_pinned_elsewhere_unmasks_a_backup_of_somebody_else(backup: Path, tmp_path: Path) -> None:
    from aegis_agents.ledger import read_keys

    other = only(home=tmp_path / "other")
    store = open_home(other.home)
    store.append("x", None, {})
    store.close()
    back_up(other, tmp_path / "theirs")
    keys = read_keys(tmp_path / "kept.pub")
    assert check(only(home=tmp_path / "home"), backup, keys).entries > 0
    with pytest.raises(LedgerTampered, match="no key that was given"):
        check(only(home=tmp_path / "home"), tmp_path / "theirs", keys)


def test_what_is_no_backup_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no backup"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("left", ["aegis.sqlite", "inbox.sqlite-wal", "aegis.sqlite.anchor", "intel/other"])
def test_a_home_that_holds_anything_is_refused(backup: Path, tmp_path: Path, left: str) -> None:
    file = tmp_path / "home" / left
    file.parent.mkdir(parents=True)
    file.write_bytes(b"") if left == "aegis.sqlite" else file.write_text("mine")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="move"):
        restore(only(home=tmp_path / "home"), backup, look=False)
    assert file.read_bytes() == before
    assert not (tmp_path / "home/KILL").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="which files a process has open can be seen on Linux alone")
def test_a_living_process_is_refused(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    script = "import sqlite3, sys, os; d = sqlite3.connect(sys.argv[1]); d.execute('create table t (a)'); d.commit(); os.unlink(sys.argv[1]); print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "home/aegis.sqlite")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as living:
        assert living.stdout is not None
        living.stdout.readline()
        with pytest.raises(StoreError, match=f"process {living.pid}: has files of"):
            check(only(home=tmp_path / "home"), backup)
        living.kill()
    assert check(only(home=tmp_path / "home"), backup)


@pytest.mark.parametrize("point", ["files", "anchor", "opened", "restored", "read_back"])
def test_a_restoration_that_was_killed_goes_on(backup: Path, tmp_path: Path, point: str) -> None:
    settings = only(home=tmp_path / "home")
    child = os.fork()
    if child == 0:
        try:
            die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
            if point == "files":
                restoring.AnchorFile = die  # type: ignore[misc, assignment]
            elif point == "anchor":
                real = restoring.AnchorFile.create
                restoring.AnchorFile.create = lambda *given: (real(*given), die())  # type: ignore[method-assign, assignment]
            elif point == "opened":
                restoring._known_lost = die  # type: ignore[assignment]
            elif point == "restored":
                restoring.read_back = die  # type: ignore[assignment]
            else:
                restoring.Restored = die  # type: ignore[misc, assignment]
            restore(settings, backup, look=False)
        finally:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert engaged(settings.kill_switch_file)  # before anything else
    if point == "read_back":
        with pytest.raises(StoreError, match="restored from this backup before"):
            restore(settings, backup, look=False)
    else:
        restore(settings, backup, look=False)
    store = open_home(settings.home)
    assert [e.kind for e in store.entries() if e.kind in ("ledger.restored", "ledger.read_back")] == [
        "ledger.restored",
        "ledger.read_back",
    ]
    assert not store.approved()
    assert not store.open_intents()
    store.close()


def test_what_was_approved_or_under_way_is_for_a_person_again(
    backup: Path, tmp_path: Path, firewall: FakeFirewall, intel_home: Any
) -> None:
    settings = only(home=tmp_path / "home")
    place = Place(settings, firewall, intel_home)
    manifest = read_manifest(backup)
    restoring._put_files(only(home=tmp_path / "look"), backup, manifest)
    before = open_home(tmp_path / "look")
    approved, under_way = before.approved(), before.open_intents()
    done_since = approved[0]
    firewall.in_effect.add((done_since.proposal.action, done_since.target.value))
    before.close()
    assert len(approved) > 1
    assert len(under_way) > 1
    restored = place.restore(backup)
    with place.aegis() as aegis:
        assert aegis.store.action(done_since.action_id).state == "executed"
        # What was done between the backup and the disaster is seen in effect; the rest is for a person.
        seen = {row.action_id: (row.proposal.action, row.target.value) in firewall.in_effect for row in approved}
        states = {row.action_id: aegis.store.action(row.action_id).state for row in approved}
        assert states == {action: "executed" if there else "recommended" for action, there in seen.items()}
        assert not aegis.store.open_intents()
        assert {row.action_id for row in (*approved, *under_way)} <= {
            item.action.action_id for item in restored.read_back.items
        }
        assert all(
            row.expires_at and (row.expires_at - row.updated_at).total_seconds() > 3600 for row in aegis.timers()
        )
        settings.kill_switch_file.unlink()
        aegis.recover()
        aegis.store.verify()
    assert firewall.calls == []


def test_a_backup_is_whole_or_not_there(tmp_path: Path) -> None:
    settings = only(home=tmp_path / "home")
    store = open_home(settings.home)
    fill(store)
    store.close()
    (tmp_path / "there").mkdir()
    (tmp_path / "there/x").touch()
    with pytest.raises(InputError, match="holds something already"):
        back_up(settings, tmp_path / "there")
    (settings.home / "ledger.key").write_text("no key")
    with pytest.raises(Exception, match="signing key"):
        back_up(settings, tmp_path / "backup")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "there"]


def test_a_ledger_that_is_not_whole_makes_no_backup(tmp_path: Path) -> None:
    import sqlite3

    settings = only(home=tmp_path / "home")
    store = open_home(settings.home)
    fill(store)
    store.close()
    with sqlite3.connect(settings.home / "aegis.sqlite") as db:
        db.execute("DROP TRIGGER ledger_no_update")
        db.execute("UPDATE ledger_entries SET kind = 'x' WHERE seq = 3")
        db.execute("""CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger_entries WHEN 0 BEGIN SELECT 1; END""")
    db.close()
    with pytest.raises(LedgerTampered):
        back_up(settings, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_answers_while_it_is_made_are_in_it_or_after_it(tmp_path: Path) -> None:
    settings = only(home=tmp_path / "home")
    store = open_home(settings.home)
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.wait(0.002):
            store.admit(incident(f"inc-{number}"), "n", {})
            number += 1

    worker = threading.Thread(target=work)
    worker.start()
    try:
        made = [back_up(settings, tmp_path / f"b{number}") for number in range(2)]
    finally:
        stop.set()
        worker.join()
    entries = store.entries(limit=10**6)
    for one in made:
        assert entries[one.entries - 1].hash == one.head
    assert store.verify().entries == len(entries)
    store.close()


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def test_a_backup_is_for_its_owner_alone(backup: Path) -> None:
    assert backup.stat().st_mode & 0o077 == 0
    assert (backup / "aegis.sqlite").stat().st_mode & 0o077 == 0


def test_a_backup_in_the_home_itself_is_refused(tmp_path: Path) -> None:
    settings = only(home=tmp_path / "home")
    open_home(settings.home).close()
    with pytest.raises(InputError, match="another disk"):
        back_up(settings, settings.home / "intel/backup")


def test_public_keys_that_were_kept_elsewhere_stay_as_they_are(tmp_path: Path) -> None:
    settings = only(home=tmp_path / "home", ledger_key=tmp_path / "keys/ledger.key")
    store = open_store(None, settings.home, signer=restoring_signer(settings))
    fill(store)  # type: ignore[arg-type]
    store.close()
    back_up(settings, tmp_path / "backup")
    store = open_store(None, settings.home, signer=restoring_signer(settings))
    store.renew_key(AEGIS)
    store.close()
    known = (tmp_path / "keys/ledger.pub").read_text()
    assert len(known.splitlines()) == 2
    shutil.rmtree(settings.home)
    restore(settings, tmp_path / "backup", look=False)
    assert (tmp_path / "keys/ledger.pub").read_text() == known
    with Aegis(settings=settings) as aegis:
        assert aegis.store.verify().unsigned > 0  # the new key was named after the backup: a person renews it again
        assert any("--renew" in str(e.body) for e in aegis.store.entries(kind="ledger.unsigned"))


def restoring_signer(settings: Settings) -> Signer:
    assert settings.ledger_key is not None
    return Signer(settings.ledger_key)


def test_a_file_that_goes_while_the_outbox_is_copied_is_no_reason_to_give_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = only(home=tmp_path / "home")
    open_home(settings.home).close()
    (settings.home / "outbox").mkdir()
    for name in ("a", "b"):
        (settings.home / "outbox" / name).write_text(name)
    real = shutil.copy2

    def copy(source: Any, target: Any, **named: Any) -> Any:
        if str(source).endswith("outbox/a"):
            Path(source).unlink()
        return real(source, target, **named)

    monkeypatch.setattr(shutil.copytree, "__kwdefaults__", None)
    monkeypatch.setattr(shutil.copytree, "__defaults__", (False, None, copy, False, False))
    made = back_up(settings, tmp_path / "backup")
    assert "outbox/b" in made.files
    assert "outbox/a" not in made.files


@pytest.mark.parametrize("name", ["aegis.sqlite", "inbox.sqlite"])
def test_what_was_changed_since_it_was_checked_is_not_put_back(
    backup: Path, tmp_path: Path, database: dict[str, Any], name: str
) -> None:
    def change(said: str) -> None:
        if said.startswith("engaged"):  # everything has been checked by then
            with (backup / name).open("r+b") as file:
                file.seek(4096)
                file.write(b"other")

    with pytest.raises(LedgerTampered, match=f"{name}: was changed while"):
        restore(only(home=tmp_path / "home", **database), backup, look=False, say=change)


def test_a_backup_into_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_home(tmp_path / "home")
    store.append("x", None, {})
    store.close()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    back_up(only(home=tmp_path / "home"), Path())
    assert read_manifest(tmp_path / "here").entries > 0
