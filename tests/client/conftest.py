"""A fake server, and both clients asked in one way."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aegis_agents.client import AsyncClient, Client
from aegis_agents.client import reading as meanings
from tests.soar.fake_aegis import FakeAegis


class Awaited:
    """An AsyncClient asked as if it were a Client: what it answers is waited for, streams are lists."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*args, **named)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **named: Any) -> Any:
            answer = method(*args, **named)
            return self._runner.run(_all(answer) if inspect.isasyncgen(answer) else answer)

        return call

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


async def _all(events: Any) -> list[Any]:
    return [event async for event in events]


class Listed(Client):
    """A Client whose streams are lists."""

    def investigate_stream(self, *args: Any, **named: Any) -> Any:
        return list(super().investigate_stream(*args, **named))

    def ask_stream(self, *args: Any, **named: Any) -> Any:
        return list(super().ask_stream(*args, **named))


@pytest.fixture
def fake() -> Iterator[FakeAegis]:
    with FakeAegis() as served:
        yield served


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes a client of either kind; they are closed at the end."""
    made: list[Any] = []

    def make(url: str, token: str | None = None, **named: Any) -> Any:
        made.append((Listed if request.param == "sync" else Awaited)(url, token, **named))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(fake: FakeAegis, connect: Callable[..., Any]) -> Any:
    """A client with every right."""
    return connect(fake.url, fake.token(), timeout=5)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the clients would have waited before trying again; here they don't."""
    asked: list[float] = []
    real = meanings.wait_before

    def noted(*args: Any) -> float | None:
        wait = real(*args)
        if wait is None:
            return None
        asked.append(wait)
        return 0.0

    monkeypatch.setattr(meanings, "wait_before", noted)
    return asked
