"""Models of the user's own: copied whole, checked by hash each time, and the shipped one is always a way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aegis_agents.assembly import open_model
from aegis_agents.errors import ModelError, ModelTampered
from aegis_agents.model.files import FILES, read_weights, shipped_folder
from aegis_agents.model.registry import current, install, installed, models_folder, use
from aegis_agents.settings import Settings
from aegis_agents.training.manifest import write_manifest


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The shipped weights under another name: another model to whoever looks at hashes."""
    folder = tmp_path / "candidate"
    shutil.copytree(shipped_folder(), folder)
    return folder


@pytest.fixture
def digest(candidate: Path) -> str:
    return write_manifest(candidate, "mine", {})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def test_installing_copies_and_uses_nothing_yet(home: Path, candidate: Path, digest: str) -> None:
    made = install(home, candidate, digest)
    assert made.folder == models_folder(home) / digest[:12]
    shutil.rmtree(candidate)
    assert read_weights(made.folder, manifest_sha256=digest).version == f"mine@{digest[:12]}"
    assert [(m.folder, m.manifest_sha256) for m in installed(home)] == [(made.folder, digest)]
    assert current(home) is None


def test_installing_again_changes_nothing(home: Path, candidate: Path, digest: str) -> None:
    assert install(home, candidate, digest) == install(home, candidate, digest)
    assert len(installed(home)) == 1


def test_a_wrong_hash_or_an_altered_file_is_not_installed(home: Path, candidate: Path, digest: str) -> None:
    with pytest.raises(ModelTampered, match=r"manifest\.json"):
        install(home, candidate, "0" * 64)
    flip(candidate / "head.onnx")
    with pytest.raises(ModelTampered, match=r"head\.onnx"):
        install(home, candidate, digest)
    (candidate / "encoder.onnx").unlink()
    with pytest.raises(ModelError, match=r"encoder\.onnx"):
        install(home, candidate, digest)
    assert installed(home) == []


def test_what_is_used_is_current_and_none_goes_back(home: Path, candidate: Path, digest: str) -> None:
    made = install(home, candidate, digest)
    use(home, made)
    assert current(home) == made
    assert open_model(Settings(home=home)).version == f"mine@{digest[:12]}"
    use(home, None)
    assert current(home) is None
    assert open_model(Settings(home=home)).version == read_weights().version
    use(home, None)
    assert installed(home), "it stays there to be used again"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b'{"name": "mine"',
        b'{"name": "mine", "folder": 7, "manifest_sha256": "0"}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_record_names_the_way_out(home: Path, candidate: Path, digest: str, damaged: bytes) -> None:
    use(home, install(home, candidate, digest))
    (models_folder(home) / "current.json").write_bytes(damaged)
    with pytest.raises(ModelError, match="aegis model use shipped") as raised:
        open_model(Settings(home=home))
    assert "current.json" in str(raised.value)
    use(home, None)
    assert current(home) is None


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_what_was_altered_after_its_promotion_is_not_loaded(
    home: Path, candidate: Path, digest: str, name: str
) -> None:
    made = install(home, candidate, digest)
    use(home, made)
    flip(made.folder / name)
    with pytest.raises(ModelTampered, match=name):
        open_model(Settings(home=home))


def test_hashing_anew_does_not_hide_an_alteration(home: Path, candidate: Path, digest: str) -> None:
    made = install(home, candidate, digest)
    use(home, made)
    flip(made.folder / "head.onnx")
    write_manifest(made.folder, "mine", {})
    with pytest.raises(ModelTampered, match=r"manifest\.json"):
        open_model(Settings(home=home))


def test_hashing_anew_does_not_hide_it_in_a_model_to_go_back_to(home: Path, candidate: Path, digest: str) -> None:
    made = install(home, candidate, digest)
    flip(made.folder / "head.safetensors")
    write_manifest(made.folder, "mine", {})

    def go_back() -> None:
        use(home, installed(home)[0])
        open_model(Settings(home=home))

    with pytest.raises(ModelError):
        go_back()


def test_a_state_that_was_moved_keeps_its_model(home: Path, candidate: Path, digest: str) -> None:
    use(home, install(home, candidate, digest))
    moved = home.rename(home.with_name("restored"))
    assert open_model(Settings(home=moved)).version == f"mine@{digest[:12]}"
