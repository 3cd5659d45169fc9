"""The shipped weights: they load, they answer, and they refuse to load when altered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from aegis_agents.errors import ModelError, ModelTampered
from aegis_agents.model import FastModel
from aegis_agents.model.calibration import UNFITTED
from aegis_agents.model.encoder import Encoder
from aegis_agents.model.files import FILES, read_weights, shipped_folder
from aegis_agents.model.pin import MANIFEST_SHA256
from aegis_agents.sources import parse
from aegis_agents.training.manifest import check_fitted


@pytest.fixture(scope="module")
def model() -> FastModel:
    return FastModel(threads=1)


ALERT = {
    "event_id": "x-1", "title": "Script ran", "cmdline": "powershell -enc SQBFAFgA | iex", "parent": "winword.exe",
    "note": "no ticket on record", "first_seen": "never seen before in this organisation",
}  # fmt: skip


def test_answers_with_probabilities_weights_and_techniques(model: FastModel) -> None:
    found = model.assess(parse(ALERT))
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert found.confidence == found.probabilities[found.verdict]
    assert {w.fact for w in found.weights} <= {f.id for f in parse(ALERT).facts}
    assert all(-1.0 <= w.weight <= 1.0 for w in found.weights)
    scores = [t.score for t in found.techniques]
    assert scores == sorted(scores, reverse=True)
    assert found.model == model.version


def test_masking_a_fact_is_the_same_as_leaving_it_out(model: FastModel) -> None:
    whole = parse(ALERT)
    hidden = next(f.id for f in whole.facts if f.path == "cmdline")
    masked = model.assess(whole, masked={hidden})
    without = whole.model_copy(update={"facts": tuple(f for f in whole.facts if f.id != hidden)})
    left_out = model.assess(without)
    assert masked.probabilities == pytest.approx(left_out.probabilities, abs=1e-5)
    assert masked.probabilities != pytest.approx(model.assess(whole).probabilities, abs=1e-3)


def test_a_batch_answers_as_one_by_one(model: FastModel) -> None:
    incidents = [parse(ALERT), parse({"id": 1, "msg": "backup finished"}), parse(ALERT | {"cmdline": "notepad.exe"})]
    together = model.assess_many(incidents)
    for incident, found in zip(incidents, together, strict=True):
        assert found.probabilities == pytest.approx(model.assess(incident).probabilities, abs=1e-4)


def test_an_alert_with_nothing_to_read_is_not_an_error(model: FastModel) -> None:
    incident = parse({"severity": "high"})
    found = model.assess(incident, masked={f.id for f in incident.facts})
    assert found.facts_read == 0
    assert found.weights == ()


def test_vectors_are_unit_length(model: FastModel) -> None:
    vectors = model.embed(["one text", "another, longer text about a scheduled task"])
    assert vectors.shape == (2, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0], abs=1e-4)
    assert np.linalg.norm(model.embed_incident(parse(ALERT))) == pytest.approx(1.0, abs=1e-4)


def test_likeness_is_of_what_decides(model: FastModel) -> None:
    noise = {f"counter_{i}": f"sensor build {i}" for i in range(20)}
    attack = {"cmdline": "procdump.exe -ma lsass.exe out.dmp", "parent": "winword.exe"}
    harmless = {"cmdline": "notepad.exe readme.txt", "parent": "explorer.exe"}
    vector = {
        name: model.embed_incident(parse(ALERT | noise | told))
        for name, told in {"attack": attack, "again": attack | {"user": "other.person"}, "harmless": harmless}.items()
    }
    assert vector["attack"] @ vector["again"] > vector["attack"] @ vector["harmless"]
    empty = parse({"severity": "high"}).model_copy(update={"facts": ()})
    assert np.linalg.norm(model.embed_incident(empty)) == pytest.approx(1.0, abs=1e-4)


def test_the_cache_changes_nothing_but_the_time() -> None:
    with_cache, without = FastModel(threads=1), FastModel(threads=1, cache=0)
    incident = parse(ALERT)
    first, second = with_cache.assess(incident), with_cache.assess(incident)
    assert first == second
    assert without.assess(incident).probabilities == pytest.approx(first.probabilities, abs=1e-5)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_an_altered_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(shipped_folder(), folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ModelTampered, match=name):
        read_weights(folder, manifest_sha256=MANIFEST_SHA256)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(shipped_folder(), folder)
    (folder / "head.onnx").unlink()
    with pytest.raises(ModelError, match=r"head\.onnx"):
        read_weights(folder, manifest_sha256=MANIFEST_SHA256)


def test_other_weights_need_their_hash() -> None:
    with pytest.raises(ModelError, match="SHA-256"):
        FastModel(shipped_folder())


def test_a_fact_that_is_kept_keeps_no_other_alive() -> None:
    files = read_weights()
    encoder = Encoder(files.contents["encoder.onnx"], files.contents["tokenizer.json"], threads=1, cache=10)
    encoder.encode(["one fact", "another fact", "a third"])
    assert all(vector.base is None for vector in encoder._cache.values())


def test_weights_whose_calibration_was_cut_off_are_told(tmp_path: Path) -> None:
    files = read_weights()
    check_fitted(files)
    cut = json.loads(files.contents["calibration.json"]) | {"fitted_on": UNFITTED}
    with pytest.raises(ModelError, match="never calibrated"):
        check_fitted(files._replace(contents=files.contents | {"calibration.json": json.dumps(cut).encode()}))
