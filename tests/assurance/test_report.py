"""The compliance report points at tests that exist and at entries that the code writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from aegis_agents.assurance.report import Requirement, markdown, read_evidence, report, requirements
from aegis_agents.ledger import SqliteStore

ROOT = Path(__file__).parents[2]


def all_tests(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            names.add(node.name)
    return names


def named() -> Iterator[tuple[str, str]]:
    for requirement in requirements():
        for test in requirement.tests:
            yield f"{requirement.framework} {requirement.id}", test


@pytest.mark.parametrize(("where", "test"), sorted(set(named())))
def test_every_test_that_is_named_exists(where: str, test: str) -> None:
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), f"{where}: {file}"
    assert name in all_tests(ROOT / file), f"{where}: {test}: a file as a whole shows nothing"


def test_every_kind_that_is_named_is_written_somewhere() -> None:
    source = "\n".join(
        p.read_text("utf-8") for p in (ROOT / "src" / "aegis_agents").rglob("*.py") if p.name != "report.py"
    )
    for requirement in requirements():
        for kind in requirement.ledger:
            assert re.search(rf'"{re.escape(kind)}"', source), f"{requirement.id}: nothing writes {kind}"


def test_the_frameworks_are_all_there_and_ids_are_unique() -> None:
    frameworks = " ".join({r.framework for r in requirements()})
    for name in ("800-61r3", "Article 12", "Article 14", "42001", "LLM applications", "agentic", "ATLAS"):
        assert name in frameworks
    ids = [(r.framework, r.id) for r in requirements()]
    assert len(ids) == len(set(ids))
    for prefix in ("LLM", "ASI"):
        assert {i for _, i in ids if i.startswith(prefix)} == {f"{prefix}{n:02d}" for n in range(1, 11)}


@pytest.mark.parametrize(
    "wrong", [{"tests": ()}, {"standing": "in part"}, {"gap": "something is missing"}, {"id": None}]
)
def test_a_line_needs_evidence_and_an_honest_standing(wrong: dict[str, object]) -> None:
    line = {"framework": "f", "id": "1", "asks": "a", "how": "h", "tests": ("tests/x.py",)}
    assert Requirement.model_validate(line).standing == "met"
    with pytest.raises(ValidationError):
        Requirement.model_validate(line | wrong)


def test_it_counts_what_the_ledger_holds(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aegis.sqlite")
    for number in range(1203):
        with store.transaction():
            store.append("review.given" if number % 3 == 0 else "other", None, {"n": number})
    found = read_evidence(store, ["review.given", "action.decided"])
    assert (found["review.given"].count, found["review.given"].first, found["review.given"].last) == (401, 1, 1201)
    assert found["action.decided"].count == 0
    text = "\n".join(markdown(report(store), "of a test"))
    assert "401 entries, the last #1201" in text
    assert "no entry yet" in text
    store.close()
