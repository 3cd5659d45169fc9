"""Quarantine: nothing is lost, one person decides, and who it was stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aegis_agents.errors import InputError, IntelError, IntelTampered
from aegis_agents.intel import Document
from aegis_agents.intel.trust import Quarantine, Quarantined


def held(number: int = 1, feed: str = "blog") -> Quarantined:
    document = Document(corpus="report", id=f"{feed}/{number}", title="t", text="x", licence="", trust=0.3, feed=feed, tlp="amber")  # fmt: skip
    return Quarantined(document, "injection", "text: overriding instructions")


@pytest.fixture
def quarantine(tmp_path: Path) -> Iterator[Quarantine]:
    with Quarantine(tmp_path / "quarantine.sqlite") as opened:
        yield opened


def test_what_is_put_is_listed_with_its_reason(quarantine: Quarantine) -> None:
    assert quarantine.put([held(1), held(2), held(3, "other")]) == 3
    assert quarantine.count() == {"blog": 2, "other": 1}
    first = quarantine.list(feed="blog")[0]
    assert (first.document, first.reason, first.detail, first.state) == (*held(1), "held")
    assert [h.document.id for h in quarantine.list(limit=2)] == ["blog/1", "blog/2"]


def test_the_same_document_is_kept_once(quarantine: Quarantine) -> None:
    quarantine.put([held()])
    assert quarantine.put([held(), held(2)]) == 1
    assert len(quarantine.list()) == 2


def test_one_feed_can_not_fill_the_disk(quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_agents.intel.trust.quarantine.MAX_HELD", 2)
    assert quarantine.put([held(1), held(1), held(2), held(3), held(4, "other")]) == 3
    assert quarantine.count() == {"blog": 2, "other": 1}
    quarantine.drop(1, "ada")
    assert quarantine.put([held(1), held(3), held(5)]) == 1
    assert [h.document.id for h in quarantine.list(feed="blog")] == ["blog/2", "blog/3"]


def test_a_release_gives_the_document_back_and_is_recorded(quarantine: Quarantine) -> None:
    quarantine.put([held()])
    entry = quarantine.list()[0]
    assert quarantine.release(entry.id, "ada") == held().document
    assert quarantine.list() == []
    assert quarantine.released() == {held().document.sha256}
    after = quarantine.get(entry.id)
    assert (after.state, after.by) == ("released", "ada")
    assert after.decided_at is not None
    assert quarantine.put([held()]) == 0
    assert quarantine.list() == []  # it does not come back


def test_what_is_dropped_is_kept_and_stays_dropped(quarantine: Quarantine) -> None:
    quarantine.put([held()])
    quarantine.drop(1, "bob")
    assert quarantine.put([held()]) == 0
    assert quarantine.list() == []
    assert quarantine.released() == frozenset()
    assert [(h.document.id, h.by) for h in quarantine.list(state="dropped")] == [("blog/1", "bob")]


def test_a_decision_is_made_once_and_by_somebody(quarantine: Quarantine) -> None:
    quarantine.put([held()])
    with pytest.raises(InputError, match="say who decides"):
        quarantine.release(1, " ")
    with pytest.raises(InputError, match="no entry 7"):
        quarantine.release(7, "ada")
    quarantine.drop(1, "bob")
    with pytest.raises(InputError, match="dropped by bob"):
        quarantine.release(1, "ada")
    with pytest.raises(InputError, match="not a state"):
        quarantine.list(state="gone")  # type: ignore[arg-type]


def test_of_many_who_decide_at_once_one_does(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.sqlite"

    def work(name: str) -> bool:
        with Quarantine(path) as own:  # a connection each, as processes have
            own.put([held(n) for n in range(20)])
            try:
                own.release(own.list(limit=1)[0].id if name == "first" else 1, name)
            except InputError:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(work, [f"n{n}" for n in range(8)]))
    assert sum(won) == 1
    with Quarantine(path) as own:
        assert len(own.list()) == 19
        assert len(own.released()) == 1


def test_it_outlives_the_process_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.sqlite"
    with Quarantine(path) as own:
        own.put([held()])
    assert path.stat().st_mode & 0o077 == 0
    with Quarantine(path) as own:
        assert len(own.list()) == 1


def test_an_edited_row_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.sqlite"
    with Quarantine(path) as own:
        own.put([held()])
        with sqlite3.connect(path) as db:
            db.execute("UPDATE quarantined SET document = replace(document, '0.3', '1.0')")
        with pytest.raises(IntelTampered, match="not the one"):
            own.release(1, "ada")
        with sqlite3.connect(path) as db:
            db.execute("UPDATE quarantined SET document = '{'")
        with pytest.raises(IntelTampered, match="not what was written"):
            own.list()


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "q.sqlite").write_bytes(b"not a database, whatever its name says" * 40)
    with pytest.raises(IntelError, match="can't be used"):
        Quarantine(tmp_path / "q.sqlite")
