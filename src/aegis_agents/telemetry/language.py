"""A question to a language model: its span, how long it took, and how many tokens it cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from aegis_agents.telemetry import instruments as of
from aegis_agents.telemetry.spans import (
    INPUT_MESSAGES,
    INPUT_TOKENS,
    OPERATION,
    OUTPUT_MESSAGES,
    OUTPUT_TOKENS,
    PROVIDER,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    UNSEEN,
    Seen,
)
from aegis_agents.telemetry.watch import now


class Asking:
    """One question under way. `config` goes with LangChain's `invoke`; it is None where nobody listens."""

    config: Any = None

    def __init__(self, span: Seen = UNSEEN) -> None:
        self._span = span
        self.failed = ""

    def prompt(self, messages: Sequence[tuple[str, str]]) -> None:
        """What was asked, where contents are wanted."""
        self._span.contents_of({INPUT_MESSAGES: _shape(messages)})

    def answered(self, content: Any) -> None:
        """What came back, where contents are wanted."""
        self._span.contents_of({OUTPUT_MESSAGES: _shape([("assistant", str(content))])})

    def no_answer(self, why: str) -> None:
        """It failed: the name of an error, or "timeout"."""
        self.failed = why
        self._span.failed(why)


UNHEARD: Final = Asking()


@contextmanager
def chat(llm: Any) -> Iterator[Asking]:
    """Around one question to a LangChain chat model."""
    telemetry = now()
    if telemetry is None:
        yield UNHEARD
        return
    from langchain_core.callbacks import UsageMetadataCallbackHandler

    try:
        told = llm._get_ls_params()  # what LangChain tells tracers: "ls_provider", "ls_model_name" ...
    except Exception:  # noqa: BLE001 - somebody's model: it is asked all the same, under its type's name
        told = {}
    provider = telemetry.names.tool("aegis" if llm._llm_type == "aegis-local" else str(told.get("ls_provider", "")))
    model = telemetry.names.model(str(told.get("ls_model_name") or llm._llm_type))
    usage = UsageMetadataCallbackHandler()
    begun = time.perf_counter()
    attributes = {OPERATION: "chat", PROVIDER: provider, REQUEST_MODEL: model}
    with telemetry.span(f"chat {model}", attributes, client=provider != "aegis") as span:
        asking = Asking(span)
        asking.config = {"callbacks": [usage]}
        yield asking
        for answering, counted in list(usage.usage_metadata.items()):  # a late answer may still come
            span.add({RESPONSE_MODEL: telemetry.names.model(answering)})
            for kind, attribute in (("input", INPUT_TOKENS), ("output", OUTPUT_TOKENS)):
                tokens = int(str(counted.get(f"{kind}_tokens", 0)))
                span.add({attribute: tokens})
                telemetry.figures.record(of.TOKEN_USAGE, tokens, "chat", provider, model, kind)
    telemetry.figures.record(of.MODEL_TIME, time.perf_counter() - begun, "chat", provider, model, asking.failed)


def _shape(messages: Sequence[tuple[str, str]]) -> str:
    """Messages as the conventions have them."""
    roles = {"human": "user"}
    return json.dumps(
        [{"role": roles.get(role, role), "parts": [{"type": "text", "content": text}]} for role, text in messages]
    )
