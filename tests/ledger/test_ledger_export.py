"""An export, and the script that checks it without Aegis: good ones, damaged ones, hostile ones."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_agents.errors import InputError, LedgerTampered
from aegis_agents.ledger import check_export, read_keys
from aegis_agents.ledger.notes import PublicKey, read_note
from tests.ledger.ledgers import DAY, Clock, copy_of, finished, open_in, signed_ledger, tampering
from tests.people import person

SCRIPT = Path(__file__).parents[2] / "tools" / "verify_ledger" / "verify_ledger.py"


def run(*given: str | Path) -> subprocess.CompletedProcess[str]:
    """The script, in a Python that can't import Aegis."""
    code = (
        "import runpy, sys; sys.modules['aegis_agents'] = None\n"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(SCRIPT), *map(str, given)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an export, checkpoints elsewhere, and an archive of what was removed."""
    made, clock = tmp_path / "home", Clock()
    store = open_in(made, clock=clock, copies=tmp_path / "elsewhere")
    finished(store, "inc-1")
    clock.now += DAY
    store.prune(clock.now, person("alice"), tmp_path / "removed.jsonl")
    finished(store, "inc-2")
    store.close()
    export(made)
    return made


def export(home: Path) -> Path:
    store = open_in(home)
    with (home / "export.jsonl").open("w", encoding="utf-8") as out:
        store.export(out)
    store.close()
    return home / "export.jsonl"


def test_a_good_export_is_found_whole(home: Path, tmp_path: Path) -> None:
    done = run(
        home / "export.jsonl", "--key", home / "ledger.pub", "--checkpoints", tmp_path / "elsewhere",
        "--archive", tmp_path / "removed.jsonl",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "keys pinned" in done.stdout
    assert "removed.jsonl: 4 removed entries are those that the ledger held" in done.stdout


def test_without_a_pinned_key_it_says_that_nothing_is_proven(home: Path) -> None:
    done = run(home / "export.jsonl")
    assert done.returncode == 0
    assert "NOT PROVEN" in done.stdout


def _line(number: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        assert old in lines[number]
        return [*lines[:number], lines[number].replace(old, new), *lines[number + 1 :]]

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_line(-2, "true_positive", "false_positive"), "its body is not what the chain commits to"),
        (_line(1, '"kind":"intake.admitted"', '"kind":"other"'), "entry 1 was changed"),
        (lambda lines: lines[:3] + lines[4:], "entry 3 is missing"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "entry 1 is missing"),
        (lambda lines: lines[:-1], "header does not fit"),
        (lambda lines: [line for line in lines if '"checkpoint"' not in line], "header does not fit"),
        (lambda lines: lines[1:], "line 1 is not the header"),
        (lambda lines: [], "line 1 is not the header"),
        (lambda lines: ["[" * 100_000 + "\n"], "line 1: not a canonical line"),
        (_line(0, "aegis-ledger/2", "aegis-ledger/9"), "line 1 is not the header"),
        (_line(0, '"entries":', '"entries":1'), "header does not fit"),
    ],
)
def test_a_tampered_export_is_found_and_named(home: Path, change: Callable[[list[str]], list[str]], named: str) -> None:
    file = home / "export.jsonl"
    file.write_text("".join(change(file.read_text().splitlines(keepends=True))))
    done = run(file, "--key", home / "ledger.pub")
    assert done.returncode == 1, done.stdout + done.stderr
    assert named in done.stderr
    with pytest.raises(LedgerTampered), file.open() as lines:
        check_export(lines, read_keys(home / "ledger.pub"))


def test_another_key_does_not_do(home: Path, tmp_path: Path) -> None:
    signed_ledger(tmp_path / "other")
    done = run(home / "export.jsonl", "--key", tmp_path / "other" / "ledger.pub")
    assert done.returncode == 1
    assert "none of the keys given is of this ledger" in done.stderr


def test_a_fork_is_found_by_checkpoints_kept_elsewhere(home: Path, tmp_path: Path) -> None:
    elsewhere, fork = tmp_path / "elsewhere", copy_of(home, tmp_path / "fork")
    store = open_in(home, copies=elsewhere)
    store.append("what happened", None, {})
    store.close()
    store = open_in(fork)
    store.append("what they say happened", None, {})
    store.close()
    forked = export(fork)
    assert run(forked, "--key", home / "ledger.pub").returncode == 0
    done = run(forked, "--key", home / "ledger.pub", "--checkpoints", elsewhere)
    assert done.returncode == 1
    assert "forked" in done.stderr
    with pytest.raises(LedgerTampered, match="forked"), forked.open() as lines:
        check_export(lines, (), elsewhere)


def test_an_archive_of_what_was_never_there_proves_nothing(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "removed.jsonl"
    text = archive.read_text()
    for old, new, named in (
        ("block_ip", "open_ip", "its body is not what the chain commits to"),
        ('"kind":"action.decided"', '"kind":"action.refused"', "is not entry"),
        ("a secret summary", "another summary", "not the case that was decided"),
    ):
        assert old in text
        archive.write_text(text.replace(old, new))
        done = run(home / "export.jsonl", "--archive", archive)
        assert done.returncode == 1
        assert named in done.stderr


@pytest.mark.parametrize("given", [["none.jsonl"], ["--key"], ["export.jsonl", "--key", "none"], []])
def test_what_can_not_be_checked_is_said_with_another_code(home: Path, given: list[str]) -> None:
    done = run(*(home / name if name.endswith("jsonl") else name for name in given))
    assert done.returncode == 2
    assert done.stderr


def test_the_products_own_check_wants_real_keys(home: Path) -> None:
    with pytest.raises(InputError, match="not a public key"), (home / "export.jsonl").open() as lines:
        check_export(lines, ["nonsense"])


def test_a_damaged_ledger_can_be_exported_and_the_export_tells(home: Path) -> None:
    with tampering(home / "aegis.sqlite") as database:
        database.execute("UPDATE ledger_entries SET kind = 'x' WHERE seq = 2")
    store, out = open_in(home), io.StringIO()
    assert store.export(out) > 2
    store.close()
    with pytest.raises(LedgerTampered, match="entry 2"):
        check_export(out.getvalue().splitlines())


def test_the_readme_shows_a_note_and_a_key_that_its_own_rules_accept() -> None:
    """The example is a real one: whoever writes a reader by it starts from something that verifies."""
    text = (SCRIPT.parent / "README.md").read_text("utf-8")
    block = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ") or not line]
    start = next(number for number, line in enumerate(block) if line.startswith("aegis-agents/ledger/"))
    key = next(line for line in block if line.startswith("aegis-agents/ledger/") and "+" in line)
    found = read_note("\n".join(block[start : start + 8]) + "\n", [PublicKey.read(key)])
    assert (found.entries, found.number) == (24, 5)
