"""An Aegis for notebook tests: the real model, one snapshot for all, a firewall in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from tests.notebook.notebook_parts import MemoryFirewall


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The model and an intelligence snapshot, opened once."""
    from aegis_agents.intel import Intel
    from aegis_agents.model import FastModel

    model = FastModel()
    return model, Intel.open(tmp_path_factory.mktemp("intel"), model)


@pytest.fixture
def firewall() -> MemoryFirewall:
    return MemoryFirewall()


@pytest.fixture
def aegis(parts: tuple[Any, Any], tmp_path: Path, firewall: MemoryFirewall) -> Iterator[Aegis]:
    """Fresh state for each test."""
    with Aegis(home=tmp_path, model=parts[0], intel=parts[1], tools=[firewall]) as made:
        yield made
