"""Where settings come from, and what happens to wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_agents.errors import SettingsError
from aegis_agents.settings import load_settings


def test_arguments_beat_environment_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text('tenant = "from-file"\ncache = 11\nthreads = 3\n')
    monkeypatch.setenv("AEGIS_TENANT", "from-environment")
    monkeypatch.setenv("AEGIS_CACHE", "22")
    found = load_settings(file, cache=33)
    assert (found.tenant, found.cache, found.threads, found.mode) == ("from-environment", 33, 3, "live")


@pytest.mark.parametrize(
    ("text", "named"),
    [("tenent = 'x'", "tenent"), ("cache = -1", "cache"), ("mode = 'dry'", "mode"), ("= 3", "aegis.toml")],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=named):
        load_settings(file)


def test_the_kill_switch_lies_in_home_unless_said(tmp_path: Path) -> None:
    assert load_settings(home=tmp_path).kill_switch_file == tmp_path / "KILL"
    assert load_settings(home=tmp_path, kill_switch=tmp_path / "stop").kill_switch_file == tmp_path / "stop"
