"""With trusted keys nothing is loaded that they did not sign, and what is loaded are the bytes that were checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.assembly import open_gate, open_language, open_model, open_store, open_write_path
from aegis_agents.errors import AegisError, ModelError, ModelTampered, PolicyError, SettingsError
from aegis_agents.hardening.loaded import in_use
from aegis_agents.hardening.models import LIST, check_folder, list_files, refuse_pickle
from aegis_agents.hardening.signatures import sign_file
from aegis_agents.hardening.trust import Trust
from aegis_agents.ledger.signing import Signer
from aegis_agents.model.files import shipped_folder
from aegis_agents.settings import Settings, load_settings

CEDAR = '@id("mine.none")\nforbid (principal, action == Aegis::Action::"block_ip", resource);\n'
FILES = {
    "policy": ("rules.cedar", CEDAR),
    "matrix": ("matrix.toml", '[block_ip]\nstandard = "act"\n'),
    "costs": ("costs.toml", 'unit = "euro"\n'),
    "assets": ("assets.toml", ""),
}


class Rig:
    """A folder with files, keys and settings that name them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = Signer(folder / "lead.key")
        self.trusted = folder / "trusted.pub"
        self.trusted.write_text(self.signer.key("lead").line + "\n")

    def write(self, name: str, text: str, *, signed: bool = True) -> Path:
        file = self.folder / name
        file.write_text(text)
        if signed:
            sign_file(file, self.signer, "lead")
        return file

    def settings(self, **more: Any) -> Settings:
        return load_settings(home=self.folder / "home", hardening={"trusted_keys": self.trusted}, **more)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.mark.parametrize("setting", FILES)
def test_each_file_of_the_gate_has_to_be_signed(rig: Rig, setting: str) -> None:
    name, text = FILES[setting]
    file = rig.write(name, text, signed=False)
    with pytest.raises(SettingsError, match=f"{file}.*not signed.*aegis sign"):
        open_gate(rig.settings(**{setting: file}), None)
    open_gate(load_settings(**{setting: file}), None)  # without keys nobody has to sign
    sign_file(file, rig.signer, "lead")
    open_gate(rig.settings(**{setting: file}), None)
    file.write_text(text + "\n# one more line\n")
    with pytest.raises(SettingsError, match="not for these bytes"):
        open_gate(rig.settings(**{setting: file}), None)


def test_what_is_wrong_in_a_signed_file_names_that_file(rig: Rig) -> None:
    file = rig.write("rules.cedar", "forbid (principal, action, nonsense);\n")
    with pytest.raises(PolicyError) as caught:
        open_gate(rig.settings(policy=file), None)
    assert f"{file}, line 1" in str(caught.value)
    assert "aegis-checked" not in str(caught.value)


def test_a_swap_between_check_and_use_changes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is replaced right after it was checked: what is loaded is what was checked."""
    file = rig.write("rules.cedar", CEDAR)
    accept = Trust.accept

    def swapped(self: Trust, path: Path, content: bytes, *more: Any) -> Any:
        found = accept(self, path, content, *more)
        file.write_text('@id("evil.all")\npermit (principal, action, resource);\n')
        return found

    monkeypatch.setattr(Trust, "accept", swapped)
    gate = open_gate(rig.settings(policy=file), None)
    names = gate._settings.policy.names
    assert "mine.none" in names
    assert "evil.all" not in names


def test_settings_that_were_read_are_those_that_are_checked(rig: Rig) -> None:
    file = rig.write("aegis.toml", 'autonomy = "ask"\n', signed=False)
    named = {"trusted_keys": rig.trusted}
    with pytest.raises(SettingsError, match=r"aegis\.toml.*not signed"):
        Trust.of(load_settings(file, hardening=named))
    sign_file(file, rig.signer, "lead")
    settings = load_settings(file, hardening=named)
    file.write_text('autonomy = "act"\n')
    Trust.of(settings)  # the bytes that were read are still the signed ones
    with pytest.raises(SettingsError, match="not for these bytes"):
        Trust.of(load_settings(file, hardening=named))


@pytest.mark.parametrize("opener", [open_model, open_gate, open_write_path])
def test_nothing_opens_under_unsigned_settings(rig: Rig, opener: Any) -> None:
    file = rig.write("aegis.toml", f'home = "{rig.folder}/home"\nconnectors = "none.toml"\n', signed=False)
    settings = load_settings(file, hardening={"trusted_keys": rig.trusted})
    more = {open_model: (), open_gate: (None,), open_write_path: (None, ())}[opener]
    with pytest.raises(SettingsError, match="not signed"):
        opener(settings, *more)


@pytest.mark.parametrize(
    ("text", "said"), [("", "no key"), ("nonsense\n", "not a public key"), (None, "can't be read")]
)
def test_keys_that_are_none_let_nothing_in(rig: Rig, text: str | None, said: str) -> None:
    rig.trusted.unlink() if text is None else rig.trusted.write_text(text)
    with pytest.raises(SettingsError, match=said):
        open_gate(rig.settings(), None)


def test_connectors_and_the_files_they_name(rig: Rig) -> None:
    """The file is signed; a path in it still starts where it lies."""
    text = '[tracker]\nkind = "jira"\nurl = "https://jira.corp"\nproject = "SOC"\nca_file = "corp.pem"\n'
    file = rig.write("connectors.toml", text, signed=False)
    file.chmod(0o600)
    settings = rig.settings(connectors=file, connector_secrets={"tracker.token": "t"})
    store = open_store(settings)
    with pytest.raises(SettingsError, match=r"connectors\.toml.*not signed"):
        open_write_path(settings, store, ())
    sign_file(file, rig.signer, "lead")
    try:
        open_write_path(settings, store, ())
    except AegisError as error:  # the certificates are not there, and the message says where they were looked for
        assert str(rig.folder / "corp.pem") in str(error) or "not installed" in str(error)  # noqa: PT017
        assert "aegis-checked" not in str(error)  # noqa: PT017
    store.close()


def test_a_secret_in_the_file_of_connectors_is_refused_with_the_fix(rig: Rig) -> None:
    text = '[desk]\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\nactions = ["open_ticket"]\nsecret = "hunter2"\n'
    file = rig.write("connectors.toml", text, signed=False)
    file.chmod(0o600)
    settings = load_settings(home=rig.folder / "home", connectors=file)
    store = open_store(settings)
    with pytest.raises(
        SettingsError, match=r'desk.*secret is a secret.*connector_secrets = \{"desk\.secret"'
    ) as caught:
        open_write_path(settings, store, ())
    assert "hunter2" not in str(caught.value)
    file.write_text(text.replace('secret = "hunter2"\n', ""))
    open_write_path(
        load_settings(home=rig.folder / "home", connectors=file, connector_secrets={"desk.secret": "x"}), store, ()
    )
    store.close()


# models


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "mine"
    shutil.copytree(shipped_folder(), folder)
    return folder


def _promoted(rig: Rig, model: Path) -> Path:
    import hashlib

    from aegis_agents.model.registry import install, use

    digest = hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest()
    found = install(rig.folder / "home", model, digest)
    use(rig.folder / "home", found)
    return found.folder


def test_a_model_of_ones_own_has_to_be_signed(rig: Rig, own_model: Path) -> None:
    folder = _promoted(rig, own_model)
    with pytest.raises(ModelTampered, match=r"manifest\.json.*not signed.*aegis sign"):
        open_model(rig.settings())
    sign_file(folder / "manifest.json", rig.signer, "lead")
    assert open_model(rig.settings()).version
    assert open_model(load_settings(home=rig.folder / "other", hardening={"trusted_keys": rig.trusted})).version, (
        "the shipped one"
    )


def test_a_record_that_names_another_manifest_is_not_believed(rig: Rig, own_model: Path) -> None:
    """Whoever can write under home can change the record of the promotion; they can't sign."""
    import hashlib

    folder = _promoted(rig, own_model)
    sign_file(folder / "manifest.json", rig.signer, "lead")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["name"] = "evil"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    record = rig.folder / "home" / "models" / "current.json"
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    record.write_text(json.dumps(json.loads(record.read_text()) | {"manifest_sha256": digest}))
    assert open_model(load_settings(home=rig.folder / "home")).version.startswith("evil"), "without keys it is"
    with pytest.raises(ModelTampered, match="not for these bytes"):
        open_model(rig.settings())


def _adapter(folder: Path) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return folder


def test_an_adapter_is_loaded_from_the_copy_that_was_checked(rig: Rig) -> None:
    adapter = _adapter(rig.folder / "adapter")
    settings = rig.settings(llm="local", llm_adapter=adapter, llm_adapter_sha256="0" * 64)
    with pytest.raises(ModelTampered, match=LIST):
        open_language(settings)
    (adapter / LIST).write_bytes(list_files(adapter))
    sign_file(adapter / LIST, rig.signer, "lead")
    chat: Any = open_language(settings)
    assert chat.adapter != adapter
    (adapter / "adapter_model.safetensors").write_bytes(b"changed")
    assert (Path(chat.adapter) / "adapter_model.safetensors").read_bytes() != b"changed"
    with pytest.raises(ModelTampered, match=r"adapter_model\.safetensors is not as it was signed"):
        open_language(settings)


def test_files_that_were_added_are_seen(rig: Rig) -> None:
    adapter = _adapter(rig.folder / "adapter")
    (adapter / LIST).write_bytes(list_files(adapter))
    sign_file(adapter / LIST, rig.signer, "lead")
    trust = Trust((rig.signer.key("lead"),))
    check_folder(trust, adapter)
    (adapter / "modeling_evil.py").write_text("import os")
    with pytest.raises(ModelTampered, match=r"modeling_evil\.py"):
        check_folder(trust, adapter)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytorch_model.bin", b"PK"),
        ("x.PT", b""),
        ("sub/deep.pkl", b""),
        ("weights.safetensors", b"\x80\x04\x95"),
        ("a", b"\x80\x02"),
    ],
)
def test_pickled_weights_are_refused_by_name_and_by_form(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    with pytest.raises(ModelError, match="pickled"):
        refuse_pickle(tmp_path)


def test_a_base_of_ones_own_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(ModelError, match="pickled"):
        open_language(load_settings(home=tmp_path, llm=str(base)))


def test_what_was_loaded_is_remembered_by_its_bytes(rig: Rig) -> None:
    import hashlib

    file = rig.write("rules.cedar", CEDAR)
    open_gate(rig.settings(policy=file), None)
    assert hashlib.sha256(CEDAR.encode()).hexdigest() in in_use(file)
