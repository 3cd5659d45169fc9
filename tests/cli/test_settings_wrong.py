"""Settings that are given wrongly: named, and never taken for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_agents.errors import SettingsError
from aegis_agents.settings import load_settings

PATHS = ("home", "policy", "assets", "kill_switch", "feeds", "connectors", "ledger_copies")


@pytest.mark.parametrize("name", PATHS)
def test_an_empty_path_is_not_the_folder_that_one_is_in(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"AEGIS_{name.upper()}", "")
    with pytest.raises(SettingsError, match=f"{name}: .*is empty"):
        load_settings()


@pytest.mark.parametrize("name", PATHS)
def test_a_tilde_is_the_users_home_and_no_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "aegis.toml"
    file.write_text(f'{name} = "~/there"\n')
    assert getattr(load_settings(file), name) == tmp_path / "there"


def test_a_home_of_nobody_is_said() -> None:
    with pytest.raises(SettingsError, match="home"):
        load_settings(home="~no-such-user-here/x")


def test_a_variable_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_BUDGETS", "{actions")
    with pytest.raises(SettingsError, match="budgets"):
        load_settings()


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "\x00", "a = \udcff"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "aegis.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=r"aegis\.toml"):
        load_settings(file)


def test_a_path_with_a_null_byte_is_said() -> None:
    with pytest.raises(SettingsError, match="null byte"):
        load_settings("a\0b")


@pytest.mark.parametrize("name", ["review_days", "undo_window", "llm_seconds"])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300])
def test_time_that_no_clock_can_count_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings(**{name: value})
