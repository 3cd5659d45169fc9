from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from langchain_core.tools import BaseTool
from numpy.typing import NDArray
from pydantic import ValidationError

from aegis_agents.intel import Intel
from aegis_agents.tools.lookups import lookup_tools


class WordBuckets:
    """A stand-in for the model: hashes words into buckets and understands nothing."""

    version = "fake-words"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.full((len(texts), 384), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.strip(".,:").encode()) % 384] += 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def intel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intel]:
    with Intel.build(tmp_path_factory.mktemp("intel"), WordBuckets()) as built:
        vectors = WordBuckets().embed(["nightly backup job", "nightly backup copy"])
        built.confirm_case("case-1", vectors[0], "benign_positive", "nightly backup job", "key 1")
        built.confirm_case("case-2", vectors[1], "true_positive", "nightly backup copy", "key 2")
        yield built


@pytest.fixture(scope="module")
def tools(intel: Intel) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in lookup_tools(intel)}


def ask(tool: BaseTool, **arguments: object) -> dict:
    return json.loads(tool.invoke(arguments))


def test_there_are_five_tools_that_only_read_and_say_what_they_do(tools: dict[str, BaseTool]) -> None:
    assert set(tools) == {
        "search_techniques", "get_technique", "explain_cve", "similar_incidents", "find_response_actions"
    }  # fmt: skip
    for tool in tools.values():
        assert tool.metadata == {"effect": "read"}
        assert len(tool.description) > 40


@pytest.mark.parametrize(
    ("name", "arguments", "required"),
    [
        ("search_techniques", {"text", "k"}, ["text"]), ("get_technique", {"technique"}, ["technique"]),
        ("explain_cve", {"cve"}, ["cve"]), ("similar_incidents", {"text", "case_id", "k"}, []),
        ("find_response_actions", {"text", "k"}, ["text"]),
    ],
)  # fmt: skip
def test_schemas_are_closed_and_typed(
    tools: dict[str, BaseTool], name: str, arguments: set[str], required: list[str]
) -> None:
    schema = tools[name].args_schema.model_json_schema()
    assert set(schema["properties"]) == arguments
    assert schema.get("required", []) == required
    assert schema["additionalProperties"] is False
    assert all("description" in p for p in schema["properties"].values())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("search_techniques", {"text": ""}), ("search_techniques", {"text": "x", "k": 0}),
        ("search_techniques", {"text": "x", "k": 1000}), ("search_techniques", {"text": "x", "run": "rm"}),
        ("search_techniques", {"text": "x" * 5000}), ("get_technique", {"technique": "T1059; drop"}),
        ("explain_cve", {"cve": "everything"}), ("similar_incidents", {}),
        ("similar_incidents", {"text": "x", "case_id": "y"}),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(tools: dict[str, BaseTool], name: str, arguments: dict) -> None:
    with pytest.raises(ValidationError):
        tools[name].invoke(arguments)


def test_techniques_are_found_by_description_and_by_id(tools: dict[str, BaseTool]) -> None:
    found = ask(tools["search_techniques"], text="OS credential dumping from LSASS memory", k=3)["results"]
    assert len(found) == 3
    assert "T1003.001" in [f["id"] for f in found]
    assert set(found[0]) == {"id", "source", "title", "text", "score"}
    assert ask(tools["get_technique"], technique="t1086")["results"][0]["id"] == "T1059.001"
    missing = ask(tools["get_technique"], technique="T9999")
    assert missing["results"] == []
    assert "T9999" in missing["note"]


def test_a_cve_is_explained_and_its_absence_proves_nothing(tools: dict[str, BaseTool]) -> None:
    assert "Log4j2" in ask(tools["explain_cve"], cve="cve-2021-44228")["results"][0]["title"]
    missing = ask(tools["explain_cve"], cve="CVE-1999-00001")
    assert missing["results"] == []
    assert "does not mean that it is not exploited" in missing["note"]


def test_similar_incidents_come_with_their_verdicts(tools: dict[str, BaseTool]) -> None:
    found = ask(tools["similar_incidents"], text="nightly backup job", k=1)["results"]
    assert [(f["id"], f["verdict"]) for f in found] == [("case-1", "benign_positive")]
    assert found[0]["similarity"] == pytest.approx(1.0, abs=1e-3)
    assert [f["id"] for f in ask(tools["similar_incidents"], case_id="case-1")["results"]] == ["case-2"]
    assert "not a confirmed case" in ask(tools["similar_incidents"], case_id="case-9")["note"]


def test_response_actions_are_found_and_not_done(tools: dict[str, BaseTool]) -> None:
    found = ask(tools["find_response_actions"], text="cut a host off from the network", k=2)["results"]
    assert found[0]["id"] == "isolate_host"
    assert ask(tools["find_response_actions"], text="D3-NI")["results"][0]["id"] == "isolate_host"


def test_a_tool_call_carries_the_passages_as_its_artifact(intel: Intel, tools: dict[str, BaseTool]) -> None:
    call = {"type": "tool_call", "id": "1", "name": "get_technique", "args": {"technique": "T1059"}}
    message = tools["get_technique"].invoke(call)
    (passage,) = message.artifact
    assert (passage.id, passage.snapshot) == ("T1059", intel.snapshot_id)
    assert "Terms of Use" in passage.licence
