"""`aegis hardening` shows how it is set, without a secret, and says with its exit code that something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from aegis_agents.cli.hardening import hardening
from aegis_agents.hardening.signatures import sign_file
from aegis_agents.ledger.signing import Signer


@pytest.fixture
def app() -> Typer:
    made = Typer()
    made.command()(hardening)
    return made


def test_it_shows_what_is_set(tmp_path: Path, app: Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AEGIS_LLM_KEY", "planted")
    file, signer = tmp_path / "aegis.toml", Signer(tmp_path / "lead.key")
    (tmp_path / "trusted.pub").write_text(signer.key("lead").line + "\n")
    file.write_text('webhook_url = "https://tickets.example/x"\ntoken = "keyring:aegis/operator"\n')
    monkeypatch.setenv("AEGIS_HARDENING__TRUSTED_KEYS", str(tmp_path / "trusted.pub"))
    unsigned = CliRunner().invoke(app, ["--settings", str(file), "--json"])
    assert unsigned.exit_code == 1
    row = next(r for r in json.loads(unsigned.stdout)["files"] if r["file"] == str(file))
    assert row["wrong"] == "it is not signed"
    sign_file(file, signer, "lead")
    signed = CliRunner().invoke(app, ["--settings", str(file), "--json"])
    assert signed.exit_code == 0
    found = json.loads(signed.stdout)
    assert found["egress"] == {"mode": "configured", "places": ["this machine", "tickets.example:443"]}
    assert found["secrets"] == {"token": "keyring:aegis/operator", "llm_key": "given"}
    assert "planted" not in signed.output
    assert CliRunner().invoke(app, ["--settings", str(file)]).exit_code == 0
