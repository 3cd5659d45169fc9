"""One store with a known past for all tests that only read, and a small one of its own for each that proposes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.assistant import Assistant
from aegis_agents.model import FastModel
from evals.assistant_scene import Everything, Scene, scene


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("assistant")) as found:
        yield found


@pytest.fixture(scope="session")
def assistant(made: Scene) -> Assistant:
    opened = Assistant(made.aegis.context, autonomy=made.aegis.autonomy_in_force, standings=made.aegis.standings)
    opened.warm()
    return opened


@pytest.fixture(scope="session")
def model() -> FastModel:
    return FastModel()


@pytest.fixture(scope="session")
def intel(tmp_path_factory: pytest.TempPathFactory, model: FastModel) -> Any:
    from aegis_agents.intel import Intel

    return Intel.open(tmp_path_factory.mktemp("intel"), model)


@pytest.fixture
def connector() -> Everything:
    return Everything()


@pytest.fixture
def make(tmp_path: Path, model: FastModel, intel: Any, connector: Everything) -> Iterator[Callable[..., Aegis]]:
    opened: list[Aegis] = []

    def build(**settings: Any) -> Aegis:
        given = {"model": model, "intel": intel, "tools": [connector], "home": tmp_path, **settings}
        aegis = Aegis(**given)
        opened.append(aegis)
        return aegis

    yield build
    for aegis in opened:
        aegis.close()
