"""A worker on a machine of Ray's. It reads its settings there, and pulls from the inbox by itself.

Nothing of an alert and no secret goes through Ray: it is told how to open an Aegis (a function and the path of a
settings file), and answers counts, versions and errors without contents.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from aegis_agents._version import __version__
from aegis_agents.aegis import Aegis
from aegis_agents.errors import SettingsError
from aegis_agents.fleet.opening import Opener
from aegis_agents.fleet.processes import work_until
from aegis_agents.fleet.worker import Report, Worker
from aegis_agents.settings import Settings


class Expected(NamedTuple):
    """What whoever starts a fleet expects of each of its machines."""

    state: str
    """Which state they work on (see `state_of`)."""
    node: str | None
    """The only machine that has it, where it is in files; else None."""


class Health(NamedTuple):
    """How an actor is."""

    pid: int
    node: str
    version: str
    report: Report | None
    """None until it has opened everything."""
    code: int | None
    """How it ended, as the exit code of `aegis worker`; None while it works."""
    why: str
    """Why it ended."""


def state_of(settings: Settings) -> str:
    """A name of the state that settings mean, without a secret in it."""
    if settings.database is None:
        return "files"
    from aegis_agents.ledger.postgres_connection import Address

    return Address(settings.database.get_secret_value(), settings.database_schema).digest


class FleetActor:
    """The actor: starts to work as it is made, so that one that Ray makes anew elsewhere needs nobody to tell it.

    `number` is its place in the fleet: two on one machine serve their metrics on ports of their own.
    """

    def __init__(
        self, opener: Opener, expected: Expected, lets_anybody_in: Callable[[], bool], node: str, number: int = 0
    ) -> None:
        self._opener, self._expected, self._lets_anybody_in = opener, expected, lets_anybody_in
        self._node, self._number = node, number
        self._stop = threading.Event()
        self._worker: Worker | None = None
        self._ended: tuple[int | None, str] = (None, "")
        self._thread = threading.Thread(target=self._run, name="aegis-worker", daemon=True)
        self._thread.start()

    def health(self) -> Health:
        """How it is now."""
        report = self._worker.report() if self._worker else None
        return Health(os.getpid(), self._node, __version__, report, *self._ended)

    def stop(self, seconds: float) -> bool:
        """Finish what it is at, and give back the rest; whether it had done so in time."""
        self._stop.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._ended = work_until(self._stop, self._checked, False, self._begun, self._number)
        except Exception as error:  # told by its name alone, since its words may be of an alert, and raised
            self._ended = (1, type(error).__name__)
            raise

    def _begun(self, worker: Worker) -> None:
        self._worker = worker

    def _checked(self) -> Aegis:
        """Open an Aegis, if this machine is as it is expected to be. Raises SettingsError."""
        if self._lets_anybody_in():
            raise SettingsError("Ray on this machine lets anybody in: start its nodes with RAY_AUTH_MODE=token")
        aegis = self._opener()
        if state_of(aegis.settings) != self._expected.state:
            aegis.close()
            raise SettingsError(
                "database: the settings of this machine mean another state than those of `aegis cluster`: give every"
                " machine the same AEGIS_DATABASE and AEGIS_DATABASE_SCHEMA, or the same settings file"
            )
        if self._expected.node not in (None, self._node):
            aegis.close()
            raise SettingsError("database: several machines need PostgreSQL; files are this machine's alone")
        return aegis
