"""A chat model that says what the test wrote, whatever it is told: the worst that an injected text could make of one."""

from __future__ import annotations

import time
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Scripted(BaseChatModel):
    """Answers `says` one after the other; an Exception is raised. `heard` has what it was sent."""

    says: list[Any]
    heard: list[list[BaseMessage]] = []
    bound: list[str] = []
    seconds: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        self.bound.extend(tool.name for tool in tools)
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        self.heard.append(list(messages))
        time.sleep(self.seconds)
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        message = said if isinstance(said, AIMessage) else AIMessage(said)
        return ChatResult(generations=[ChatGeneration(message=message)])


def calls(*named: tuple[str, dict[str, Any]]) -> AIMessage:
    """A message that calls tools."""
    made = [{"name": name, "args": args, "id": f"c{at}", "type": "tool_call"} for at, (name, args) in enumerate(named)]
    return AIMessage("", tool_calls=made)
