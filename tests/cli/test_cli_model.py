"""Models from the command line: a candidate takes the place only through the gate, and there is always a way back."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

from aegis_agents.model.files import read_weights, shipped_folder
from aegis_agents.model.registry import Installed, current, install, models_folder
from aegis_agents.model.registry import use as use_model
from aegis_agents.training.corpus import Example, draw
from aegis_agents.training.families import load_families
from aegis_agents.training.manifest import write_manifest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # typer 0.19 imports names that click 8.5 is about to drop
    from click.testing import Result
    from typer.testing import CliRunner

    from aegis_agents.cli.main import app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state, and a folder of its own to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def aegis(*arguments: str) -> Result:
    """One command; what is no error of ours comes up as it is."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def copy_of_shipped(folder: Path, name: str, **calibration: object) -> str:
    """Shipped weights under another name, decided with other thresholds if wished; the manifest's hash."""
    shutil.copytree(shipped_folder(), folder)
    file = folder / "calibration.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | calibration))
    return write_manifest(folder, name, {})


@pytest.fixture
def promoted(home: Path, tmp_path: Path) -> Installed:
    """A model that passed the gate before."""
    digest = copy_of_shipped(tmp_path / "earlier", "earlier")
    made = install(home, tmp_path / "earlier", digest)
    use_model(home, made)
    return made


def few_examples() -> list[Example]:
    families = load_families()[:20]
    return [draw(f, verdict, 5) for f in families for verdict in ("true_positive", "benign_positive")]


@pytest.fixture
def quick_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate judges by a few alerts, and no intelligence is built, which it does not ask."""
    pytest.importorskip("scipy", reason="needs the train extra")
    monkeypatch.setattr("aegis_agents.training.regression.regression_suite", lambda store: few_examples())
    monkeypatch.setattr("aegis_agents.assembly.open_intel", lambda settings, model: None)


def ledger(kind: str) -> list[dict[str, object]]:
    entries: Sequence[str] = aegis("ledger", "show").stdout.splitlines()
    return [e["body"] for e in map(json.loads, entries) if e["kind"] == kind]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.usefixtures("home")
def test_out_of_the_box_the_shipped_model_is_in_use_and_whole() -> None:
    assert aegis("model", "list").stdout.splitlines() == [f"* shipped  {read_weights().version}"]
    verified = aegis("model", "verify")
    assert verified.exit_code == 0
    assert verified.stdout.splitlines() == [f"model whole: {read_weights().version}"]


@pytest.mark.usefixtures("home")
def test_the_card_is_that_of_the_shipped_model() -> None:
    card = aegis("model", "card")
    assert card.exit_code == 0
    assert card.stdout.startswith(f"# {read_weights().version.partition('@')[0]}\n")
    for section in ("## Data and licences", "## Thresholds", "## How to read the figures"):
        assert section in card.stdout


def test_the_star_stands_with_the_model_in_use(promoted: Installed) -> None:
    name = promoted.folder.name
    shipped, own = aegis("model", "list").stdout.splitlines()
    assert shipped.startswith("  shipped")
    assert own == f"* {name}  earlier@{promoted.manifest_sha256[:12]}"
    assert aegis("model", "use", "shipped", "--by", "alice").exit_code == 0
    assert [line[0] for line in aegis("model", "list").stdout.splitlines()] == ["*", " "]
    assert aegis("model", "use", name, "--by", "bob").exit_code == 0
    assert [line[0] for line in aegis("model", "list").stdout.splitlines()] == [" ", "*"]
    assert ledger("model.used") == [{"model": "shipped", "by": "alice"}, {"model": name, "by": "bob"}]


def test_a_promoted_model_is_verified_with_the_shipped_one(promoted: Installed) -> None:
    verified = aegis("model", "verify")
    assert verified.exit_code == 0
    assert f"model whole: earlier@{promoted.manifest_sha256[:12]}" in verified.stdout


@pytest.mark.parametrize("in_use", [True, False])
def test_an_altered_weight_file_is_exit_code_3_and_named(home: Path, promoted: Installed, in_use: bool) -> None:
    if not in_use:
        use_model(home, None)
    damage(promoted.folder / "encoder.onnx")
    verified = aegis("model", "verify")
    assert verified.exit_code == 3
    assert "tampered" in verified.stderr
    assert str(promoted.folder / "encoder.onnx") in verified.stderr


def test_a_manifest_that_is_cut_off_is_exit_code_3_too(promoted: Installed) -> None:
    manifest = promoted.folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    assert aegis("model", "verify").exit_code == 3


def test_a_manifest_that_was_written_anew_is_exit_code_3_too(home: Path, promoted: Installed) -> None:
    use_model(home, None)
    damage(promoted.folder / "head.safetensors")
    write_manifest(promoted.folder, "earlier", {})
    assert aegis("model", "verify").exit_code == 3


def test_a_model_that_is_not_there_can_not_be_used(home: Path, promoted: Installed) -> None:
    done = aegis("model", "use", "0123456789ab", "--by", "alice")
    assert done.exit_code == 1
    assert "0123456789ab" in done.stderr
    assert "aegis model list" in done.stderr
    assert current(home) == promoted
    assert ledger("model.used") == []


@pytest.mark.parametrize("command", [("use", "shipped"), ("promote", "candidate")])
@pytest.mark.usefixtures("home")
def test_who_does_it_has_to_be_said(command: tuple[str, str]) -> None:
    done = aegis("model", *command)
    assert done.exit_code == 2
    assert "--by" in done.stderr


def test_nobody_is_not_a_name(home: Path, promoted: Installed) -> None:
    assert aegis("model", "use", "shipped", "--by", " ").exit_code == 1
    assert current(home) == promoted


def test_a_damaged_record_is_said_and_healed_by_going_back(home: Path, promoted: Installed) -> None:
    (models_folder(home) / "current.json").write_text("{")
    listed = aegis("model", "list")
    assert listed.exit_code == 1
    assert "aegis model use shipped" in listed.stderr
    assert aegis("model", "use", "shipped", "--by", "alice").exit_code == 0
    assert aegis("model", "list").exit_code == 0


@pytest.mark.usefixtures("quick_gate")
def test_a_damaged_record_is_healed_by_the_way_it_names(home: Path, promoted: Installed, tmp_path: Path) -> None:
    (models_folder(home) / "current.json").write_text("{")
    assert aegis("model", "promote", str(tmp_path / "earlier"), "--by", "alice").exit_code == 1
    assert aegis("model", "use", "shipped", "--by", "alice").exit_code == 0
    assert aegis("model", "promote", str(tmp_path / "earlier"), "--by", "alice").exit_code == 0
    assert current(home) == promoted


@pytest.mark.usefixtures("quick_gate")
def test_a_folder_without_a_model_is_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = aegis("model", "promote", str(tmp_path / "empty"), "--by", "alice")
    assert done.exit_code == 1
    assert str(tmp_path / "empty") in done.stderr
    assert "give the folder of weights" in done.stderr
    assert not models_folder(home).exists()


@pytest.mark.usefixtures("quick_gate")
def test_a_candidate_as_good_is_promoted_recorded_and_can_be_left_again(home: Path, tmp_path: Path) -> None:
    digest = copy_of_shipped(tmp_path / "candidate", "mine")
    done = aegis("model", "promote", str(tmp_path / "candidate"), "--by", "alice")
    assert done.exit_code == 0, done.stderr
    assert f"promoted: mine@{digest[:12]}" in done.stdout
    assert f"* {digest[:12]}  mine@{digest[:12]}" in aegis("model", "list").stdout
    (entry,) = ledger("model.promoted")
    assert entry["by"] == "alice"
    assert entry["reasons"] == []
    assert entry["figures"]["alerts"] == len(few_examples())  # type: ignore[index]
    assert entry["figures"]["new"]["model"] == f"mine@{digest[:12]}"  # type: ignore[index]
    assert aegis("model", "use", "shipped", "--by", "bob").exit_code == 0
    assert current(home) is None
    assert "* shipped" in aegis("model", "list").stdout
    assert "ledger whole" in aegis("ledger", "verify").stdout


@pytest.mark.usefixtures("quick_gate")
def test_a_candidate_that_decides_nothing_is_refused_with_reasons(home: Path, tmp_path: Path) -> None:
    copy_of_shipped(tmp_path / "candidate", "timid", undetermined_above=0.0)
    done = aegis("model", "promote", str(tmp_path / "candidate"), "--by", "alice")
    assert done.exit_code == 1
    assert "refused: significantly worse on all" in done.stderr
    assert current(home) is None
    assert not models_folder(home).exists()
    (entry,) = ledger("model.refused")
    assert "significantly worse on all" in entry["reasons"][0]  # type: ignore[index]
    assert entry["by"] == "alice"
    assert ledger("model.promoted") == []


@pytest.mark.usefixtures("quick_gate")
def test_a_candidate_that_can_not_hold_the_tolerated_error_is_not_promoted(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = copy_of_shipped(tmp_path / "bounded", "bounded", bounds=[[0.1, 0.5, 0.5]])
    use_model(home, install(home, tmp_path / "bounded", digest))
    copy_of_shipped(tmp_path / "candidate", "unbounded", bounds=[])
    monkeypatch.setenv("AEGIS_TOLERATED_ERROR", "0.1")
    assert aegis("model", "promote", str(tmp_path / "candidate"), "--by", "alice").exit_code == 1
    used = current(home)
    assert used is not None
    assert used.manifest_sha256 == digest


def test_a_base_that_is_not_ours_is_exit_code_3(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the llm extra")
    wrong = tmp_path / "other.gguf"
    wrong.write_bytes(b"GGUF")
    done = aegis("model", "setup", "--from", str(wrong))
    assert done.exit_code == 3
    assert "tampered" in done.stderr
    assert str(wrong) in done.stderr
    assert not models_folder(home).exists()
    missing = aegis("model", "setup", "--from", str(tmp_path / "missing.gguf"))
    assert missing.exit_code == 1
    assert "missing.gguf" in missing.stderr


@pytest.mark.usefixtures("home")
def test_a_suite_that_is_not_there_is_answered_with_those_that_are() -> None:
    pytest.importorskip("pydantic_evals", reason="needs the eval extra")
    done = aegis("eval", "--suite", "situations", "--suite", "everything")
    assert done.exit_code == 1
    assert "no suite everything" in done.stderr
    for suite in ("situations", "minimal_pairs", "robustness", "triage_report"):
        assert suite in done.stderr.partition("use ")[2]
    without = aegis("eval", "--suite", "ait")
    assert without.exit_code == 1
    assert "data" in without.stderr
    assert without.stdout == ""


@pytest.mark.usefixtures("home")
def test_training_on_cases_without_cases_says_what_to_do(tmp_path: Path) -> None:
    for package in ("torch", "detect_secrets", "presidio_analyzer", "sklearn"):
        pytest.importorskip(package, reason="needs the train extra")
    done = aegis("train", "--from-cases", "--run", str(tmp_path / "run"))
    assert done.exit_code == 1
    assert "aegis: cases: 0 confirmed cases" in done.stderr
    assert "aegis confirm" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("home")
def test_training_on_a_set_that_was_not_prepared_says_how_to_prepare_one(tmp_path: Path) -> None:
    for package in ("torch", "detect_secrets", "presidio_analyzer", "sklearn"):
        pytest.importorskip(package, reason="needs the train extra")
    done = aegis("train", "--data", str(tmp_path / "nothing"), "--run", str(tmp_path / "run"))
    assert done.exit_code == 1
    assert "aegis train prepare" in done.stderr


@pytest.mark.usefixtures("home")
def test_a_folder_without_what_is_needed_is_named(tmp_path: Path) -> None:
    for package in ("torch", "peft", "detect_secrets", "presidio_analyzer", "sklearn"):
        pytest.importorskip(package, reason="needs the train extra")
    prepared = aegis("train", "prepare", "--out", str(tmp_path / "out"), "--sources", str(tmp_path))
    assert prepared.exit_code == 1
    assert "aegis: sources: ait-ads is not in" in prepared.stderr
    tuned = aegis("train", "language", "--run", str(tmp_path / "run"), "--base", str(tmp_path))
    assert tuned.exit_code == 1
    assert "aegis: base:" in tuned.stderr
    assert "aegis model setup" in tuned.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--steps", "-1"), "--steps"), (("--detection", "1.5"), "--detection"), (("backwards",), "backwards"),
        (("--choose-on", "nothing.jsonl"), "nothing.jsonl"), (("prepare", "--out", "x", "--sources", "nothing"), "nothing"),
        (("language", "--run", "x", "--base", "nothing"), "nothing"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("home")
def test_wrong_arguments_of_training_are_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = aegis("train", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
