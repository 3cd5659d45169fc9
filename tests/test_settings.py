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


@pytest.mark.parametrize(
    ("variable", "value", "table", "kept"),
    [
        ("AEGIS_HARDENING__ALONE_PER_HOUR", "7", "[hardening]\negress = 'listed'\n", ("hardening", "egress", "listed")),
        ("AEGIS_SERVER__PORT", "8443", "[server]\ntokens_answer = false\n", ("server", "tokens_answer", False)),
        ("AEGIS_MONITOR__EVERY_S", "30", "[monitor]\nfall_back = false\n", ("monitor", "fall_back", False)),
        ("AEGIS_HARDENING__EGRESS", "open", "[hardening]\negress = 'listed'\nalone_per_hour = 7\n", ("hardening", "egress", "open")),
    ],
)  # fmt: skip
def test_a_variable_takes_no_more_of_the_file_away_than_it_sets(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    table: str,
    kept: tuple[str, str, object],
) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text(table)
    monkeypatch.setenv(variable, value)
    found = load_settings(file)
    group, name, wanted = kept
    assert getattr(getattr(found, group), name) == wanted
    _, part, field = variable.lower().replace("__", "_", 1).split("_", 2)
    assert str(getattr(getattr(found, part), field)).removesuffix(".0") == value


@pytest.mark.parametrize("setting", ["every_s", "canary_minutes", "canary_seconds"])
@pytest.mark.parametrize("value", ["inf", "1e300", "nan"])
def test_times_of_the_monitor_that_no_clock_has_are_refused_by_name(tmp_path: Path, setting: str, value: str) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text(f"[monitor]\n{setting} = {value}\n")
    with pytest.raises(SettingsError, match=f"monitor.{setting}"):
        load_settings(file)
