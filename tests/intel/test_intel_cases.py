from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from aegis_agents.errors import InputError, IntelError, IntelTampered
from aegis_agents.intel import Intel
from aegis_agents.intel.cases import CaseMemory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cases.sqlite"


def memory(path: Path, model: str = "fake-1") -> CaseMemory:
    return CaseMemory(path, model=model, dimensions=384)


def test_a_confirmed_case_is_found_at_once(directory: Path, model, one_hot) -> None:
    with Intel.open(directory, model) as intel:
        assert intel.similar_cases(one_hot(3)) == []
        before = intel.memory_version
        intel.confirm_case("case-1", one_hot(3), "benign_positive", "Backup job", "rule-7|host-a")
        (found,) = intel.similar_cases(one_hot(3, lean=4), 5)
        assert (found.case_id, found.verdict, found.title) == ("case-1", "benign_positive", "Backup job")
        assert found.similarity == pytest.approx(1 / np.sqrt(1.04), abs=1e-5)
        assert found.memory == intel.memory_version != before


def test_looking_and_searching_remember_nothing(directory: Path, model, one_hot) -> None:
    with Intel.open(directory, model) as intel:
        intel.search("backup job on host-a", corpora=("case", "technique"))
        intel.similar_cases(one_hot(3))
        intel.similar_to_text("backup job")
        assert intel.similar_cases(one_hot(3)) == []
        assert intel.case_counts() == (0, 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"verdict": "undetermined"}, "verdict"), ({"verdict": "TRUE_POSITIVE"}, "verdict"),
        ({"case_id": ""}, "case_id"), ({"case_id": "\ud800"}, "case_id"),
        ({"dedupe_key": ""}, "dedupe_key"),
        ({"vector": np.ones(3, np.float32)}, "vector"), ({"vector": np.zeros(384, np.float32)}, "vector"),
    ],
)  # fmt: skip
def test_what_is_not_final_or_not_whole_is_refused(path: Path, one_hot, change: dict, field: str) -> None:
    cases = memory(path)
    given = {"case_id": "c", "vector": one_hot(1), "verdict": "true_positive", "title": "t", "dedupe_key": "k"}
    with pytest.raises(InputError) as caught:
        cases.confirm(**given | change)
    assert caught.value.field == field
    assert cases.similar(one_hot(1)) == []
    cases.close()


def test_one_event_has_one_vote_however_often_it_was_seen(path: Path, one_hot) -> None:
    cases = memory(path)
    for n in range(20):
        cases.confirm(f"flood-{n}", one_hot(1), "false_positive", "flood", "same event")
    cases.confirm("other", one_hot(1, lean=2), "true_positive", "other", "another event")
    assert [c.case_id for c in cases.similar(one_hot(1), 10)] == ["flood-19", "other"]
    assert cases.counts() == (2, 19)
    cases.close()


def test_a_case_does_not_vote_on_itself(path: Path, one_hot) -> None:
    cases = memory(path)
    cases.confirm("a", one_hot(1), "true_positive", "a", "key a")
    cases.confirm("b", one_hot(1, lean=2), "true_positive", "b", "key b")
    assert [c.case_id for c in cases.similar(one_hot(1), 1, exclude_key="key a")] == ["b"]
    cases.close()


def test_a_correction_replaces_the_verdict(path: Path, one_hot) -> None:
    cases = memory(path)
    cases.confirm("a", one_hot(1), "false_positive", "a", "key a")
    cases.confirm("a", one_hot(2), "true_positive", "a", "key a, better")
    assert [(c.verdict, c.dedupe_key) for c in cases.similar(one_hot(1))] == [("true_positive", "key a, better")]
    assert cases.counts() == (1, 1)
    cases.close()
    again = memory(path)
    assert [c.verdict for c in again.similar(one_hot(2))] == ["true_positive"]
    again.close()


def test_what_another_process_confirmed_is_found_at_once(path: Path, one_hot) -> None:
    one, two = memory(path), memory(path)
    one.confirm("a", one_hot(1), "true_positive", "a", "key a")
    assert [c.case_id for c in two.similar(one_hot(1))] == ["a"]
    two.confirm("b", one_hot(2), "true_positive", "b", "key b")
    one.confirm("c", one_hot(3), "true_positive", "c", "key c")
    assert [c.case_id for c in one.similar(one_hot(2), 1)] == ["b"]
    assert [c.case_id for c in two.similar(one_hot(3), 1)] == ["c"]
    one.similar(one_hot(1))
    assert one.version == two.version
    one.close()
    two.close()


def test_vectors_of_another_model_take_no_part(path: Path, one_hot) -> None:
    old = memory(path)
    old.confirm("a", one_hot(1), "true_positive", "a", "key a")
    old.close()
    new = memory(path, model="fake-2")
    assert new.similar(one_hot(1)) == []
    assert new.counts() == (0, 1)
    new.close()


@pytest.mark.parametrize(
    "change",
    ["UPDATE confirmed SET verdict = 'false_positive' WHERE seq = 1", "DELETE FROM confirmed WHERE seq = 1",
     "UPDATE confirmed SET vector = zeroblob(1536) WHERE seq = 2", "UPDATE confirmed SET dedupe_key = 'x'"],
)  # fmt: skip
def test_an_edited_memory_is_caught(path: Path, one_hot, change: str) -> None:
    cases = memory(path)
    for n in range(3):
        cases.confirm(f"c{n}", one_hot(n), "true_positive", "t", f"key {n}")
    cases.close()
    with sqlite3.connect(path) as edit:
        edit.execute(change)
    edit.close()
    with pytest.raises(IntelTampered, match="confirmed case"):
        memory(path)


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"not a database at all, whatever its name may say" * 20)
    with pytest.raises(IntelError, match=r"cases\.sqlite"):
        memory(path)


def test_a_title_is_made_plain_and_short(path: Path, one_hot) -> None:
    cases = memory(path)
    cases.confirm("a", one_hot(1), "true_positive", "x\x1b]0;evil\u202e" + "y" * 1000, "key a")
    title = cases.similar(one_hot(1))[0].title
    assert title.startswith("x ]0;evil y")
    assert len(title) == 300
    cases.close()


def test_cases_come_up_in_a_search_that_asks_for_them(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        intel.confirm_case("case-1", model.embed(["backup job"])[0], "false_positive", "backup job", "key")
        (found,) = intel.search("backup job", corpora=("case",))
        assert (found.source, found.id, found.trust) == ("case", "case-1", 0.5)
        assert found.text == "Confirmed false_positive: backup job"
        assert found.snapshot == intel.memory_version
        assert "case" not in {p.source for p in intel.search("backup job", k=50)}


def test_neighbours_of_a_confirmed_case_leave_it_out(directory: Path, model, one_hot) -> None:
    with Intel.open(directory, model) as intel:
        intel.confirm_case("a", one_hot(1), "true_positive", "a", "key a")
        intel.confirm_case("b", one_hot(1, lean=2), "true_positive", "b", "key b")
        assert [c.case_id for c in intel.similar_to_case("a", 1)] == ["b"]
        assert intel.similar_to_case("unknown") is None
