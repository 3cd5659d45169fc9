"""Spans in the words of OpenTelemetry's conventions for generative AI (opentelemetry-semantic-conventions 0.66).

    invoke_workflow aegis                one incident
    └── invoke_agent triage              and intel, reasoning, approval, response
        ├── assess NAME                  the fine-tuned model; a name of our own, since the conventions have none
        ├── embeddings NAME              its encoder alone
        ├── chat NAME                    the language model, where there is one
        └── execute_tool block_ip        look-ups (datastore) and response actions (extension)

The attribute names are written out and compared with the installed conventions by a test: their module is marked as
moving house, and importing it costs more than these lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from aegis_agents.telemetry.closed import error_name
from aegis_agents.telemetry.otlp import TRACE_ID

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

Attributes = Mapping[str, str | int | float | bool]

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
AGENT: Final = "gen_ai.agent.name"
WORKFLOW: Final = "gen_ai.workflow.name"
CONVERSATION: Final = "gen_ai.conversation.id"
TOOL: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL: Final = "gen_ai.tool.call.id"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
ERROR_TYPE: Final = "error.type"
OURS: Final = "aegis"
"""The provider of the fine-tuned model, and the name of the workflow."""
_MOST_CHARS = 4_000


class Seen:
    """A span that is open, or none: what it is told then goes nowhere."""

    def __init__(self, span: Span | None, redact: Callable[[str], str] | None) -> None:
        self._span, self._redact = span, redact

    def tell(self, **attributes: str | int | float | bool | None) -> None:
        """Add attributes named "aegis...", by their names with "_" for "."; None is left out."""
        self.add({f"aegis.{name.replace('_', '.')}": v for name, v in attributes.items() if v is not None})

    def add(self, attributes: Attributes) -> None:
        """Add attributes."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def contents(self, **texts: str) -> None:
        """Add what alerts or people wrote, masked and cut; nothing unless that was asked for."""
        self.contents_of({f"aegis.{name.replace('_', '.')}": text for name, text in texts.items()})

    def contents_of(self, texts: Mapping[str, str]) -> None:
        """The same by whole names."""
        if self._redact is not None and self._span is not None:
            for name, text in texts.items():
                self._span.set_attribute(name, self._redact(text)[:_MOST_CHARS])

    def event(self, name: str, attributes: Attributes) -> None:
        """Something that happened now."""
        if self._span is not None:
            self._span.add_event(name, attributes)

    def rename(self, name: str) -> None:
        """Give it another name."""
        if self._span is not None:
            self._span.update_name(name)

    def failed(self, kind: str) -> None:
        """It ended in an error of this kind."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute(ERROR_TYPE, kind)
            self._span.set_status(StatusCode.ERROR)


UNSEEN: Final = Seen(None, None)


class Tracing:
    """Opens spans. `redact` None: no contents, whatever is told."""

    def __init__(self, tracer: Tracer, redact: Callable[[str], str] | None) -> None:
        self._tracer, self._redact = tracer, redact

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, *, incident_id: str = "", client: bool = False, server: bool = False,
        parent: Any = None,
    ) -> Iterator[Seen]:  # fmt: skip
        """A span around what is done inside; an error's kind is kept, what it says is not.

        Without a span around it, it begins the incident's own trace: its id is derived from the incident's.
        """
        from opentelemetry.trace import SpanKind

        wanted = TRACE_ID.set(trace_id_of(incident_id) if incident_id else None)
        try:
            with self._tracer.start_as_current_span(
                name, context=parent, attributes=attributes, record_exception=False,
                kind=SpanKind.CLIENT if client else SpanKind.SERVER if server else SpanKind.INTERNAL,
                set_status_on_exception=False,
            ) as span:  # fmt: skip
                seen = Seen(span, self._redact)
                try:
                    yield seen
                except GeneratorExit:
                    raise
                except BaseException as error:
                    seen.failed(error_name(error))
                    raise
        finally:
            TRACE_ID.reset(wanted)

    def begin(self, name: str, attributes: Attributes, incident_id: str) -> OpenSpan:
        """A span that is made current in pieces, for what is done by a generator."""
        from opentelemetry.trace import SpanKind

        wanted = TRACE_ID.set(trace_id_of(incident_id))
        try:
            span = self._tracer.start_span(name, kind=SpanKind.INTERNAL, attributes=attributes)
        finally:
            TRACE_ID.reset(wanted)
        return OpenSpan(span, self._redact)


class OpenSpan(Seen):
    """A span that ends when it is told to, and is current only inside `current`."""

    def current(self) -> Any:
        """A context in which new spans are inside this one."""
        from opentelemetry.trace import use_span

        assert self._span is not None  # noqa: S101 - made with one
        return use_span(self._span, record_exception=False, set_status_on_exception=False)

    def end(self) -> None:
        """It is over."""
        assert self._span is not None  # noqa: S101 - made with one
        self._span.end()


def trace_id_of(incident_id: str) -> int:
    """The trace of an incident: the first 16 bytes of the SHA-256 of its id, the same in every process."""
    return int.from_bytes(hashlib.sha256(incident_id.encode("utf-8", "surrogatepass")).digest()[:16])
