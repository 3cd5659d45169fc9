"""Inboxes for tests: over both databases, with a clock of the test's own, and in processes that can be killed."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aegis_agents.inbox.opening import DatabaseInbox, open_database
from aegis_agents.inbox.priority import Prioritise, by_claim
from aegis_agents.inbox.records import Message
from aegis_agents.settings import Settings, only
from aegis_agents.settings_inbox import InboxSettings

Open = Callable[..., DatabaseInbox]
Say = Callable[[Any], None]
_FORK = multiprocessing.get_context("fork")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def settings_of(home: Path, url: str | None, schema: str, **inbox: Any) -> Settings:
    database = None if url is None else SecretStr(url)
    return only(home=home, database=database, database_schema=schema, inbox=InboxSettings(**inbox))


def open_at(
    settings: Settings,
    clock: Clock | None = None,
    rates: Mapping[str, float] | None = None,
    prioritise: Prioritise = by_claim,
) -> DatabaseInbox:
    """As `open_inbox`, without loading a model for the priority."""
    return DatabaseInbox(
        open_database(settings), settings.inbox, tenant=settings.tenant, rates=rates or {}, prioritise=prioritise,
        clock=clock,
    )  # fmt: skip


def alert(number: int, stream: str = "edr", position: str | None = None, **fields: Any) -> Message:
    """An alert that is like no other number's."""
    told = {
        "alert_id": f"a-{number}",
        "title": "Suspicious logon",
        "host": f"host{number}",
        "severity": "medium",
    } | fields
    return Message(stream, json.dumps(told), f"p{number}" if position is None else position)


def again(number: int, **fields: Any) -> Message:
    """The same thing once more: another id, another time, no position."""
    return alert(
        0,
        position="",
        alert_id=f"{number:032x}",
        timestamp=f"2026-11-26T11:{number // 60 % 60:02}:{number % 60:02}Z",
        **fields,
    )


class Forked:
    """A process of its own, with an inbox of its own, that can be killed; what it says comes through a pipe."""

    def __init__(self, settings: Settings, work: Callable[[DatabaseInbox, Say], None], gate: Any = None) -> None:
        self._hear, say = _FORK.Pipe(duplex=False)

        def run() -> None:
            inbox = open_at(settings)
            if gate is not None:
                gate.wait(30)  # all of them at once
            work(inbox, say.send)

        self.process = _FORK.Process(target=run)
        self.process.start()
        say.close()

    def hear(self) -> Any:
        """The next thing that it says; EOFError where it has ended."""
        return self._hear.recv()

    def all(self) -> list[Any]:
        """All that it still says, until its end."""
        heard = []
        while True:
            try:
                heard.append(self.hear())
            except EOFError:
                self.process.join(60)
                self._hear.close()
                return heard

    def kill(self) -> None:
        """As a power cut would, or the kernel where memory runs out."""
        self.process.kill()


def at_once(settings: Settings, *works: Callable[[DatabaseInbox, Say], None]) -> list[list[Any]]:
    """What processes that begin together say, each of which must end well."""
    gate = _FORK.Barrier(len(works))
    working = [Forked(settings, work, gate) for work in works]
    said = [one.all() for one in working]
    assert [one.process.exitcode for one in working] == [0] * len(works)
    return said
