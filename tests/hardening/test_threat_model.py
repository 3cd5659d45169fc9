"""The threat model is whole: every element has its threats, every threat a control and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

import pytest

from tests.hardening.threat_page import DOCS, PAGE, model, written

MODEL = model()
NEEDED = {"flow": set("TID"), "store": set("TID"), "people": set("STRIDE")}
"""STRIDE by kind of element, as STRIDE-per-element has it; more is welcome."""


@lru_cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((DOCS.parent / file).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, kinds) and n.name.startswith("test"))


@pytest.mark.parametrize("name", sorted({name for t in MODEL["threat"] for name in t["tests"]}))
def test_every_test_that_is_named_exists(name: str) -> None:
    file, _, test = name.partition("::")
    assert (DOCS.parent / file).is_file(), file
    assert test in names_in(file)


@pytest.mark.parametrize("element", MODEL["element"], ids=lambda e: str(e["id"]))
def test_every_element_has_the_threats_of_its_kind(element: dict[str, str]) -> None:
    found = {letter for t in MODEL["threat"] if t["on"] == element["id"] for letter in t["stride"]}
    assert NEEDED[element["kind"]] <= found


def test_every_threat_is_whole() -> None:
    ids = [t["id"] for t in MODEL["threat"]]
    assert len(ids) == len(set(ids))
    elements = {e["id"] for e in MODEL["element"]}
    for t in MODEL["threat"]:
        assert t["on"] in elements
        assert set(t["stride"]) <= set("STRIDE"), t["id"]
        assert t["what"].endswith("."), t["id"]
        assert t["control"].endswith("."), t["id"]
        assert t["tests"], t["id"]
        assert set(t) <= {"id", "on", "stride", "what", "control", "owasp", "atlas", "tests", "left"}, t["id"]


def test_the_agentic_top_ten_is_covered_and_ids_have_their_form() -> None:
    owasp = {one for t in MODEL["threat"] for one in t["owasp"]}
    assert owasp == {f"ASI{n:02d}" for n in range(1, 11)}
    atlas = {one for t in MODEL["threat"] for one in t["atlas"]}
    assert all(re.fullmatch(r"AML\.T\d{4}(\.\d{3})?", one) for one in atlas)
    assert len(atlas) >= 20


def test_what_the_compliance_report_names_of_atlas_is_here_too() -> None:
    from aegis_agents.assurance.report import requirements

    reported = {r.id for r in requirements() if r.framework == "MITRE ATLAS"}
    here = {one for t in MODEL["threat"] for one in t["atlas"]}
    families = {one.rsplit(".", 1)[0] if one.count(".") == 2 else one for one in here}
    # Evading the model is what the whole of training and evals is about, and no threat to Aegis itself.
    assert reported - here - families <= {"AML.T0015"}


def test_the_page_shows_what_is_in_the_table() -> None:
    page = PAGE.read_text("utf-8")
    assert page == written(page), "run: python -m tests.hardening.threat_page"
