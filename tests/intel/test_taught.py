"""Techniques are ranked by what they were taught, in a search among them and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aegis_agents.errors import InputError
from aegis_agents.intel import Intel, taught
from aegis_agents.intel.attack import attack_documents
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.sync import Syncer
from aegis_agents.intel.taught import SHIPPED_TAUGHT, Taught, read_taught, shipped_taught, write_taught
from aegis_agents.model.files import read_weights
from aegis_agents.records import CATALOGUE

OneHot = Callable[..., NDArray[np.float32]]


@pytest.fixture
def lessons(one_hot: OneHot, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taught:
    """Two techniques with vectors that their texts would never have; shipped for the fake model."""
    made = Taught(("T1003", "T1562.001"), np.stack([one_hot(5), one_hot(6)]), (3, 4))
    write_taught(made, model.version, tmp_path / "taught.npz")
    monkeypatch.setattr(taught, "SHIPPED_TAUGHT", {"technique": tmp_path / "taught.npz"})
    shipped_taught.cache_clear()
    monkeypatch.setattr(taught, "shipped_taught", shipped_taught)
    return made


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    shipped_taught.cache_clear()


def first(intel: Intel, vector: NDArray[np.float32], *corpora: Any) -> tuple[str, float]:
    found = intel.search(vector=vector, corpora=corpora or None, k=1)[0]
    return found.id, round(found.score, 3)


def test_a_search_among_techniques_goes_by_the_lessons(
    lessons: Taught, directory: Path, model: Any, one_hot: OneHot
) -> None:
    with Intel.open(directory, model) as intel:
        assert first(intel, one_hot(5), "technique") == ("T1003", 1.0)
        assert first(intel, one_hot(6), "technique") == ("T1562.001", 1.0)
        assert first(intel, one_hot(5))[1] < 0.9, "elsewhere texts are compared with texts"
        everything = intel.search(vector=one_hot(5), corpora=("technique",), k=100)
        assert len({p.id for p in everything}) == 100, "what was not taught is found too"


def test_a_later_release_keeps_what_was_taught_under_the_older_id(
    lessons: Taught, directory: Path, model: Any, one_hot: OneHot, tmp_path: Path
) -> None:
    import json

    rows = [
        {"id": "T1685", "stix_id": "attack-pattern--3d333250-30e4-4a82-9edc-756c68afc529", "name": "Disable or Modify Tools"},
        {"id": "T9001", "stix_id": "attack-pattern--3d333250-30e4-4a82-9edc-756c68afc530", "name": "A New One"},
    ]  # fmt: skip
    more = {"tactics": ["defense-impairment"], "description": "Text.", "revoked": False, "deprecated": False}
    path = tmp_path / "attack.jsonl"
    path.write_text("".join(json.dumps(row | more) + "\n" for row in rows))
    feed = Feed(name="attack", kind="attack", path=path, trust="high", tlp="clear")
    with Intel.open(directory, model) as intel:
        syncer = Syncer(intel, [feed], tmp_path / "state", embed=model, speaks_to_machines=lambda text: None)
        assert syncer.sync()[0].error == ""
        assert first(intel, one_hot(6), "technique") == ("T1685", 1.0)
        assert {p.id for p in intel.search(vector=one_hot(6), corpora=("technique",), k=5)} == {"T1685", "T9001"}


def test_another_model_goes_by_texts_alone(directory: Path, model: Any, one_hot: OneHot) -> None:
    assert shipped_taught("another@1", "technique") is None
    assert shipped_taught(read_weights().version, "rule") is None
    with pytest.raises(InputError, match="teach them again"):
        read_taught(SHIPPED_TAUGHT["technique"], "another@1")
    with Intel.open(directory, model) as intel:
        assert first(intel, one_hot(5), "technique")[1] < 0.9


def test_the_shipped_lessons_are_for_the_shipped_model_and_release() -> None:
    known = {"technique": {d.id for d in attack_documents() if d.corpus == "technique"}, "action": set(CATALOGUE)}
    for corpus, ids in known.items():
        shipped = read_taught(SHIPPED_TAUGHT[corpus], read_weights().version)  # type: ignore[index]
        assert set(shipped.ids) == ids
        assert np.linalg.norm(shipped.vectors, axis=1) == pytest.approx(1.0, abs=1e-2)
