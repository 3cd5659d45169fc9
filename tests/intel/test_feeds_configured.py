"""The feeds that settings name: no secret stands in their file, and with trusted keys the file has to be signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from aegis_agents.errors import SettingsError
from aegis_agents.feeding import configured
from aegis_agents.hardening.signatures import sign_file
from aegis_agents.hardening.trust import Trust
from aegis_agents.intel.feeds.load import load_feeds
from aegis_agents.ledger.signing import Signer
from aegis_agents.settings import Settings, load_settings

PARTNERS = '[partners]\nkind = "taxii"\nurl = "https://taxii.example/api/collections/1/"\nusername = "aegis"\n'
LISTED = '[list]\nkind = "indicators"\npath = "lists/bad.txt"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "feeds.toml"
    file.write_text(text)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize(("key", "named"), [("token", "partners"), ("password", r"partners\.password")])
@pytest.mark.parametrize("given", [{}, {"partners": "t", "partners.password": "p"}])
def test_a_secret_in_the_file_is_refused_with_the_fix(
    tmp_path: Path, key: str, named: str, given: dict[str, str]
) -> None:
    file = written(tmp_path, PARTNERS + f'{key} = "s3cret"\n')
    fix = rf'take it out, and give feed_tokens = \{{"{named}" = "keyring:aegis/{named}"\}} in the settings, or AEGIS_FEED_TOKENS'
    with pytest.raises(SettingsError, match=rf"\[partners\] {key} is a secret, .*{fix}") as caught:
        load_feeds(file, {name: SecretStr(value) for name, value in given.items()})
    assert str(caught.value).startswith(str(file))
    assert "s3cret" not in str(caught.value)


def test_token_and_password_come_by_name_and_reach_their_own_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_FEED_TOKENS", '{"partners.password": "p4ss", "list": "t0ken"}')
    settings = load_settings(feeds=written(tmp_path, PARTNERS + LISTED))
    partners, listed = configured(settings)
    assert partners.password is not None
    assert listed.token is not None
    assert (partners.password.get_secret_value(), listed.token.get_secret_value()) == ("p4ss", "t0ken")
    assert (partners.token, listed.password) == (None, None)
    assert not any(secret in f"{settings!r}{partners!r}{listed!r}" for secret in ("p4ss", "t0ken"))


@pytest.mark.parametrize("key", ["nobody", "nobody.password", "partners.token", "password", ".password"])
def test_a_secret_for_no_feed_is_refused_and_says_how_it_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsError, match=rf'feed_tokens names {key}, which is no feed there .*"name\.password"'):
        load_feeds(written(tmp_path, PARTNERS), {key: SecretStr("x")})


class Keys:
    """A key, who trusts it, and settings that name both it and the feeds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "keys"
        self.folder.mkdir()
        self.signer = Signer(self.folder / "lead.key")
        self.trusted = self.folder / "trusted.pub"
        self.trusted.write_text(self.signer.key("lead").line + "\n")

    def settings(self, feeds: Path) -> Settings:
        return load_settings(home=self.folder / "home", feeds=feeds, hardening={"trusted_keys": self.trusted})


def test_with_trusted_keys_the_file_has_to_be_signed(tmp_path: Path) -> None:
    keys, file = Keys(tmp_path), written(tmp_path, LISTED)
    with pytest.raises(SettingsError, match=f"{file}.*not signed.*aegis sign"):
        configured(keys.settings(file))
    assert configured(load_settings(feeds=file))  # without keys nobody has to sign
    sign_file(file, keys.signer, "lead")
    assert [feed.name for feed in configured(keys.settings(file))] == ["list"]
    file.write_text(LISTED.replace("bad", "worse"))
    with pytest.raises(SettingsError, match="not for these bytes"):
        configured(keys.settings(file))


@pytest.mark.parametrize("signed", [True, False])
def test_a_path_starts_where_the_file_lies(tmp_path: Path, signed: bool) -> None:
    keys, absolute = Keys(tmp_path), tmp_path / "elsewhere.txt"
    more = f'[abs]\nkind = "indicators"\npath = "{absolute}"\n[up]\nkind = "indicators"\npath = "../up.txt"\n'
    (tmp_path / "etc").mkdir()
    file = written(tmp_path / "etc", LISTED + more + PARTNERS)
    if signed:
        sign_file(file, keys.signer, "lead")
    feeds = configured(keys.settings(file) if signed else load_settings(feeds=file))
    assert [feed.path for feed in feeds] == [file.parent / "lists/bad.txt", absolute, file.parent / "../up.txt", None]


def test_a_swap_between_check_and_use_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, file = Keys(tmp_path), written(tmp_path, LISTED)
    sign_file(file, keys.signer, "lead")
    accept = Trust.accept

    def swapped(self: Trust, path: Path, content: bytes, *more: Any) -> Any:
        found = accept(self, path, content, *more)
        file.write_text(LISTED.replace("[list]", "[evil]"))
        return found

    monkeypatch.setattr(Trust, "accept", swapped)
    assert [feed.name for feed in configured(keys.settings(file))] == ["list"]


def test_what_is_wrong_in_a_signed_file_names_that_file(tmp_path: Path) -> None:
    keys, file = Keys(tmp_path), written(tmp_path, PARTNERS + 'token = "s3cret"\n')
    sign_file(file, keys.signer, "lead")
    with pytest.raises(SettingsError, match=r"\[partners\] token is a secret") as caught:
        configured(keys.settings(file))
    assert str(caught.value).startswith(str(file))
    assert "aegis-checked" not in str(caught.value)
