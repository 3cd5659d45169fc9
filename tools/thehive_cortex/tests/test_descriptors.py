"""Descriptors and templates: what Cortex and TheHive read before anything runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import BUILT

DESCRIPTORS = sorted(BUILT.glob("*/Aegis/*.json"))
TEMPLATES = sorted(BUILT.glob("thehive-templates/*/*.html"))
OBSERVABLES = {"ip", "domain", "fqdn", "url", "hash", "mail", "filename", "file", "other"}
OBJECTS = {"thehive:case", "thehive:alert", "thehive:case_task"}


@pytest.mark.parametrize("file", DESCRIPTORS, ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_a_descriptor_is_whole(file: Path) -> None:
    found = json.loads(file.read_text())
    assert found["name"] == file.stem
    assert {"version", "author", "url", "license", "description", "baseConfig"} <= found.keys()
    assert (BUILT / file.parts[-3] / found["command"]).is_file()
    assert set(found["dataTypeList"]) <= (OBSERVABLES if file.parts[-3] == "analyzers" else OBJECTS)
    assert found["config"]["check_tlp"] is True
    assert found["config"]["check_pap"] is True
    items = {item["name"]: item for item in found["configurationItems"]}
    assert items["url"]["required"]
    assert items["token"]["required"]
    for item in items.values():
        assert item.keys() >= {"name", "description", "type", "multi", "required"}
        assert item["type"] in ("string", "number", "boolean")


def test_there_are_six_workers_and_templates_for_the_analyzers() -> None:
    assert [p.stem for p in DESCRIPTORS] == [
        "Aegis_Ask", "Aegis_Investigate", "Aegis_Approve", "Aegis_Deny", "Aegis_Investigate", "Aegis_Undo",
    ]  # fmt: skip
    assert len(TEMPLATES) == 4


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_template_binds_text_alone(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"ng-bind-html|\$sce|<script|style=|<a\b|<img|<iframe", text)
    bound = re.findall(r'([\w-]+)="[^"]*\{\{', text)
    assert set(bound) <= {"predicate", "t.predicate"}, f"interpolated into attributes: {bound}"
