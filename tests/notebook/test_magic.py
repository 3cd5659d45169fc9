"""The magic %aegis: what it answers, what it refuses, and that it leaves the shell as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis, Case
from tests.notebook.notebook_parts import example

UsageError = pytest.importorskip("IPython.core.error", reason="needs the notebook extra").UsageError
InteractiveShell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    made = InteractiveShell()
    made.extension_manager.load_extension("aegis_agents.notebook")
    yield made
    made.extension_manager.unload_extension("aegis_agents.notebook")
    made.history_manager.end_session()


def test_a_variable_a_file_and_a_cell_are_investigated(shell: Any, aegis: Aegis, tmp_path: Path) -> None:
    shell.user_ns |= {"mine": aegis, "alert": example("1_attack")}
    by_variable = shell.run_line_magic("aegis", "investigate alert --use mine")
    assert isinstance(by_variable, Case)
    file = tmp_path / "with space.json"
    file.write_text(example("1_attack"))
    assert shell.run_line_magic("aegis", f"investigate '{file}' --use mine") == by_variable
    assert shell.run_cell_magic("aegis", "--use mine", example("1_attack")) == by_variable
    assert shell.run_line_magic("aegis", f"case {by_variable.incident_id} --use mine") == by_variable


def test_it_sets_no_variable(shell: Any, aegis: Aegis) -> None:
    shell.user_ns |= {"mine": aegis, "alert": example("1_attack")}
    before = dict(shell.user_ns)
    shell.run_line_magic("aegis", "investigate alert --use mine")
    shell.run_line_magic("aegis", "approvals --use mine")
    assert shell.user_ns == before


def test_shadow_touches_nothing_and_has_a_state_of_its_settings(shell: Any) -> None:
    shell.user_ns["alert"] = example("1_attack")
    case = shell.run_line_magic("aegis", "investigate alert --shadow")
    assert {a.outcome for a in case.actions} <= {"would_execute", "recommended", "refused"}


def test_approvals_show_what_waits_and_verify_the_ledger(shell: Any, aegis: Aegis) -> None:
    shell.user_ns["mine"] = aegis
    assert repr(shell.run_line_magic("aegis", "approvals --use mine")) == "nothing waits for a person"
    aegis.investigate(example("1_attack"))
    shown = shell.run_line_magic("aegis", "approvals --use mine")
    assert "isolate_host" in repr(shown)
    assert "isolate_host" in shown._repr_mimebundle_()["text/html"]
    assert repr(shell.run_line_magic("aegis", "verify --use mine")).startswith("ledger whole: ")


def test_a_question_keeps_its_own_punctuation(shell: Any, aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Aegis, "ask", lambda self, question: asked.append(question), raising=False)
    shell.user_ns["mine"] = aegis
    shell.run_line_magic("aegis", '--use mine ask why wasn\'t "rundll32" --blocked?')
    assert asked == ['why wasn\'t "rundll32" --blocked?']


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "no command 'nonsense'"),
        ("investigate", "give one file or variable"),
        ("investigate a b", "give one file or variable"),
        ("investigate nosuchfile.json --use mine", "can't be read"),
        ("case nosuch --use mine", "there is no case nosuch"),
        ("approvals --loud", "no option --loud"),
        ("approvals --use", "--use needs a name"),
        ("approvals --use nothing", "no variable of this name holds an Aegis"),
        ("approvals --shadow --use mine", "mine is live"),
        ("investigate 'unclosed", "No closing quotation"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(shell: Any, aegis: Aegis, line: str, says: str) -> None:
    shell.user_ns["mine"] = aegis
    with pytest.raises(UsageError, match=says):
        shell.run_line_magic("aegis", line)


def test_a_variables_text_is_an_alert_or_a_path_but_a_line_is_never_run(shell: Any, aegis: Aegis) -> None:
    shell.user_ns["mine"] = aegis
    with pytest.raises(UsageError):
        shell.run_line_magic("aegis", "investigate __import__('os').getcwd() --use mine")


def test_alone_it_says_how_and_unloading_takes_it_away(shell: Any) -> None:
    assert "%aegis investigate" in repr(shell.run_line_magic("aegis", ""))
    shell.extension_manager.unload_extension("aegis_agents.notebook")
    assert "aegis" not in shell.magics_manager.magics["line"]
    assert "aegis" not in shell.magics_manager.magics["cell"]
    shell.extension_manager.load_extension("aegis_agents.notebook")
