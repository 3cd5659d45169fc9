"""What was refused is told once a target and hour, whatever the targets are called, and never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_agents.errors import StoreError
from aegis_agents.hardening.refusals import OTHERS, REFUSED, Refusals
from aegis_agents.ledger import SqliteStore


def test_once_a_target_and_hour(tmp_path: Path) -> None:
    now = [0.0]
    refusals, store = Refusals(lambda: now[0]), SqliteStore(tmp_path / "aegis.sqlite")
    for _ in range(500):
        refusals.add("evil.example:443", "connect")
    assert refusals.write(store) == 1
    refusals.add("evil.example:443", "connect")
    refusals.add("other.example", "name")
    assert refusals.write(store) == 1
    now[0] = 3601.0
    assert refusals.write(store) == 1
    assert refusals.write(store) == 0
    bodies = [entry.body for entry in store.entries(kind=REFUSED)]
    assert bodies == [
        {"target": "evil.example:443", "count": 500, "asked": "connect"},
        {"target": "other.example", "count": 1, "asked": "name"},
        {"target": "evil.example:443", "count": 1, "asked": "connect"},
    ]
    assert refusals.total == 502
    store.close()


def test_names_cannot_flood_or_forge(tmp_path: Path) -> None:
    refusals = Refusals()
    refusals.add("a\n\x1b[31m\u202eb" + "x" * 1000, "name")
    (name, _), *_ = refusals.due()
    assert name.isascii()
    assert name.isprintable()
    assert len(name) < 1300
    for number in range(5000):
        refusals.add(f"{number}.evil.example", "name")
    due = dict(refusals.due())
    assert len(due) <= 1001
    assert due[OTHERS].count == 5000 - 999


def test_what_could_not_be_written_is_told_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals, store = Refusals(), SqliteStore(tmp_path / "aegis.sqlite")
    refusals.add("evil.example", "name")

    def full(*_: object) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(store, "append", full)
        with pytest.raises(StoreError):
            refusals.write(store)
    assert refusals.write(store) == 1
    store.close()


def test_names_of_long_ago_do_not_hide_new_ones(tmp_path: Path) -> None:
    """Whoever had a thousand names refused would else have a place to hide in for as long as the process lives."""
    now = [0.0]
    refusals, store = Refusals(lambda: now[0]), SqliteStore(tmp_path / "aegis.sqlite")
    with store.transaction():
        for number in range(1000):
            refusals.add(f"{number}.evil.example", "name")
        refusals.write(store)
    refusals.add("at-once.example", "name")
    assert [name for name, _ in refusals.due()] == [OTHERS]
    refusals.write(store)
    now[0] = 3601.0
    refusals.add("exfiltration.example", "name")
    assert [name for name, _ in refusals.due()] == ["exfiltration.example"]
    store.close()
