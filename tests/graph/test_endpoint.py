"""An OpenAI-compatible server in the language model's place: asked for a schema, bounded in time, never trusted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("langchain_openai", reason="needs the llm extra")

from aegis_agents import Aegis
from aegis_agents.settings import Settings
from tests.graph.conftest import ATTACK

UNCLEAR = ATTACK | {"answer": "undetermined", "note": "vendor on site"}


class Server(ThreadingHTTPServer):
    """Answers every chat completion with `content`, after `delay` seconds, and keeps what it was asked."""

    def __init__(self) -> None:
        self.content: str | None = ""
        self.delay = 0.0
        self.asked: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        time.sleep(self.server.delay)
        message = {"role": "assistant", "content": self.server.content}
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m",
             "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def test_it_is_asked_for_the_schema_and_its_grounded_words_are_used(make: Callable[..., Aegis], server: Server) -> None:
    server.content = json.dumps({"sentences": [{"text": "The address was contacted.", "cites": ["f1"]}]})
    case = make(llm=server.url, llm_name="m", llm_tokens=77).investigate(UNCLEAR)
    assert case.summary == "The address was contacted. [f1]"
    (asked,) = server.asked
    assert asked["response_format"]["type"] == "json_schema"
    assert (
        "f1"
        in asked["response_format"]["json_schema"]["schema"]["properties"]["sentences"]["items"]["properties"]["cites"][
            "items"
        ]["enum"]
    )
    assert asked.get("max_completion_tokens", asked.get("max_tokens")) == 77
    assert asked["model"] == "m"


@pytest.mark.parametrize("content", [None, "", "null", "{}", '{"sentences": "x"}', "I am sorry"])
def test_a_useless_answer_leaves_the_fast_path_standing(
    make: Callable[..., Aegis], server: Server, content: str | None
) -> None:
    server.content = content
    case = make(llm=server.url, llm_name="m").investigate(UNCLEAR)
    assert "The evidence does not decide" in case.summary
    assert any("fast path's answer stands" in note for note in case.notes)


def test_a_slow_server_is_not_waited_for(make: Callable[..., Aegis], server: Server) -> None:
    server.delay, server.content = 3.0, json.dumps({"sentences": []})
    aegis = make(llm=server.url, llm_name="m", llm_seconds=0.5)
    aegis.investigate(ATTACK)  # imports are not part of the wait
    started = time.monotonic()
    case = aegis.investigate(UNCLEAR)
    assert time.monotonic() - started < 2.5
    assert any("fast path's answer stands" in note for note in case.notes)


def test_no_server_no_harm(make: Callable[..., Aegis]) -> None:
    case = make(llm="http://127.0.0.1:9/v1", llm_name="m").investigate(UNCLEAR)
    assert case.verdict == "undetermined"
    assert any("language model failed" in note for note in case.notes)


def test_the_key_is_not_shown() -> None:
    assert "s3cret" not in repr(Settings(llm="http://127.0.0.1:9/v1", llm_key="s3cret"))
