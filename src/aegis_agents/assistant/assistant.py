"""The assistant: a question in plain language, an answer that cites. It reads, and proposes; it never acts."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from aegis_agents.assistant.attack_links import attack_links
from aegis_agents.assistant.found import Found, Memory
from aegis_agents.assistant.graph import build_assistant_graph
from aegis_agents.assistant.names import IntelNames
from aegis_agents.assistant.proposing import dry_decision
from aegis_agents.assistant.reading import Desk, ReadOnly
from aegis_agents.assistant.records import Answer, Event
from aegis_agents.assistant.route import Router
from aegis_agents.assistant.shelf import Shelf
from aegis_agents.assistant.tools import store_tools
from aegis_agents.context import Context
from aegis_agents.errors import InputError
from aegis_agents.records import Case
from aegis_agents.tools.lookups import lookup_tools

MAX_QUESTION = 2_000
MOST_THREADS = 1_000
"""Conversations that are remembered, in memory, the last ones spoken in."""


class Assistant:
    """Answers questions about cases, the queue and intelligence. Safe to share between threads.

    `context` is what the agents work with; of it the assistant's graph can reach only what reads. `autonomy` and
    `standings` are the façade's `autonomy_in_force` and `standings`. With `context.llm` a language model words the
    answers. Opening it embeds the example questions, which `cache`, a folder, keeps for the next time; `warm` reads
    beforehand what the first question would wait for. `tenant` is whose incidents are spoken of, None for all of the store.
    """

    def __init__(
        self, context: Context, *, autonomy: Callable[[], Sequence[Any]] | None = None,
        standings: Callable[[], Sequence[Any]] | None = None,
        cache: Path | None = None,
        tenant: str | None = None,
    ) -> None:  # fmt: skip
        store = ReadOnly(context.store, tenant)
        shelf = Shelf(store)
        looks = lookup_tools(context.intel, times=context.feed_times) if context.intel is not None else []
        self._desk = Desk(
            store=store, shelf=shelf, router=Router(context.model, cache), names=IntelNames(context.intel), model=context.model,
            intel=context.intel, dry=lambda incident, action, target: dry_decision(context, incident, action, target),
            autonomy=autonomy, standings=standings, llm=context.llm, llm_seconds=context.llm_seconds,
            tools=(*looks, *store_tools(store, shelf)),
        )  # fmt: skip
        self._graph: Any = build_assistant_graph().compile()
        self._threads: OrderedDict[str, Memory] = OrderedDict()
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Read what the first question would have to wait for: the shelf, names, and ATT&CK's relationships."""
        self._desk.shelf.refresh()
        self._desk.names.table()
        attack_links()

    def ask(self, question: str, case: str | Case | None = None, *, thread: str | None = None) -> Answer:
        """The answer to a question; see `ask_stream`."""
        answer = None
        for event in self.ask_stream(question, case, thread=thread):
            answer = event.answer or answer
        if answer is None:
            raise RuntimeError("the stream ended without an answer")
        return answer

    def ask_stream(
        self, question: str, case: str | Case | None = None, *, thread: str | None = None
    ) -> Iterator[Event]:
        """The answer as it is found: `cite` and `token` events, and at the end one `answer`.

        `case` is the case (or its id) that the question is about, where it names none. Questions with the same `thread`
        are a conversation: "and who approved it?" is about what was spoken of before; take an id that only one person
        has. Raises InputError for an empty or overlong question.
        """
        started = time.perf_counter()
        if not isinstance(question, str):
            raise InputError(f"is a {type(question).__name__}", field="question", fix="give text")
        if not question.strip():
            raise InputError("is empty", field="question", fix="ask something")
        if len(question) > MAX_QUESTION:
            raise InputError(f"has {len(question)} characters", field="question", fix=f"at most {MAX_QUESTION}")
        question = question.encode("utf-8", "backslashreplace").decode(
            "utf-8"
        )  # half characters can't be stored or embedded
        return self._stream(question, case.incident_id if isinstance(case, Case) else case, thread, started)

    def _stream(self, question: str, case: str | None, thread: str | None, started: float) -> Iterator[Event]:
        if self._desk.intel is not None:
            self._desk.intel.refresh()  # another process may have synced feeds
        state: dict[str, Any] = {"question": question, "case": case, "memory": self._remembered(thread)}
        first = 0.0
        for mode, part in self._graph.stream(state, context=self._desk, stream_mode=["custom", "values"]):
            if mode == "values":
                state = part
                continue
            if not first and part.kind == "token":
                first = _since(started)
            yield part
        found: Found = state["found"]
        asked = state["asked"]
        focus = asked.focus or (found.memory.incident_id if asked.intent in ("act", "decide") else None)
        self._remember(thread, found.memory)
        yield Event(
            kind="answer",
            answer=Answer(
                question=question, text=" ".join(s.text for s in found.sentences), sentences=tuple(found.sentences),
                cites=tuple(found.cites.values()), proposals=tuple(found.proposals), answered=found.answered,
                intent=asked.intent, incident_id=focus, looked_at=tuple(found.looked_at), notes=state["notes"],
                model=state["model"], thread=thread, timing_ms=_since(started), first_token_ms=first,
            ),
        )  # fmt: skip

    def _remembered(self, thread: str | None) -> Memory:
        with self._lock:
            return self._threads.get(thread, Memory()) if thread is not None else Memory()

    def _remember(self, thread: str | None, memory: Memory) -> None:
        if thread is None:
            return
        with self._lock:
            self._threads[thread] = memory
            self._threads.move_to_end(thread)
            while len(self._threads) > MOST_THREADS:
                self._threads.popitem(last=False)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
