"""A server with an inbox, in a process of its own, for a test that kills it: `python -m tests.server.handing HOME INTEL PORT`."""

from __future__ import annotations

import sys
from pathlib import Path

from aegis_agents import Aegis
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.intel import Intel
from aegis_agents.server.app import create_app
from aegis_agents.server.running import serve
from aegis_agents.settings_server import ServerSettings
from tests.graph.conftest import FakeFirewall, FakeModel


def main() -> None:
    """Serve until a signal comes."""
    home, intel, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    model, settings = FakeModel(), ServerSettings(port=port)
    opened = Intel.open(intel, model, build_if_missing=False)
    with Aegis(model=model, intel=opened, tools=[FakeFirewall()], home=home) as aegis:
        serve(aegis, settings, create_app(aegis, settings, inbox=open_inbox(aegis.settings)))


if __name__ == "__main__":
    main()
