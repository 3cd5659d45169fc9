"""Signed files: only the very bytes, under their name, by a key that is trusted."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aegis_agents.errors import InputError
from aegis_agents.hardening.signatures import SUFFIX, check, note_beside, sign_file, statement
from aegis_agents.ledger.notes import PublicKey, signed_note
from aegis_agents.ledger.signing import Signer


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    made = Signer(tmp_path / "lead.key")
    made.publish(made.key("lead"))
    return made


@pytest.fixture
def keys(signer: Signer) -> tuple[PublicKey, ...]:
    return (signer.key("lead"),)


def test_what_was_signed_is_told(tmp_path: Path, signer: Signer, keys: tuple[PublicKey, ...]) -> None:
    file = tmp_path / "rules.cedar"
    file.write_bytes(b"// nothing\n")
    assert sign_file(file, signer, "lead") == file.with_name("rules.cedar.sig")
    found = check(file.name, file.read_bytes(), note_beside(file), keys)
    assert found.by == "lead"
    assert found.at.startswith("20")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("bytes", "not for these bytes"),
        ("name", "not for these bytes under this name"),
        ("none", "not signed"),
        ("empty", "no signed note"),
        ("garbage", "no signed note"),
        ("huge", "no signed note"),
        ("time", "does not fit"),
        ("other key", "no trusted key"),
        ("same name, other key", "no trusted key"),
        ("signature", "does not fit"),
        ("trailing", "not for these bytes"),
        ("two", "not for these bytes"),
    ],
)
def test_anything_else_is_refused(
    tmp_path: Path, signer: Signer, keys: tuple[PublicKey, ...], change: str, said: str
) -> None:
    file, content, name = tmp_path / "a.toml", b"x = 1\n", "a.toml"
    file.write_bytes(content)
    sign_file(file, signer, "lead")
    note, sig = note_beside(file), file.with_name("a.toml" + SUFFIX)
    assert note is not None
    if change == "bytes":
        content = b"x = 2\n"
    elif change == "name":
        name = "b.toml"
    elif change == "time":
        note = note.replace("time 2", "time 3")
    elif change.endswith("other key") or change == "other key":
        other = Signer(tmp_path / "other.key")
        sign_file(file, other, "lead" if "same" in change else "mallory")
        note = note_beside(file)
    elif change == "signature":
        raw = bytearray(base64.b64decode(note.rstrip("\n").rpartition(" ")[2]))
        raw[-1] ^= 1
        note = note.rpartition(" ")[0] + " " + base64.b64encode(raw).decode() + "\n"
    elif change in ("trailing", "two"):
        note += " " if change == "trailing" else note
    else:
        written = {"empty": b"", "garbage": b"\xff\x00\n\n", "huge": b"a" * 20_000}.get(change)
        sig.unlink() if written is None else sig.write_bytes(written)
        note = note_beside(file)
    with pytest.raises(InputError, match=said if change not in ("trailing", "two") else "note|bytes|key"):
        check(name, content, note, keys)


def test_a_ledger_checkpoint_is_no_signature_of_a_file(signer: Signer, keys: tuple[PublicKey, ...]) -> None:
    """A key that signs checkpoints too: none of them can be shown as a signature, nor the other way round."""
    from aegis_agents.errors import LedgerTampered
    from aegis_agents.ledger.notes import Checkpoint, read_note

    text = Checkpoint("lead", 1, "0" * 64, "2026-01-01T00:00:00Z", 1, "0" * 64).text()
    with pytest.raises(InputError):
        check("lead", b"", signer.sign("lead", text), keys)
    note = signer.sign("lead", statement("a", b"", "2026-01-01T00:00:00Z"))
    with pytest.raises(LedgerTampered):
        read_note(note, keys)


def test_a_name_with_a_line_break_cannot_write_lines(tmp_path: Path, signer: Signer) -> None:
    file = tmp_path / "a\nsize 1"
    file.write_bytes(b"")
    with pytest.raises(InputError, match="printed"):
        sign_file(file, signer, "lead")


def test_the_command(tmp_path: Path) -> None:
    from typer import Typer

    from aegis_agents.cli.sign import sign

    app = Typer()
    app.command()(sign)
    runner, key, file = CliRunner(), tmp_path / "ops.key", tmp_path / "rules.cedar"
    file.write_text("// none\n")
    made = runner.invoke(app, ["--new-key", str(key), "--name", "ops"])
    assert made.exit_code == 0
    assert made.stdout.startswith("ops+")
    assert key.stat().st_mode & 0o077 == 0
    assert runner.invoke(app, ["--new-key", str(key), "--name", "ops"]).exit_code == 1
    trusted = tmp_path / "trusted.pub"
    trusted.write_text(made.stdout)
    assert runner.invoke(app, [str(file), "--check", str(trusted)]).exit_code == 3
    assert runner.invoke(app, [str(file), "--key", str(key)]).exit_code == 0
    assert runner.invoke(app, [str(file), "--check", str(trusted)]).exit_code == 0
    assert runner.invoke(app, ["--key", str(key), "--public"]).stdout == made.stdout
    assert runner.invoke(app, [str(file), "--key", str(tmp_path / "none.key")]).exit_code == 1
    file.write_text("permit (principal, action, resource);\n")
    assert runner.invoke(app, [str(file), "--check", str(trusted)]).exit_code == 3


def test_notes_have_the_form_of_signed_note(tmp_path: Path, signer: Signer) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x")
    sign_file(file, signer, "lead")
    note = note_beside(file)
    assert note is not None
    text, _, line = note.rpartition("\n\n")
    raw = base64.b64decode(line.rstrip("\n").rpartition(" ")[2])
    assert note == signed_note(text + "\n", signer.key("lead"), raw[4:])
