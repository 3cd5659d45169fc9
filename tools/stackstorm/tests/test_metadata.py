"""The YAML that StackStorm registers, by structure: its own schemas are on no package index."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from conftest import PACK, load

ACTIONS = sorted((PACK / "actions").glob("*.yaml"))
ALIASES = sorted((PACK / "aliases").glob("*.yaml"))
PARAMETER = {"type", "description", "default", "required", "position", "immutable", "secret", "enum", "items"}


def test_the_pack_is_named_as_its_folder() -> None:
    pack = load(PACK / "pack.yaml")
    assert pack["ref"] == PACK.name == "aegis"
    assert re.fullmatch(r"\d+\.\d+\.\d+", pack["version"])
    assert {"name", "description", "author", "email"} <= pack.keys()


def test_the_token_is_a_secret() -> None:
    assert load(PACK / "config.schema.yaml")["token"] == {
        "description": "Token of `aegis token add`, one for StackStorm alone", "type": "string", "required": True, "secret": True,
    }  # fmt: skip
    assert load(PACK / "aegis.yaml.example").keys() <= load(PACK / "config.schema.yaml").keys()


@pytest.mark.parametrize("file", ACTIONS, ids=lambda p: p.stem)
def test_an_action_is_whole(file: Path) -> None:
    found = load(file)
    assert found["name"] == file.stem
    assert found["runner_type"] in ("python-script", "orquesta")
    entry = PACK / "actions" / found["entry_point"]
    assert entry.is_file()
    positions = [p["position"] for p in found["parameters"].values() if "position" in p]
    assert positions == list(range(len(positions)))
    for name, parameter in found["parameters"].items():
        assert parameter.keys() <= PARAMETER, name
        assert parameter["type"] in ("string", "object", "boolean", "array", "integer", "number")
    if entry.suffix == ".py":
        calls = [
            n for n in ast.walk(ast.parse(entry.read_text())) if isinstance(n, ast.FunctionDef) and n.name == "call"
        ]
        assert set(found["parameters"]) <= {a.arg for a in calls[0].args.args}, (
            "a parameter that the action does not take"
        )
    else:
        assert set(load(entry)["input"]) == set(found["parameters"])


@pytest.mark.parametrize("file", ALIASES, ids=lambda p: p.stem)
def test_an_alias_calls_an_action_that_is_there(file: Path) -> None:
    action = load(PACK / "actions" / (load(file)["action_ref"].removeprefix("aegis.") + ".yaml"))
    for shape in load(file)["formats"]:
        assert set(re.findall(r"\{\{\s*(\w+)", shape)) <= set(action["parameters"])


def test_the_rule_is_off_and_gives_what_the_workflow_takes() -> None:
    rule = load(PACK / "rules" / "ask_a_person.yaml")
    payload = load(PACK / "sensors" / "approvals.yaml")["trigger_types"][0]["payload_schema"]["properties"]
    assert rule["enabled"] is False
    assert set(rule["action"]["parameters"]) == set(load(PACK / "actions" / "ask_a_person.yaml")["parameters"])
    used = re.findall(r"trigger\.(\w+)", str(rule["action"]) + str(rule["criteria"]))
    assert used
    assert set(used) <= set(payload)


def test_actions_and_sensor_each_find_the_client() -> None:
    for place in ("actions/lib", "sensors"):
        assert (PACK / place / "aegis_client" / "synchronous.py").is_file()
