"""The OpenAPI description is whole, and the server does what it says: tried by schemathesis, asked in-process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.internal.conjecture.utils import many
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from aegis_agents.records import Case
from tests.server.conftest import ATTACK, Rig

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, unsupported_method,
]  # fmt: skip

if not hasattr(many, "more"):  # hypothesis-jsonschema 0.23.1 still asks that way; hypothesis took it out

    def _more(self: Any) -> bool:
        if self._depth is None:
            self.__enter__()
            self._elements = iter(self)
        going_on = next(self._elements, many) is not many
        if not going_on:
            self.__exit__(None)
        return going_on

    many.more = _more  # type: ignore[attr-defined]


@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


EXAMPLES = {GenerationMode.POSITIVE: 12, GenerationMode.NEGATIVE: 6}
"""Requests an operation: the whole under a minute on two busy cores."""


def _each(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, about) for path, methods in document["paths"].items() for method, about in methods.items()]


def test_every_operation_is_described(rig: Rig) -> None:
    document = rig.client.get("/openapi.json").json()
    assert {(m.upper(), p) for p, m, _ in _each(document)} == {
        ("POST", "/v1/incidents"), ("GET", "/v1/incidents"), ("POST", "/v1/incidents/batch"),
        ("GET", "/v1/incidents/{incident_id}"), ("POST", "/v1/incidents/{incident_id}/confirm"),
        ("GET", "/v1/approvals"), ("GET", "/v1/actions/{action_id}"), ("POST", "/v1/actions/{action_id}/approve"),
        ("POST", "/v1/actions/{action_id}/deny"), ("POST", "/v1/actions/{action_id}/undo"),
        ("POST", "/v1/actions/{action_id}/keep"), ("POST", "/v1/actions/{action_id}/retarget"), ("GET", "/v1/ledger"),
        ("GET", "/v1/ledger/verify"), ("GET", "/v1/autonomy"), ("GET", "/v1/timers"), ("GET", "/v1/intel/status"),
        ("GET", "/v1/intel/search"), ("POST", "/v1/ask"), ("POST", "/v1/incidents/{incident_id}/actions"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"),
    }  # fmt: skip
    names = [about["operationId"] for _, _, about in _each(document)]
    assert len(set(names)) == len(names)
    for path, method, about in _each(document):
        assert about["summary"], path
        assert about["description"], path
        if path.startswith("/v1/"):
            assert {"401", "403", "429", "503"} <= about["responses"].keys(), (path, method)
            for status, response in about["responses"].items():
                if int(status) >= 400 and path != "/readyz":
                    problem = response["content"]["application/problem+json"]
                    assert problem["example"]["status"] == int(status)
        if method == "post":
            assert about["requestBody"], path


def test_a_case_is_as_described(rig: Rig) -> None:
    from jsonschema_rs import validator_for

    document = rig.client.get("/openapi.json").json()
    case = rig.person("ana", "analyst").post("/v1/incidents", json=ATTACK).json()
    schema = {"$ref": "#/components/schemas/CaseAnswer", "components": document["components"]}
    validator = validator_for(schema)
    validator.validate(case)
    assert not validator.is_valid(case | {"verdict": "maybe"})
    assert not validator.is_valid(case | {"unheard_of": 1})
    assert Case.model_validate(case).to_dict() == case


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_the_server_does_what_its_description_says(
    listening: Callable[..., Any], rig: Rig, mode: GenerationMode
) -> None:
    rig.waiting()
    rig.aegis.ask = lambda q, c=None, thread=None: _Said()  # type: ignore[attr-defined, method-assign, unused-ignore]
    document = rig.client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    token = rig.token("ada", "admin")
    tried: dict[str, int] = {}
    rates = {"rate_per_person": "100000/second", "rate_per_address": "100000/second"}
    with listening(rig.aegis, **rates) as url, requests.Session() as session:
        for result in schema.get_all_operations():
            operation = result.ok()
            about = document["paths"][operation.path][operation.method]
            if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation.path, about):
                continue

            @settings(
                max_examples=EXAMPLES[mode], deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def try_it(case: Any) -> None:
                tried[case.operation.label] = tried.get(case.operation.label, 0) + 1
                headers = {"Authorization": f"Bearer {token}"}
                case.call_and_validate(base_url=url, session=session, headers=headers, checks=CHECKS)

            try_it()
    assert len(tried) == (23 if mode is GenerationMode.POSITIVE else 7), tried
    entered = rig.entries("access")
    assert len(entered) > sum(tried.values()) / 2
    rig.aegis.store.verify()


def _can_be_wrong(path: str, about: dict[str, Any]) -> bool:
    """Whether it takes a body or a query and no id: almost any text will do as an id, so that none can be made wrong."""
    given = "requestBody" in about or any(p["in"] == "query" for p in about.get("parameters", ()))
    return given and "{" not in path


class _Said:
    def to_dict(self) -> dict[str, Any]:
        return {"text": "because", "cites": []}
