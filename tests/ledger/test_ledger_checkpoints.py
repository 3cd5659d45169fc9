"""Checkpoints: when they are made, with which key, where they are copied to, and what happens when that fails."""

from __future__ import annotations

import base64
import hashlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_agents.errors import InputError, LedgerError, LedgerTampered
from aegis_agents.ledger import Signer, SqliteStore, read_keys
from aegis_agents.ledger.notes import PublicKey, read_note
from tests.ledger.ledgers import finished, killed, open_in, signed_ledger, signer_in
from tests.people import person


def kinds(store: SqliteStore) -> list[str]:
    return [entry.kind for entry in store.entries()]


def test_a_store_without_a_signer_signs_nothing_and_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aegis.sqlite")
    store.append("test", None, {})
    with pytest.raises(LedgerError, match="without a key"):
        store.checkpoint()
    found = store.verify()
    assert (found.checkpoints, found.signed, found.unsigned, found.keys) == (0, 0, 1, ())
    store.close()
    assert [file.name for file in tmp_path.glob("ledger.*")] == []


def test_every_so_many_entries_and_at_the_end(tmp_path: Path) -> None:
    store = open_in(tmp_path, every=4)
    for number in range(4):
        assert store.verify().checkpoints == 0
        store.append("test", None, {"number": number})
    assert kinds(store)[-1] == "ledger.key"  # the first names the key, and covers that
    found = store.verify()
    assert (found.checkpoints, found.entries, found.unsigned) == (1, 5, 0)
    store.append("test", None, {})
    store.close()
    store = open_in(tmp_path, every=4)
    assert (store.verify().checkpoints, store.verify().unsigned) == (2, 0)
    store.close()
    store = open_in(tmp_path, every=4)
    assert store.verify().checkpoints == 2  # nothing was new
    store.close()


def test_how_many_may_stay_unsigned_is_a_setting(tmp_path: Path) -> None:
    for every, signed in ((1, 3), (2, 1), (100, 0)):
        store = open_in(tmp_path / str(every), every=every)
        for _ in range(3):
            store.append("test", None, {})
        assert store.verify().checkpoints == signed
        killed(store)
    with pytest.raises(InputError, match="every"):
        signer_in(tmp_path, every=0)


def test_the_note_is_a_c2sp_checkpoint(tmp_path: Path) -> None:
    """Taken apart by hand, beside the words of c2sp.org/signed-note and c2sp.org/tlog-checkpoint."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    store = open_in(tmp_path)
    store.append("test", None, {})
    note = store.checkpoint()
    found = store.verify()
    killed(store)
    text, _, signature = note.rpartition("\n\n")
    origin, size, root, *extension = text.split("\n")
    assert (origin, size) == (found.origin, str(found.entries))
    assert base64.b64decode(root).hex() == found.head
    assert all(extension)
    dash, name, encoded = signature.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", origin)
    key = load_pem_private_key((tmp_path / "ledger.key").read_bytes(), None).public_key()
    assert isinstance(key, Ed25519PublicKey)
    raw = base64.b64decode(encoded)
    assert raw[:4] == hashlib.sha256(f"{name}\n".encode() + b"\x01" + key.public_bytes_raw()).digest()[:4]
    key.verify(raw[4:], f"{text}\n".encode())


def test_nothing_is_made_or_imported_before_a_checkpoint_is_due(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from aegis_agents.ledger import Signer, SqliteStore\n"
        "home = Path(sys.argv[1]); store = SqliteStore(home / 'aegis.sqlite', signer=Signer(home / 'ledger.key'))\n"
        "store.append('test', None, {})\n"
        "print('cryptography' in sys.modules, (home / 'ledger.key').exists()); store.close()\n"
        "print('cryptography' in sys.modules, (home / 'ledger.key').exists())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "True"]


def test_the_key_is_for_its_owner_alone_and_is_refused_where_it_is_not(tmp_path: Path) -> None:
    signed_ledger(tmp_path)
    key = tmp_path / "ledger.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o604)
    store = open_in(tmp_path)
    with pytest.raises(LedgerError, match="chmod 600"):
        store.checkpoint()
    killed(store)


def test_keys_can_lie_elsewhere(tmp_path: Path) -> None:
    signer = Signer(tmp_path / "safe" / "mine.pem", public=tmp_path / "ledger.pub", every=2)
    store = SqliteStore(tmp_path / "aegis.sqlite", signer=signer)
    store.checkpoint()
    assert store.verify().keys == read_keys(tmp_path / "ledger.pub") == store.public_keys()
    assert (tmp_path / "safe" / "mine.pem").exists()
    store.close()


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_work_goes_on_when_the_key_is_of_no_use_and_the_ledger_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.key").write_bytes(content)
    (tmp_path / "ledger.key").chmod(0o600)
    store = open_in(tmp_path, every=3)
    for number in range(4):
        store.append("test", None, {"number": number})
    assert kinds(store).count("ledger.unsigned") == 1
    assert store.verify().unsigned == 5
    with pytest.raises(LedgerError, match=r"ledger\.key"):
        store.checkpoint()
    store.close()


def test_a_key_that_is_of_another_kind_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    pem = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ledger.key").write_bytes(pem)
    (tmp_path / "ledger.key").chmod(0o600)
    store = open_in(tmp_path)
    with pytest.raises(LedgerError, match="no Ed25519 key"):
        store.checkpoint()
    killed(store)


def test_a_lost_key_is_not_quietly_replaced(tmp_path: Path) -> None:
    signed_ledger(tmp_path)
    (tmp_path / "ledger.key").unlink()
    store = open_in(tmp_path)
    with pytest.raises(LedgerError, match="put it back, or make a new one"):
        store.checkpoint()
    assert not (tmp_path / "ledger.key").exists()
    store.renew_key(person("alice"))
    assert store.verify().unsigned == 0
    store.close()


def test_a_renewed_key_is_announced_by_the_old_one(tmp_path: Path) -> None:
    signed_ledger(tmp_path)
    old = (tmp_path / "ledger.key").read_bytes()
    store = open_in(tmp_path)
    first = store.public_keys()
    new = store.renew_key(person("alice"))
    assert store.public_keys() == (*first, new)
    assert (tmp_path / "ledger.key").read_bytes() != old
    (entry,) = [e for e in store.entries(kind="ledger.key") if e.body and e.body["key"] == new]
    assert entry.body is not None
    assert entry.body["principal"]["id"] == "token:alice"
    store.append("test", None, {})
    store.checkpoint()
    assert store.verify().unsigned == 0
    with pytest.raises(LedgerTampered, match="no key that was given has signed it"):
        store.verify(first)  # who pinned the old key must hear of the new one
    by_the_old = [read_note(note, [PublicKey.read(first[0])]).entries for note in signed_by(store, first[0])]
    assert max(by_the_old) >= entry.seq, "the old key signs what announces the new one"
    store.close()


def test_a_process_that_runs_signs_with_the_key_that_another_renewed(tmp_path: Path) -> None:
    signed_ledger(tmp_path)
    running, other = open_in(tmp_path), open_in(tmp_path)
    running.append("test", None, {})
    running.checkpoint()
    new = other.renew_key(person("alice"))
    running.append("test", None, {})
    note = running.checkpoint()
    assert note in signed_by(running, new)
    assert running.verify().unsigned == 0
    running.close()
    other.close()


def signed_by(store: SqliteStore, key: str) -> list[str]:
    """The checkpoints that a key signed."""
    ident = PublicKey.read(key).id
    return [note for _, note in store._notes_after(0) if base64.b64decode(note.split(" ")[-1])[:4] == ident]


@pytest.mark.parametrize("folder", [True, False])
def test_copies_elsewhere_hold_every_checkpoint_and_catch_up(tmp_path: Path, folder: bool) -> None:
    place = tmp_path / "elsewhere"
    if folder:
        place.mkdir()
    store = open_in(tmp_path / "home")  # without copies at first
    for number in range(9):
        store.append("test", None, {"number": number})
    store.close()
    store = open_in(tmp_path / "home", copies=place)
    store.append("test", None, {})
    note = store.checkpoint()
    assert store.verify(against=place).checkpoints == 4
    store.close()
    if folder:
        files = sorted(file.name for file in place.iterdir())
        assert len(files) == 4
        assert (place / files[-1]).read_bytes().decode() == note
    else:
        assert len(place.read_text().splitlines()) == 4


def test_a_line_cut_off_by_a_power_cut_is_written_again(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    store = open_in(tmp_path / "home", copies=place)
    store.append("test", None, {})
    store.checkpoint()
    store.append("test", None, {})
    store.close()
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(lines[0] + lines[1][:100])
    store = open_in(tmp_path / "home", copies=place)
    assert store.verify(against=place).checkpoints == 2
    store.append("test", None, {})
    store.close()
    store = open_in(tmp_path / "home", copies=place)
    assert len(place.read_bytes().splitlines()) == 4
    assert store.verify(against=place).checkpoints == 3
    store.close()


def test_a_place_that_is_gone_is_recorded_once_and_made_up_for(tmp_path: Path) -> None:
    place = tmp_path / "mount" / "checkpoints"
    store = open_in(tmp_path / "home", every=2, copies=place)
    for number in range(6):
        store.append("test", None, {"number": number})
    assert kinds(store).count("ledger.uncopied") == 1
    with pytest.raises(LedgerError, match="mount"):
        store.checkpoint()
    place.parent.mkdir()
    store.append("test", None, {})
    store.checkpoint()
    assert len(place.read_text().splitlines()) == store.verify(against=place).checkpoints
    store.close()


def test_what_is_no_checkpoint_elsewhere_is_said(tmp_path: Path) -> None:
    signed_ledger(tmp_path / "home")
    store = open_in(tmp_path / "home")
    empty, wrong = tmp_path / "empty", tmp_path / "wrong"
    empty.mkdir()
    wrong.write_text('{"note": 7}\n')
    for place, said in ((empty, "no checkpoint of this ledger"), (wrong, "no checkpoint"), (tmp_path / "none", "read")):
        with pytest.raises(InputError, match=said):
            store.verify(against=place)
    killed(store)


def test_a_rolled_back_checkpoint_is_copied_nowhere(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    store = open_in(tmp_path / "home", every=2, copies=place)
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012 - the error must come after the appends
        store.append("test", None, {})
        store.append("test", None, {})
        raise RuntimeError
    store.append("test", None, {})
    assert store.verify().checkpoints == 0
    assert not place.exists()
    assert store.public_keys() == ()
    store.append("test", None, {})
    assert store.verify(against=place).checkpoints == 1
    store.close()


def test_a_busy_database_does_not_keep_anybody_from_closing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aegis.sqlite", busy_timeout_s=0.01, signer=signer_in(tmp_path))
    store.append("test", None, {})
    other = SqliteStore(tmp_path / "aegis.sqlite")
    with other.transaction():
        store.close()
    assert other.verify().checkpoints == 0
    other.close()


_WRITER = """
import sys
from pathlib import Path
from aegis_agents.ledger import Signer, SqliteStore
home = Path(sys.argv[1])
store = SqliteStore(home / "aegis.sqlite", signer=Signer(home / "ledger.key", every=5, copies=home / "copies"))
for number in range(20):
    store.append("from-another-process", None, {"number": number})
store.close()
"""


def test_processes_that_sign_at_once_keep_one_row_of_checkpoints_and_one_key(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)]) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    store = open_in(tmp_path)
    found = store.verify(against=tmp_path / "copies")
    assert found.entries == 61
    assert found.unsigned == 0
    assert len(found.keys) == 1
    store.close()


@pytest.mark.parametrize("line", ["", "x", "a+b+c", "name+00000000+AQ==", "name+zz+" + "A" * 44])
def test_what_is_no_public_key_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="not a public key"):
        PublicKey.read(line)


def test_a_file_with_the_checkpoints_of_another_ledger_is_said_and_not_taken_for_ours(tmp_path: Path) -> None:
    file = tmp_path / "copies.jsonl"
    one = open_in(tmp_path / "one", copies=file)
    finished(one, "inc-1")
    one.checkpoint()
    one.close()
    lines = file.read_text()
    other = open_in(tmp_path / "other", copies=file)
    finished(other, "inc-1")
    with pytest.raises(LedgerError, match="checkpoints of another ledger"):
        other.checkpoint()
    assert file.read_text() == lines
    assert other.entries(kind="ledger.uncopied")
    other.close()
