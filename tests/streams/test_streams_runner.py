"""The runner: threads that go on when one breaks, back-pressure, floods that are overtaken, stopping, settings, the command."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from aegis_agents.cli.stream import stream as stream_command
from aegis_agents.errors import InboxFull, SettingsError, StoreError, StreamError
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.records import Mark, Message, Taken
from aegis_agents.settings import load_settings, only
from aegis_agents.streams import kinds
from aegis_agents.streams.intake import BATCH, Intake, Stopped
from aegis_agents.streams.runner import Runner, summary
from aegis_agents.streams.stream import Entry, Tally
from tests.streams.helpers import alert, ids, inbox_at, run_once, running, settings_of, wait_for


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = inbox_at(tmp_path / "home")
    yield opened
    opened.close()


def file_stream(path: Path, name: str = "tail", **more: Any) -> Any:
    return settings_of(name=name, kind="file", path=path, every_s=0.01, **more)


class Store:
    """An inbox of which only `put` is asked."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers, self.puts = list(answers), []  # type: ignore[var-annotated]

    def put(self, messages: Sequence[Message], marks: Sequence[Mark] = ()) -> Taken:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.puts.append(([m.native for m in messages], [m.at for m in marks]))
        return Taken(len(messages), 0, 0, 0, ())


def intake(store: Any) -> Intake:
    return Intake("s", None, store, threading.Event(), Tally())


def entries(count: int) -> list[Entry]:
    return [Entry(Message("s", str(n)), Mark("s", "p", str(n))) for n in range(count)]


def test_a_batch_that_has_no_room_is_taken_in_smaller_ones_in_order() -> None:
    store = Store(InboxFull("full"), InboxFull("full"), None)
    intake(store).put(entries(8))
    assert store.puts == [(["0", "1"], ["1"]), (["2", "3", "4", "5"], ["5"]), (["6", "7"], ["7"])]


def test_a_store_that_is_away_is_waited_for_and_the_stream_looks_after_itself() -> None:
    store, looked = Store(*[StoreError("away")] * 3), []
    made = intake(store)
    made.put(entries(2), meanwhile=lambda: looked.append(1))
    assert store.puts == [(["0", "1"], ["1"])]
    assert made.tally.waits == 3
    assert looked


def test_large_batches_are_taken_in_parts() -> None:
    store = Store()
    intake(store).put(entries(BATCH * 2 + 1))
    assert [len(natives) for natives, _ in store.puts] == [BATCH, BATCH, 1]


def test_told_to_stop_while_it_waits_nothing_is_marked() -> None:
    store = Store(*[InboxFull("full")] * 1000)
    made = intake(store)
    threading.Timer(0.1, made.stop.set).start()
    with pytest.raises(Stopped):
        made.put(entries(1))
    assert store.puts == []


class Broken:
    """A stream that breaks some times, then reads."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error = times, error

    def run(self, intake: Intake, *, once: bool) -> None:
        if self.left:
            self.left -= 1
            raise self.error
        intake.put([Entry(intake.message(alert(5)))])
        intake.stop.wait()


@pytest.mark.parametrize("error", [StreamError("gone"), OSError("gone"), RuntimeError("gone")])
def test_one_that_breaks_is_begun_again_and_the_others_go_on(
    inbox: Inbox, tmp_path: Path, monkeypatch: Any, error: Exception
) -> None:
    real = kinds.make_stream
    broken = Broken(1, error)
    make: Callable[[Any], Any] = lambda one: broken if one.name == "broken" else real(one)  # noqa: E731
    monkeypatch.setattr("aegis_agents.streams.runner.make_stream", make)
    path = tmp_path / "x"
    path.write_text(alert(1) + "\n")
    with running(inbox, file_stream(path, "broken"), file_stream(path, "well")) as runner:
        wait_for(lambda: inbox.counts().waiting == 2)
        assert "gone" in runner.tallies["broken"].last_error
    assert runner.tallies["broken"].failures == 1
    assert runner.tallies["well"].failures == 0


def test_a_flood_is_overtaken_by_a_serious_alert_of_another_stream(tmp_path: Path) -> None:
    flood, quiet = tmp_path / "flood", tmp_path / "quiet"
    flood.write_text("".join(alert(n, severity="low") + "\n" for n in range(600)))
    serious = {
        "severity": "critical",
        "title": "Ransomware on a domain controller",
        "command_line": "vssadmin delete shadows",
    }
    streams = [file_stream(flood, "flood", rate=1.0), file_stream(quiet, "quiet")]
    inbox = open_inbox(only(home=tmp_path / "home", streams=streams))
    run_once(inbox, streams[0])
    quiet.write_text(alert(9999, **serious) + "\n")
    run_once(inbox, streams[1])
    taken = [json.loads(held.message.native)["id"] for held in inbox.take("w", 20)]
    assert "a-9999" in taken[:2]
    inbox.close()


def test_rate_is_what_a_stream_may_bring_before_others_overtake(tmp_path: Path) -> None:
    first: dict[float, int] = {}
    for rate in (0.0, 1.0):
        one, two = tmp_path / f"one{rate}", tmp_path / f"two{rate}"
        one.write_text("".join(alert(n, severity="low") + "\n" for n in range(50)))
        two.write_text(alert(50, severity="low") + "\n")
        streams = [file_stream(one, "one", rate=rate), file_stream(two, "two")]
        inbox = open_inbox(only(home=tmp_path / f"home{rate}", inbox={"rate_per_stream": 0}, streams=streams))
        run_once(inbox, streams[0])
        run_once(inbox, streams[1])
        order = [held.message.stream for held in inbox.take("w", 51)]
        first[rate] = order.index("two")
        inbox.close()
    assert first[1.0] < first[0.0]


def test_the_mark_and_the_format_go_with_the_messages(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(alert(1) + "\n")
    run_once(inbox, file_stream(tmp_path / "x", format="generic"))
    assert inbox.mark("tail", "file") is not None
    assert inbox.take("w")[0].message.format == "generic"


@pytest.mark.parametrize(
    ("streams", "word"),
    [
        ([{"name": "a", "kind": "file", "path": "/x"}] * 2, "two are called a"),
        ([{"name": "a", "kind": "file", "path": "/x", "format": "nonsense"}], "unknown format"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(inbox: Inbox, streams: list[dict[str, Any]], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        Runner([settings_of(**one) for one in streams], inbox)


@pytest.mark.parametrize(
    "given",
    [
        {"name": "a", "kind": "rss"}, {"name": "A b", "kind": "file", "path": "/x"}, {"name": "a", "kind": "file"},
        {"name": "a", "kind": "file", "path": ""}, {"name": "a", "kind": "file", "path": "/x", "rate": -1},
        {"name": "a", "kind": "file", "path": "/x", "queue_url": "x"}, {"name": "a", "kind": "file", "path": "/x", "rate": float("nan")},
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_of(**given)


def test_a_package_that_is_missing_is_named_with_its_extra(inbox: Inbox, monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StreamError, match=r"pip install 'aegis-soc-agents\[kafka\]'"):
        Runner([settings_of(name="k", kind="kafka", brokers=["127.0.0.1:1"], topics=["t"])], inbox)
    with pytest.raises(StreamError, match=r"pip install 'aegis-soc-agents\[aws\]'"):
        Runner([settings_of(name="q", kind="sqs", region="r", queue_url="https://q/1")], inbox)


def test_secrets_come_by_reference_and_not_from_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "aegis.toml"
    table = '[[streams]]\nname = "k"\nkind = "kafka"\nbrokers = ["127.0.0.1:1"]\ntopics = ["t"]\nsasl = "PLAIN"\nusername = "u"\n'
    file.write_text(table + 'password = "written-down"\n')
    with pytest.raises(SettingsError, match="password is a secret"):
        load_settings(file)
    file.write_text(table + 'password = "env:KAFKA_WORD"\n')
    monkeypatch.setenv("KAFKA_WORD", "of-the-environment")
    from aegis_agents.streams.kafka import configuration

    (found,) = load_settings(file).streams
    assert configuration(found)["sasl.password"] == "of-the-environment"  # type: ignore[arg-type]
    assert "of-the-environment" not in repr(found)


def test_importing_the_runner_loads_no_client() -> None:
    import subprocess
    import sys

    code = (
        "import sys, aegis_agents.streams.runner, aegis_agents.cli.stream;"
        "print([m for m in ('confluent_kafka', 'boto3', 'asyncio.streams', 'onnxruntime') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "confluent_kafka" not in said
    assert "boto3" not in said


def command(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(stream_command)
    return CliRunner().invoke(app, list(arguments))


def test_the_command_reads_once_and_says_what(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(alert(1) + "\n{\n")
    file = tmp_path / "aegis.toml"
    file.write_text(
        f'home = "{tmp_path}/home"\n[[streams]]\nname = "tail"\nkind = "file"\npath = "{tmp_path}/x.json"\n'
        f'[[streams]]\nname = "away"\nkind = "directory"\npath = "{tmp_path}/none"\n'
    )
    done = command("--once", "--settings", str(file))
    assert done.exit_code == 1
    assert "tail: 2 read, 1 new, 1 set aside" in done.output
    assert "make the folder" in done.output
    (tmp_path / "none").mkdir()
    done = command("--once", "--settings", str(file))
    assert (done.exit_code, "tail: nothing" in done.output) == (0, True)
    opened = inbox_at(tmp_path / "home")
    assert ids(opened) == ["a-1"]
    opened.close()


def test_the_command_without_streams_says_how(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path))
    done = command("--once")
    assert done.exit_code == 2
    assert "[[streams]]" in done.output


def test_what_is_reported_leaves_out_what_is_nought() -> None:
    assert summary(Tally()) == "nothing"
    assert summary(Tally(read=3, dropped=1)) == "3 read, 1 DROPPED"


def test_a_disk_that_is_full_is_waited_for(inbox: Inbox, tmp_path: Path, monkeypatch: Any) -> None:
    real, times = inbox.put, [3]

    def put(*given: Any) -> Taken:
        if times[0]:
            times[0] -= 1
            raise StoreError("database or disk is full")
        return real(*given)

    monkeypatch.setattr(inbox, "put", put)
    (tmp_path / "x").write_text(alert(1) + "\n")
    begun = time.monotonic()
    runner = run_once(inbox, file_stream(tmp_path / "x"))
    assert time.monotonic() - begun < 5
    assert (runner.tallies["tail"].waits, runner.tallies["tail"].failures) == (3, 0)
    assert ids(inbox) == ["a-1"]


def test_a_storm_of_what_was_decided_is_told_when_it_passes_a_power_of_ten(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    alert = json.dumps({"title": "door forced", "host": "gate-7", "event_id": "e-1"})
    (tmp_path / "alerts.jsonl").write_text((alert + "\n") * 25)
    streams = only(streams=[{"kind": "file", "name": "doors", "path": str(tmp_path / "alerts.jsonl")}]).streams
    inbox = open_inbox(only(home=tmp_path / "home"))
    Runner(streams, inbox, storm=lambda incident, copies: told.append((incident, copies))).run(
        threading.Event(), once=True
    )
    assert [copies for _, copies in told] == [25]
    assert inbox.copies(told[0][0]) == 25
