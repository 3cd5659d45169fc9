"""`aegis redteam`: report, JSON, exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from aegis_agents.assurance.redteam import Attempt, Report, Suite, attack
from aegis_agents.assurance.redteam import ground as ground_module
from aegis_agents.assurance.redteam import run as run_module
from aegis_agents.assurance.redteam.ground import Ground
from aegis_agents.assurance.redteam.run import SUITES, chosen
from aegis_agents.assurance.redteam.text import to_markdown
from aegis_agents.cli.redteam import redteam
from aegis_agents.errors import InputError, SettingsError
from aegis_agents.settings import load_settings
from tests.assurance.redteam_ground import Gullible

APP = typer.Typer()
APP.command()(redteam)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch, intel_home: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(ground_module, "open_model", lambda given: Gullible())
    monkeypatch.setattr(ground_module, "open_intel", lambda given, model: intel_home)
    monkeypatch.setattr(Ground, "close", lambda self: None)  # the session's snapshot stays open
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))


def suite_of(id: str, *attempts: Attempt, error: Exception | None = None) -> Suite:
    def run(ground: Ground) -> Iterator[Attempt]:
        yield from attempts
        if error is not None:
            raise error

    return Suite(id, "made up", ("LLM01",), ("AML.T0029",), run)


HELD = Attempt("one", "a", "held", "fine")
THROUGH = Attempt("two", "b", "got_through", "closed **it** <b>\nsecond line")


def test_what_held_and_what_got_through_and_the_exit_code(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    assert attack(settings, [suite_of("one", HELD)]).exit_code == 0
    seen: list[str] = []
    both = attack(
        settings,
        [suite_of("one", HELD), suite_of("two", THROUGH)],
        on_attempt=lambda s, a: seen.append(f"{s.id}/{a.name}"),
    )
    assert both.exit_code == 1
    assert both.got_through == (THROUGH,)
    assert seen == ["one/a", "two/b"]
    assert both.versions["model"] == "fake@1"


def test_a_suite_that_crashes_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    found = attack(load_settings(home=tmp_path), [suite_of("bad", error=KeyError("x")), suite_of("one", HELD)])
    assert [a.result for a in found.attempts] == ["error", "held"]
    assert "KeyError" in found.attempts[0].detail
    assert found.exit_code == 1


def test_the_report_shows_first_what_got_through_and_no_markup_of_an_alert() -> None:
    suites = (suite_of("one"), suite_of("two"))
    report = Report(suites, (*[HELD] * 50, THROUGH), {"model": "m"}, ("webhook_url",), 3.0)
    text = to_markdown(report)
    assert text.index("What got through") < text.index("## one")
    assert "\\*\\*it\\*\\* \\<b\\> second line" in text
    assert "and 10 more that held" in text
    assert "webhook\\_url" in text or "webhook_url" in text
    assert "OWASP LLM01" in text
    assert "50 of 50 held" in text


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_module, "SUITES", (suite_of("one", HELD), suite_of("two", THROUGH)))
    runner = CliRunner()
    whole = runner.invoke(APP, ["--out", str(tmp_path / "r.md")])
    assert whole.exit_code == 1
    assert "something got through" in whole.stdout
    text = (tmp_path / "r.md").read_text("utf-8")
    assert text.startswith("# Red team")
    assert re.search(r"Aegis [0-9.]+, begun 20\d\d-\d\d-\d\dT.*\+00:00\. Versions: ", text)
    one = runner.invoke(APP, ["--suite", "one", "--json"])
    assert one.exit_code == 0
    found = json.loads(one.stdout)
    assert [s["id"] for s in found["suites"]] == ["one"]
    assert found["suites"][0]["attempts"] == [{"suite": "one", "name": "a", "result": "held", "detail": "fine"}]
    listed = runner.invoke(APP, ["--list"])
    assert listed.exit_code == 0
    assert "two" in listed.stdout
    assert runner.invoke(APP, ["--suite", "nothing"]).exit_code == 2
    assert runner.invoke(APP, ["--out", str(tmp_path / "no folder" / "r.md")]).exit_code == 2
    assert not (tmp_path / "home").exists()


def test_wrong_settings_are_no_finding(tmp_path: Path) -> None:
    file = tmp_path / "aegis.toml"
    file.write_text('matrix = "no such file.toml"\n')
    assert CliRunner().invoke(APP, ["--settings", str(file)]).exit_code == 2
    with pytest.raises(SettingsError):
        attack(load_settings(file), [suite_of("one", HELD)])


def test_a_policy_that_is_none_is_no_finding_either(tmp_path: Path) -> None:
    policy = tmp_path / "mine.cedar"
    policy.write_text("permit (")
    file = tmp_path / "aegis.toml"
    file.write_text(f'policy = "{policy}"\n')
    said = CliRunner().invoke(APP, ["--settings", str(file)])
    assert said.exit_code == 2
    assert "aegis:" in said.stderr


@pytest.mark.parametrize(("attempt", "code"), [(HELD, 2), (THROUGH, 1)])
def test_a_report_that_cannot_be_written_does_not_lose_what_was_found(
    monkeypatch: pytest.MonkeyPatch, attempt: Attempt, code: int
) -> None:
    monkeypatch.setattr(run_module, "SUITES", (suite_of("one", attempt),))
    said = CliRunner().invoke(APP, ["--out", "/dev/full"])
    assert said.exit_code == code
    assert "1 attempts" in said.stdout
    assert "/dev/full can't be written" in said.stderr


def test_the_exit_codes_are_told() -> None:
    said = CliRunner().invoke(APP, ["--help"]).stdout
    for words in ("Exit codes", "0 nothing got through", "2 wrong usage"):
        assert words in said


def test_suites_are_chosen_by_name_or_by_kind() -> None:
    assert chosen([]) == SUITES
    assert [s.id for s in chosen(["fields"])] == ["fields.silence", "fields.act"]
    assert [s.id for s in chosen(["trail", "fields.act"])] == ["fields.act", "trail"]
    with pytest.raises(InputError, match=r"fields\.silence"):
        chosen(["field"])
