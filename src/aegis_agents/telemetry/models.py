"""What agents ask of the model and of intelligence, as spans and times: stand-ins that pass every call on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aegis_agents.telemetry import instruments as of
from aegis_agents.telemetry.closed import error_name
from aegis_agents.telemetry.spans import OPERATION, OURS, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL, TOOL, TOOL_TYPE, Seen

if TYPE_CHECKING:
    from aegis_agents.telemetry.watch import Telemetry

C = TypeVar("C")
_QUESTIONS: Final = {
    "assess": "assess", "assess_masked": "assess", "assess_many": "assess", "embed": "embeddings", "embed_incident": "embeddings",
}  # fmt: skip
_LOOKUPS: Final = {
    "technique": "get_technique", "cve": "explain_cve", "similar_cases": "similar_incidents", "lookup": "lookup_indicator",
    "search": "search_intelligence",
}  # fmt: skip
"""Methods of the intelligence, and the names that their look-ups have as tools."""


class _StandIn:
    """Everything of `real`, with what is named in `around` wrapped."""

    def __init__(self, real: Any, around: Mapping[str, Callable[[Any], Any]]) -> None:
        self._real, self._around = real, around

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        around = self._around.get(name)
        return value if around is None else around(value)


def seen_model(telemetry: Telemetry, context: C) -> C:
    """The context, with its model seen."""
    given: Any = context
    version = telemetry.names.model(given.model.version)

    def around(operation: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return lambda ask: _timed(telemetry, operation, version, ask)

    model = _StandIn(given.model, {method: around(operation) for method, operation in _QUESTIONS.items()})
    changed: C = replace(given, model=model)
    return changed


def _timed(telemetry: Telemetry, operation: str, model: str, ask: Callable[..., Any]) -> Callable[..., Any]:
    attributes = {OPERATION: operation, PROVIDER: OURS, REQUEST_MODEL: model, RESPONSE_MODEL: model}

    @wraps(ask)
    def asked(*given: Any, **more: Any) -> Any:
        begun, failed = time.perf_counter(), ""
        try:
            with telemetry.span(f"{operation} {model}", attributes) as span:
                found = ask(*given, **more)
                _read(span, found)
                return found
        except BaseException as error:
            failed = error_name(error)
            raise
        finally:
            telemetry.figures.record(of.MODEL_TIME, time.perf_counter() - begun, operation, OURS, model, failed)

    return asked


def _read(span: Seen, found: Any) -> None:
    """How much it read, and how often it was asked at once."""
    answers = found if isinstance(found, list) else [found]
    facts = sum(getattr(answer, "facts_read", 0) for answer in answers)
    span.tell(facts_read=facts or None, answers=len(answers) if len(answers) > 1 else None)


def seen_intel(telemetry: Telemetry, context: C) -> C:
    """The context, with the look-ups in its intelligence seen. Nothing of what is looked up is said."""
    given: Any = context
    if given.intel is None or telemetry.tracing is None:
        return context

    def around(tool: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrapped(look_up: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(look_up)
            def asked(*arguments: Any, **more: Any) -> Any:
                with telemetry.span(
                    f"execute_tool {tool}", {OPERATION: "execute_tool", TOOL: tool, TOOL_TYPE: "datastore"}
                ) as span:
                    found = look_up(*arguments, **more)
                    span.tell(found=len(found) if isinstance(found, list | tuple) else int(found is not None))
                    return found

            return asked

        return wrapped

    intel = _StandIn(given.intel, {method: around(tool) for method, tool in _LOOKUPS.items()})
    changed: C = replace(given, intel=intel)
    return changed
