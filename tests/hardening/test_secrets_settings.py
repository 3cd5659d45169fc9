"""Secrets: refused in settings files, taken from variables, credentials and the keyring, shown nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from aegis_agents.errors import SettingsError
from aegis_agents.settings import Settings, load_settings
from aegis_agents.settings_secrets import Referred, plain_secrets, secrets_of

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def keyring_of(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """What the keyring holds."""
    keyring = pytest.importorskip("keyring", reason="the extra keyring is not installed")
    held: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: held.get((service, name)))
    return held


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('token = "aegis_plain"', "token"),
        ('llm_key = "sk-1"', "llm_key"),
        ('[connector_secrets]\n"okta.token" = "00abc"', "connector_secrets.okta.token"),
        ('feed_tokens = {misp = "k"}', "feed_tokens.misp"),
        ('database = "postgresql://aegis:hunter2@db/aegis"', "database"),
        ('database = "postgresql://db/aegis?password=hunter2"', "database"),
        ('database = "host=db password=hunter2"', "database"),
        (f'[[server.webhooks]]\nname = "a"\nurl = "https://x.example/"\nsecret = "{WHSEC}"', "server.webhooks.0.secret"),
    ],
)  # fmt: skip
def test_a_secret_in_a_settings_file_is_refused_with_the_fix(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    said = str(caught.value)
    assert f"{named} is a secret" in said
    assert f"AEGIS_{named.partition('.')[0].upper()}" in said
    assert "keyring:" in said
    assert not any(value in said for value in ("aegis_plain", "hunter2", "00abc", WHSEC, "sk-1"))


def test_an_address_without_a_password_is_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text('database = "postgresql://aegis@db.corp/aegis"\n')
    found = load_settings(file)
    assert found.database is not None
    assert found.database.get_secret_value() == "postgresql://aegis@db.corp/aegis"


def test_references_may_stand_there_and_are_looked_up_at_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyring_of: dict[tuple[str, str], str]
) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text(
        'token = "keyring:aegis/operator"\nllm_key = "env:MY_LLM_KEY"\n[connector_secrets]\n"okta.token" = "keyring:aegis/okta"\n'
        '[[server.webhooks]]\nname = "a"\nurl = "https://x.example/"\nsecret = "env:MY_WHSEC"\n'
    )
    monkeypatch.setenv("MY_WHSEC", WHSEC)  # a webhook's is checked when settings are read
    found = load_settings(file)
    assert isinstance(found.token, Referred)
    with pytest.raises(SettingsError, match="keyring set aegis operator"):
        found.token.get_secret_value()
    keyring_of["aegis", "operator"] = "first"
    assert found.token.get_secret_value() == "first"
    keyring_of["aegis", "operator"] = "rotated"
    assert found.token.get_secret_value() == "rotated"
    assert found.llm_key is not None
    with pytest.raises(SettingsError, match="MY_LLM_KEY"):
        found.llm_key.get_secret_value()
    monkeypatch.setenv("MY_LLM_KEY", "k")
    assert found.llm_key.get_secret_value() == "k"
    keyring_of["aegis", "okta"] = "00abc"
    assert found.connector_secrets["okta.token"].get_secret_value() == "00abc"
    assert found.server.webhooks[0].secret.get_secret_value() == WHSEC
    shown = repr(found) + str(found) + json.dumps(secrets_of(found))
    assert not any(value in shown for value in ("rotated", "00abc", WHSEC))
    assert secrets_of(found)["token"] == "keyring:aegis/operator"


@pytest.mark.parametrize(
    "reference", ["keyring:noname", "keyring:/x", "credential:../passwd", "credential:a/b", "env:NOT_SET_ANYWHERE"]
)
def test_a_reference_that_leads_nowhere_is_named(reference: str) -> None:
    pytest.importorskip("keyring", reason="the extra keyring is not installed")
    found = load_settings(token=reference)
    assert found.token is not None
    with pytest.raises(SettingsError, match=reference.partition(":")[0]):
        found.token.get_secret_value()


def test_a_keyring_that_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    token = load_settings(token="keyring:aegis/x").token
    assert token is not None
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[keyring\]"):
        token.get_secret_value()


def test_credentials_are_read_from_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd's LoadCredential names the folder in CREDENTIALS_DIRECTORY; files are named as variables are."""
    (tmp_path / "aegis_token").write_text("from-credential\n")
    (tmp_path / "aegis_connector_secrets").write_text('{"okta.token": "00abc"}')
    (tmp_path / "desk").write_text("sesame\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = load_settings(llm_key="credential:desk")
    assert found.token is not None
    assert found.token.get_secret_value() == "from-credential"
    assert found.connector_secrets["okta.token"].get_secret_value() == "00abc"
    assert found.llm_key is not None
    assert found.llm_key.get_secret_value() == "sesame"
    monkeypatch.setenv("AEGIS_TOKEN", "from-variable")
    token = load_settings().token
    assert token is not None
    assert token.get_secret_value() == "from-variable"


def _secret_fields(model: type[BaseModel], at: str = "") -> Iterator[str]:
    """Where secrets may stand, found in another way than the code does: in the JSON schema."""
    schema = model.model_json_schema()

    def walk(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            if node.get("writeOnly"):
                yield path
            if "$ref" in node:
                yield from walk(schema["$defs"][node["$ref"].rpartition("/")[2]], path)
            for key, one in node.get("properties", {}).items():
                yield from walk(one, f"{path}.{key}" if path else key)
            for part in ("anyOf", "oneOf", "allOf"):
                for one in node.get(part, []):
                    yield from walk(one, path)
            if isinstance(node.get("additionalProperties"), dict):
                yield from walk(node["additionalProperties"], f"{path}.x")
            if isinstance(node.get("items"), dict):
                yield from walk(node["items"], f"{path}.0")

    yield from walk(schema, at)


def _table(path: str, value: str) -> dict[str, Any]:
    made: Any = value
    for part in reversed(path.split(".")):
        made = [made] if part == "0" else {part: made}
    return dict(made)


def test_every_secret_of_every_table_is_known_to_be_one() -> None:
    """Whatever field another room adds as a SecretStr is refused in files, without a list that would have to be kept."""
    fields = sorted(set(_secret_fields(Settings)))
    assert {"token", "database", "llm_key", "connector_secrets.x", "server.webhooks.0.secret"} <= set(fields)
    kinds = ("file", "directory", "syslog", "kafka", "sqs")
    for field in fields:
        tables = [_table(field, "postgresql://u:hunter2@h/d")]
        if field.startswith("streams.0."):
            tables = [{"streams": [{"kind": k, **_table(field, "hunter2")["streams"][0]}]} for k in kinds]
        assert any(plain_secrets(Settings, table) == [field] for table in tables), field


@pytest.mark.parametrize(
    "hostile", [{"server": 3}, {"server": {"webhooks": "x"}}, {"streams": {"a": 1}}, {"feed_tokens": [1]}]
)
def test_tables_of_a_wrong_form_are_wrong_settings(hostile: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load_settings(**hostile)


def test_no_secret_reaches_a_trace(tmp_path: Path) -> None:
    """An uncaught error of a wrong value shows the setting and not the value."""
    code = "from aegis_agents.settings import load_settings; load_settings(server={'webhooks': [{'name': 'a', 'url': 'https://x.example/', 'secret': 'planted-distinct-value'}]})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "whsec_" in done.stderr
    assert "planted-distinct-value" not in done.stderr.replace(code, "")


def test_a_secret_is_a_secret_wherever_it_came_from() -> None:
    found = load_settings(token=SecretStr("env:HOME"))
    assert isinstance(found.token, Referred)
