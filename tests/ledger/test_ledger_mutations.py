"""Any single change of the raw tables, or of an export, is found; two readers that share no code agree."""

from __future__ import annotations

import importlib.util
import io
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aegis_agents.errors import LedgerTampered
from aegis_agents.ledger import SqliteStore, check_export, read_keys
from tests.ledger.ledgers import Clock, finished, killed, open_in, tampering
from tests.people import person

SCRIPT = Path(__file__).parents[2] / "tools" / "verify_ledger" / "verify_ledger.py"
TABLES = {
    "ledger_entries": ("seq", "at", "kind", "incident_id", "body", "salt", "body_sha256", "prev", "hash"),
    "ledger_checkpoints": ("number", "note"),
    "ledger_meta": ("origin", "count", "head", "checkpoints", "signed"),
}
Rows = dict[str, list[tuple[Any, ...]]]

_values = st.one_of(
    st.none(), st.integers(-3, 40), st.text(max_size=5), st.binary(max_size=5), st.floats(allow_nan=False, width=16)
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with everything in it: signed, partly removed, with a tail that is not signed."""
    made, clock = tmp_path_factory.mktemp("home"), Clock()
    store = open_in(made, clock=clock)
    finished(store, "inc-1")
    finished(store, "inc-2")
    store.prune(clock.now, person("alice"))
    finished(store, "inc-3")
    store.checkpoint()
    store.append("last", None, {"text": "é \u2028 \ud800"})
    killed(store)
    return made


def _rows(file: Path) -> Rows:
    with sqlite3.connect(file) as database:
        rows = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    database.close()
    return rows


@st.composite
def _mutations(draw: st.DrawFn) -> Callable[[sqlite3.Connection], None]:
    """One change of one row: a cell set, edited, or taken from a neighbour; a row dropped, doubled or exchanged."""
    table = draw(st.sampled_from([*TABLES, "ledger_entries", "ledger_checkpoints"]))
    how = draw(st.sampled_from(["set", "edit", "other row", "other column", "drop", "append"]))
    column, other = draw(st.sampled_from(TABLES[table])), draw(st.sampled_from(TABLES[table]))
    row, value, at = draw(st.integers(0, 30)), draw(_values), draw(st.integers(0, 200))

    def change(database: sqlite3.Connection) -> None:
        keys = [k for (k,) in database.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
        here, there = keys[row % len(keys)], keys[at % len(keys)]
        if how == "drop":
            database.execute(f"DELETE FROM {table} WHERE rowid = ?", (here,))
        elif how == "append":
            names = ", ".join(TABLES[table])
            rest = ", ".join(TABLES[table][1:])
            assume(table != "ledger_meta")
            database.execute(
                f"INSERT INTO {table} ({names}) SELECT {len(keys) + 1}, {rest} FROM {table} WHERE rowid = ?", (here,)
            )
        elif how == "edit":
            (held,) = database.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (here,)).fetchone()
            assume(isinstance(held, str) and held)
            place = at % len(held)
            edited = held[:place] + draw_char(held[place]) + held[place + 1 :]
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (edited, here))
        else:
            source = {"set": "?", "other row": f"(SELECT {column} FROM {table} WHERE rowid = ?)", "other column": other}
            values = {"set": (value,), "other row": (there,), "other column": ()}[how]
            database.execute(f"UPDATE {table} SET {column} = {source[how]} WHERE rowid = ?", (*values, here))

    def draw_char(char: str) -> str:
        return char.swapcase() if char.swapcase() != char else {"0": "1", "\n": " "}.get(char, "0")

    return change


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=_mutations())
def test_every_change_of_the_raw_tables_is_found(home: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    changed = home.parent / "changed"
    shutil.rmtree(changed, ignore_errors=True)
    shutil.copytree(home, changed)
    file = changed / "aegis.sqlite"
    try:
        with tampering(file) as database:
            change(database)
    except (sqlite3.Error, OverflowError):
        assume(False)
    assume(_rows(file) != _rows(home / "aegis.sqlite"))
    store = SqliteStore(file)
    try:
        with pytest.raises(LedgerTampered):
            store.verify(read_keys(home / "ledger.pub"))
    finally:
        killed(store)


@pytest.fixture(scope="module")
def exported(home: Path) -> str:
    store, out = open_in(home), io.StringIO()
    store.export(out)
    killed(store)
    return out.getvalue()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_ledger", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _agree(home: Path, text: str, script: ModuleType) -> bool:
    """Whether both readers find it whole; they may not differ."""
    pinned = read_keys(home / "ledger.pub")
    try:
        whole = check_export(io.StringIO(text, newline="\n"), pinned).entries > 0
    except LedgerTampered:
        whole = False
    file = home.parent / "export.jsonl"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        script.check(file, list(pinned), [])
        second = True
    except (script.Altered, ValueError):
        second = False
    assert second == whole, "the two readers differ"
    return whole


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_change_of_an_export_is_found_by_both_readers(
    home: Path, exported: str, script: ModuleType, data: st.DataObject
) -> None:
    lines = exported.splitlines(keepends=True)
    how = data.draw(st.sampled_from(["character", "insert", "drop", "double", "move", "cut"]))
    at = data.draw(st.integers(0, len(lines) - 1))
    if how in ("character", "insert"):
        place = data.draw(st.integers(0, len(lines[at]) - 1))
        char = data.draw(st.characters(codec="utf-8") | st.sampled_from('0123456789abcdef"\\ ,:{}'))
        lines[at] = lines[at][:place] + char + lines[at][place + (how == "character") :]
    elif how == "move":
        lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(at))
    elif how == "cut":
        lines = lines[:at]
    else:
        lines[at] = "" if how == "drop" else lines[at] * 2
    text = "".join(lines)
    assume(text != exported)
    assert not _agree(home, text, script)


def test_both_readers_find_the_export_whole(home: Path, exported: str, script: ModuleType) -> None:
    assert _agree(home, exported, script)
