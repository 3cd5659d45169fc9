"""A real server for the pages that speak to one, over the home that the page has."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

ADDRESS = "http://127.0.0.1:8740"
"""What the pages say; the server listens where there is room."""


@contextmanager
def server() -> Iterator[tuple[str, str]]:
    """The address of a running server, and a token with every role."""
    from aegis_agents import Aegis
    from aegis_agents.records import AEGIS, ROLES
    from aegis_agents.server.app import create_app
    from aegis_agents.server.running import make_server
    from aegis_agents.settings_server import ServerSettings

    with Aegis() as aegis:
        token = aegis.store.add_token("ada", ROLES, AEGIS, valid_for=timedelta(days=1))
        settings = ServerSettings(port=0)
        running = make_server(create_app(aegis, settings), settings)
        thread = threading.Thread(target=running.run, daemon=True)
        thread.start()
        until = time.monotonic() + 30
        while not (running.started and running.servers):
            if not thread.is_alive() or time.monotonic() > until:
                raise AssertionError("the server did not start")
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}", token
        finally:
            running.should_exit = True
            thread.join(30)
