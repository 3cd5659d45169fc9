"""What terminals, pipes and hostile text do to the command line."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from aegis_agents import Aegis
from aegis_agents.cli import batch, ledger, main, people, spoken
from aegis_agents.errors import StoreError
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel

Run = Callable[..., Result]
EVIL = "\x1b[2J\x9b31m\x07evil\u202e\r\nfake line"


class _Shared(Aegis):
    """One for all commands of a test: it is closed by the fixture."""

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def small_intel(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from aegis_agents.intel import Intel

    return Intel.open(tmp_path_factory.mktemp("intel"), FakeModel())


@pytest.fixture
def firewall() -> FakeFirewall:
    return FakeFirewall()


@pytest.fixture
def aegis(tmp_path: Path, small_intel: Any, firewall: FakeFirewall) -> Iterator[Aegis]:
    opened = _Shared(model=FakeModel(), intel=small_intel, tools=[firewall], home=tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def run(aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> Run:
    for module in (main, people, ledger):
        monkeypatch.setattr(module, "open_aegis", lambda settings, **given: aegis)

    def call(*words: str, given: bytes = b"") -> Result:
        return CliRunner().invoke(main.app, list(words), input=given, env={"COLUMNS": "200", "NO_COLOR": "1"})

    return call


def is_plain(text: str) -> bool:
    """Nothing that a terminal obeys, and nothing that nobody sees."""
    return all(c in "\n\t" or c.isprintable() for c in text)


# text


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_no_answer_carries_what_a_terminal_obeys(run: Run, as_json: tuple[str, ...]) -> None:
    alert = ATTACK | {"event_id": EVIL, "title": EVIL, "hostname": EVIL, EVIL: EVIL}
    for words in (("investigate", "-"), ("approvals",), ("timers",)):
        done = run(*words, *as_json, given=json.dumps(alert).encode())
        assert done.exit_code == 0, done.output
        assert is_plain(done.output)
    assert is_plain(run("ledger", "show").output)


def test_what_a_system_answers_is_shown_as_text(aegis: Aegis, run: Run, firewall: FakeFirewall) -> None:
    firewall.apply = lambda *_, **__: EVIL  # type: ignore[assignment,method-assign]
    firewall.read = lambda *_: None  # type: ignore[assignment,method-assign]
    aegis.investigate(ATTACK)
    action_id = next(row.action_id for row in aegis.pending() if row.proposal.action == "block_ip")
    done = run("approve", action_id)
    assert "evil" in done.output
    assert is_plain(done.output)
    assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("approve", EVIL), ("deny", "x", "--by", EVIL), ("confirm", EVIL, "true_positive"), ("token", "revoke", EVIL),
        ("investigate", EVIL), ("ledger", "verify", "--export", EVIL), ("ledger", "export", f"/no-such-{EVIL}/x"),
        ("approve", "\udcff"), ("ledger", "export", "/"),
    ],
)  # fmt: skip
def test_errors_say_what_was_given_as_text(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.exit_code == 1, (done.output, done.exception)
    assert isinstance(done.exception, SystemExit)
    assert is_plain(done.output)


def test_json_is_the_same_to_a_program() -> None:
    value = {"a": EVIL, "b": "\ud800", "c": "⟦é"}
    line = spoken.as_json(value)
    assert is_plain(line)
    assert "⟦é" in line
    assert json.loads(line) == value


def test_what_was_made_visible_is_not_made_so_twice() -> None:
    assert spoken.shown("⟦U+001B⟧ \x1b") == "⟦U+001B⟧ ⟦U+001B⟧"


def test_a_page_of_errors_is_not_broken_into_lines(run: Run) -> None:
    done = run("investigate", "-", given=b'{"a": 1}\nnonsense that is no JSON\n{"b": 2}\n')
    assert done.exit_code == 1
    (said,) = [line for line in done.output.splitlines() if "error: " in line]
    assert said.endswith("(check the text there)")


# much, and endless


class _Endless(io.RawIOBase):
    """A line of this length, then others; it may only be asked for in parts."""

    def __init__(self, length: int, then: bytes) -> None:
        self.left, self.then = length, then

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 < size < 10_000_000
        if self.left > 0:
            part = min(size, self.left)
            self.left -= part
            return b"a" * part if self.left or part == size else b"a" * (part - 1) + b"\n"
        line, _, self.then = self.then.partition(b"\n")
        return line + b"\n" if line else b""


def test_a_line_without_end_is_not_kept_in_memory(
    aegis: Aegis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = _Endless(100_000_000, json.dumps(ATTACK).encode() + b"\n")
    monkeypatch.setattr(sys, "stdin", type("In", (), {"buffer": stream}))
    assert batch.investigate_file(aegis, "-", format=None, as_json=True) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["line"], "longer" in first["error"]) == (1, True)
    assert second["native_id"] == ATTACK["event_id"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero on this system")
def test_a_file_without_end_is_refused(aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    from aegis_agents.errors import InputError

    monkeypatch.setattr(batch, "_MOST_WHOLE", 1_000_000)
    with pytest.raises(InputError, match="longer than"):
        batch.investigate_file(aegis, "/dev/zero", format=None, as_json=False)


# numbers


@pytest.mark.parametrize(
    "words",
    [
        ("expire", "--watch", "nan"), ("expire", "--watch", "inf"), ("recover", "--stale-after", "nan"),
        ("recover", "--stale-after", "1e300"), ("token", "add", "a", "--role", "approver", "--days", "nan"),
        ("token", "add", "a", "--role", "approver", "--days", "1e300"), ("ledger", "show", "--after", "9" * 30),
        ("ledger", "show", "--limit", "9" * 30), ("ledger", "prune", "--before", "0001-01-01T00:00+14:00"),
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.exit_code == 2, (done.output, done.exception)


# crashes of others


def _left_behind(aegis: Aegis, native: str, owner: str) -> str:
    incident, text = aegis._read(ATTACK | {"event_id": native}, None)
    aegis.store.admit(incident, text, aegis.context.versions, owner=owner)
    return incident.id


def test_recover_leaves_alone_what_is_not_stale(aegis: Aegis, run: Run) -> None:
    incident_id = _left_behind(aegis, "r-1", "elsewhere:1:")
    assert "0 incident(s) decided" in run("recover").output
    done = run("recover", "--stale-after", "0")
    assert "1 incident(s) decided" in done.output
    assert incident_id in done.output


def test_the_watch_finishes_what_others_left_and_outlives_a_locked_database(
    aegis: Aegis, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id = _left_behind(aegis, "r-2", "")
    slept: list[float] = []
    expire_due = aegis.expire_due

    def locked() -> Any:
        if not slept:
            raise StoreError("database is locked")
        return expire_due()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(aegis, "expire_due", locked)
    monkeypatch.setattr(people.time, "sleep", sleep)
    done = run("expire", "--watch", "5")
    assert slept == [5, 5, 5]
    assert "database is locked; tried again in 5 s" in done.output
    assert f"{incident_id}: decided after a crash" in done.output
    assert done.exit_code == 130


# help


def test_help_says_what_each_argument_is() -> None:
    for words, said in (
        (("investigate",), "one a line"),
        (("approve",), "aegis approvals"),
        (("confirm",), "benign_positive"),
        (("token", "add"), "a person, not a team"),
    ):
        output = CliRunner().invoke(main.app, [*words, "--help"], env={"COLUMNS": "200"}).output
        assert said in output, output


def test_recover_says_that_it_is_safe_beside_others() -> None:
    output = CliRunner().invoke(main.app, ["recover", "--help"], env={"COLUMNS": "200"}).output
    assert "After a crash: finish what dead processes had begun. Safe beside others at work." in output
    assert "--stale-after" in output


def test_the_demo_heeds_no_environment_and_so_touches_nothing_real(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from aegis_agents.cli import demo

    for name, value in {
        "DATABASE": "postgresql://nobody@127.0.0.1:1/real", "WEBHOOK_URL": "https://real.example", "NFTABLES": "true",
        "AUTONOMY": "act", "CONNECTORS": "/real.toml", "TENANT": "real",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AEGIS_{name}", value)
    seen: list[Any] = []

    def stop(**given: Any) -> Any:
        seen.append(given["settings"])
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "Aegis", stop)
    monkeypatch.setattr(demo, "_language", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        demo.run_demo(Console(file=io.StringIO()))
    (settings,) = seen
    assert (settings.database, settings.webhook_url, settings.nftables, settings.connectors) == (
        None,
        None,
        False,
        None,
    )
    assert settings.tenant == "demo"


# processes


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("ending", ["closed", signal.SIGINT, signal.SIGTERM])
def test_a_batch_that_is_ended_ends_clean_and_is_finished_by_recover(tmp_path: Path, ending: Any) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from tests.graph.conftest import FakeModel\n"
        "from aegis_agents import assembly\n"
        "assembly.open_model = lambda settings: FakeModel()\n"
        "from aegis_agents.cli.main import main; main()"
    )
    root = str(Path(__file__).parents[2])

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", code, root, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "AEGIS_HOME": str(tmp_path)}, cwd=root,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    batch_process = start("investigate", "-", "--json")
    assert batch_process.stdin is not None
    assert batch_process.stdout is not None
    assert batch_process.stderr is not None
    for number in range(100):
        batch_process.stdin.write(json.dumps(ATTACK | {"event_id": f"s-{number}"}).encode() + b"\n")
    batch_process.stdin.flush()
    json.loads(batch_process.stdout.readline())
    if ending == "closed":
        batch_process.stdout.close()
    else:
        batch_process.send_signal(ending)
    batch_process.wait(30)
    said = batch_process.stderr.read().decode()
    assert "Traceback" not in said
    assert batch_process.returncode == {"closed": 1, signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM}[ending]
    for stream in (batch_process.stdin, batch_process.stdout, batch_process.stderr):
        try:
            stream.close()
        except BrokenPipeError:
            pass
    after = start("recover")
    said_after, wrong = after.communicate(timeout=60)
    assert after.returncode == 0, wrong
    assert b"settled" in said_after
