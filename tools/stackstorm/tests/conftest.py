"""The pack as StackStorm loads it. Its base classes are stood in for: st2common and st2reactor are on no package index."""

from __future__ import annotations

import abc
import collections
import collections.abc
import fractions
import importlib
import logging
import math
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_aegis import FakeAegis

# orquesta 1.2 and its networkx 1 are older than this Python and look for these where they once were.
for name in ("Hashable", "Iterable", "Mapping", "MutableMapping", "MutableSequence", "MutableSet", "Sequence", "Set"):
    setattr(collections, name, getattr(collections.abc, name))
fractions.gcd = math.gcd  # type: ignore[attr-defined]

PACK = Path(os.environ["AEGIS_PACK"])
sys.path[:0] = [str(PACK / "actions" / "lib"), str(PACK / "actions"), str(PACK / "sensors")]


class Action(abc.ABC):
    """As st2common.runners.base_action has it: made with the pack's configuration, run with the parameters."""

    def __init__(self, config: Any = None, action_service: Any = None) -> None:
        self.config, self.action_service = config or {}, action_service

    @abc.abstractmethod
    def run(self, **kwargs: Any) -> Any: ...


class PollingSensor:
    """As st2reactor.sensor.base has it: the runner calls setup once, and poll again and again."""

    def __init__(self, sensor_service: Any, config: Any = None, poll_interval: float = 5) -> None:
        self.sensor_service, self.config, self.interval = sensor_service, config or {}, poll_interval

    def set_poll_interval(self, poll_interval: float) -> None:
        self.interval = poll_interval


def _module(name: str, **members: Any) -> None:
    for part in range(1, name.count(".") + 2):
        whole = ".".join(name.split(".")[:part])
        sys.modules.setdefault(whole, types.ModuleType(whole))
    vars(sys.modules[name]).update(members)


_module("st2common.runners.base_action", Action=Action)
_module("st2reactor.sensor.base", PollingSensor=PollingSensor)


def load(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()))


@pytest.fixture
def fake() -> Iterator[FakeAegis]:
    with FakeAegis() as served:
        yield served


@pytest.fixture
def run(fake: FakeAegis) -> Any:
    """Runs an action by its name, with the defaults of its metadata, as the runner does."""

    def call(name: str, role: str = "admin", **given: Any) -> tuple[bool, Any]:
        told = load(PACK / "actions" / f"{name}.yaml")
        parameters = {
            k: p.get("default")
            for k, p in told["parameters"].items()
            if "default" in p and "{{" not in str(p["default"])
        }
        module = importlib.import_module(Path(told["entry_point"]).stem)
        action = next(
            member for member in vars(module).values()
            if isinstance(member, type) and issubclass(member, Action) and member.__module__ == module.__name__
        )  # fmt: skip
        missing = [k for k, p in told["parameters"].items() if p.get("required") and k not in given]
        assert not missing, f"StackStorm would refuse: {missing}"
        return action(config={"url": fake.url, "token": fake.token(role), "timeout": 5}).run(**parameters | given)  # type: ignore[no-any-return]

    return call


class SensorService:
    """What a sensor may ask of its runner."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.values: dict[str, str] = {}

    def get_logger(self, name: str) -> logging.Logger:
        return logging.getLogger(name)

    def dispatch(self, trigger: str, payload: dict[str, Any]) -> None:
        self.told.append((trigger, payload))

    def get_value(self, name: str) -> str | None:
        return self.values.get(name)

    def set_value(self, name: str, value: str) -> None:
        self.values[name] = value
