"""A home whose intelligence is built once, and copied for each test that needs one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from aegis_agents import Aegis

    home = tmp_path_factory.mktemp("built")
    with Aegis(home=home) as aegis:
        _ = aegis.context
    return home


@pytest.fixture
def built_home(_built: Path, tmp_path: Path) -> Path:
    """A home of the test's own."""
    home = tmp_path / "home"
    shutil.copytree(_built / "intel", home / "intel")
    return home
