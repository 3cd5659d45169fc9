"""What the tests of streams share: alerts, an inbox, a stream run in a thread."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.settings import only
from aegis_agents.settings_streams import StreamSettings
from aegis_agents.streams.runner import Runner

ADAPTER: TypeAdapter[Any] = TypeAdapter(StreamSettings)


def settings_of(**given: Any) -> Any:
    """The settings of one stream."""
    return ADAPTER.validate_python(given)


def alert(number: int, **more: Any) -> str:
    """An alert's JSON text; each number is an incident of its own."""
    values = {"id": f"a-{number}", "title": f"Beacon of {_word(number)}", "hostname": f"wks-{_word(number)}"}
    return json.dumps(values | more)


def _word(number: int) -> str:
    """A number as letters, so that likeness, which leaves numbers out, tells one from the other."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def inbox_at(home: Path, **inbox: Any) -> Inbox:
    """The inbox in a folder."""
    return open_inbox(only(home=home, inbox=inbox))


def taken(inbox: Inbox) -> list[str]:
    """The texts of all that waits; they are taken by it."""
    found: list[str] = []
    while some := inbox.take("test", 500):
        found += [held.message.native for held in some]
    return found


def ids(inbox: Inbox) -> list[str]:
    """The native ids of all that waits, sorted by number."""
    return sorted((json.loads(text)["id"] for text in taken(inbox)), key=lambda name: int(name.split("-")[1]))


def wait_for(what: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What it answers once that is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} seconds: {what}")


@contextmanager
def running(inbox: Inbox, *streams: Any) -> Iterator[Runner]:
    """Streams that run in a thread; when the block ends they are stopped."""
    stop = threading.Event()
    runner = Runner(streams, inbox)
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    try:
        yield runner
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def run_once(inbox: Inbox, *streams: Any) -> Runner:
    """Streams run until there is nothing more."""
    runner = Runner(streams, inbox)
    runner.run(threading.Event(), once=True)
    return runner
