"""What workers in processes of their own work with: a fake model, and a world in a file that remembers every call."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Set
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from aegis_agents import Aegis
from aegis_agents.intel import Intel
from aegis_agents.records import Assessment, Incident
from aegis_agents.settings import Settings, only
from tests.crash.world import Fuse, World, WorldConnector
from tests.graph.conftest import FakeModel


class Moody(FakeModel):
    """Ends its process, fails or takes its time where the alert's `mood` says so."""

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        mood = next((f.value for f in incident.facts if f.path == "mood"), "")
        if mood == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if mood == "long":
            time.sleep(1)
        if mood == "slow":
            time.sleep(0.3)
        return super().assess(incident, masked=masked)


def scene_settings(home: Path, database: str | None = None, schema: str = "aegis", **more: Any) -> Settings:
    """Settings of all that share a scene."""
    worker = {"idle_s": 0.02, "least_free_mb": 0, "batch": 2, "watch": False} | more.pop("worker", {})
    inbox = {"hold_s": 1.0} | more.pop("inbox", {})
    secret = SecretStr(database) if database else None
    return only(home=home, database=secret, database_schema=schema, worker=worker, inbox=inbox, **more)


def open_scene(home: Path, intel: Path, database: str | None = None, schema: str = "aegis", **more: Any) -> Aegis:
    """An opener for processes (see `fleet.opening.Opener`)."""
    model = Moody()
    model.version = more.pop("version", model.version)
    world = WorldConnector(World(home / "world.sqlite"), Fuse(), random.Random(0))
    world._dice.random = lambda: 0.5  # type: ignore[method-assign]  # a quick world that always says yes
    settings = scene_settings(home, database, schema, **more)
    return Aegis(model=model, intel=Intel.open(intel, model), tools=[world], settings=settings)


def open_from_file(home: Path, intel: Path, address: Path, schema: str) -> Aegis:
    """An opener that finds the database's address on the machine that it runs on."""
    return open_scene(home, intel, address.read_text(), schema)
