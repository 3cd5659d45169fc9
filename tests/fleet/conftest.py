"""A worker with a fake model on a real inbox."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.fleet.worker import Report, Worker
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Message
from tests.graph.conftest import ATTACK, FakeModel, firewall, intel_home, make  # noqa: F401 - fixtures

Make = Callable[..., Aegis]


def alert(number: int, **more: Any) -> str:
    """The nth alert, an attack that is unlike the others."""
    return json.dumps(
        ATTACK | {"event_id": f"a-{number}", "title": f"Beacon {number}", "hostname": f"wks-{number:03}"} | more
    )


def message(number: int, **more: Any) -> Message:
    """The same as its stream brings it."""
    return Message("siem", alert(number, **more), str(number))


class Wrapped:
    """An inbox of which single methods are replaced, as a database in trouble would."""

    def __init__(self, inbox: Inbox, **instead: Any) -> None:
        self._inbox, self.instead = inbox, instead

    def __getattr__(self, name: str) -> Any:
        return self.instead.get(name) or getattr(self._inbox, name)


class Desk:
    """An Aegis, its inbox, and workers on them."""

    def __init__(self, make: Make) -> None:  # noqa: F811
        self._make = make
        self.aegis = make(worker={"idle_s": 0.01, "least_free_mb": 0})
        self.inbox = open_inbox(self.aegis.settings)

    def worker(self, inbox: Any = None, aegis: Aegis | None = None, **named: Any) -> Worker:
        aegis = aegis or self.aegis
        return Worker(aegis, inbox or self.inbox, **named)

    def work(self, worker: Worker | None = None) -> Report:
        """Until nothing waits."""
        return (worker or self.worker()).run(threading.Event(), until_empty=True)

    def other(self, **settings: Any) -> Aegis:
        """Another Aegis on the same state, as another process would have."""
        return self._make(**({"worker": {"idle_s": 0.01, "least_free_mb": 0}} | settings))


@pytest.fixture(scope="session")
def intel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot that all processes of all tests read: building it takes a second."""
    from aegis_agents.intel import Intel

    folder = tmp_path_factory.mktemp("fleet-intel")
    Intel.open(folder, FakeModel()).close()
    return folder


@pytest.fixture
def desk(make: Make) -> Iterator[Desk]:  # noqa: F811
    found = Desk(make)
    yield found
    found.inbox.close()
