"""A server in a process of its own, for tests that end it: `python -m tests.server.serving HOME INTEL SECONDS PORT`.

Its model takes SECONDS over an alert, so that a signal comes in the middle of an investigation.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from aegis_agents import Aegis
from aegis_agents.intel import Intel
from aegis_agents.server.running import serve
from aegis_agents.settings_server import ServerSettings
from tests.graph.conftest import FakeFirewall, FakeModel


class SlowModel(FakeModel):
    """Takes its time."""

    seconds = 0.0

    def assess(self, incident: Any, **more: Any) -> Any:
        if not more.get("masked"):
            print(f"assessing {incident.native_id}", flush=True)
            time.sleep(self.seconds)
        return super().assess(incident, **more)


def main() -> None:
    """Serve until a signal comes."""
    home, intel, seconds, port = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    SlowModel.seconds = seconds
    model = SlowModel()
    settings = ServerSettings(port=port)
    opened = Intel.open(intel, model, build_if_missing=False)
    with Aegis(model=model, intel=opened, tools=[FakeFirewall()], home=home) as aegis:
        serve(aegis, settings)
    print("closed", flush=True)


if __name__ == "__main__":
    main()
