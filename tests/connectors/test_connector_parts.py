"""What the connectors share: names, answers, events remembered, the event loop, narrowed actions."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from aegis_agents.errors import (
    ConnectorError,
    NotPermitted,
    SettingsError,
    TargetNotFound,
    TransientConnectorError,
)
from aegis_agents.records import EntityKind, Target
from aegis_agents.tools.connectors import background
from aegis_agents.tools.connectors.addresses import blockable, networks
from aegis_agents.tools.connectors.answers import MOST_SAID, checked_url, clean, raise_for
from aegis_agents.tools.connectors.background import run
from aegis_agents.tools.connectors.names import account_name, file_hash, host_name, message_id, same_host
from aegis_agents.tools.connectors.protocol import narrowed
from aegis_agents.tools.connectors.recall import KEPT_S, Recall
from tests.connectors.contract import HOSTILE


def target(kind: EntityKind, value: str) -> Target:
    return Target.model_construct(kind=kind, value=value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ConnectorError),
        (401, NotPermitted),
        (403, NotPermitted),
        (404, TargetNotFound),
        (410, TargetNotFound),
        (409, ConnectorError),
        (302, ConnectorError),
        (408, TransientConnectorError),
        (425, TransientConnectorError),
        (429, TransientConnectorError),
        (500, TransientConnectorError),
        (599, TransientConnectorError),
        (0, TransientConnectorError),
        (600, ConnectorError),
    ],
)
def test_what_a_status_stands_for(status: int, error: type[Exception]) -> None:
    with pytest.raises(ConnectorError) as caught:
        raise_for(status, "said", "System")
    assert type(caught.value) is error


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_raises_nothing(status: int) -> None:
    raise_for(status, "said", "System")


def test_words_of_a_system_are_short_one_line_and_without_secrets() -> None:
    said = clean("a\r\nb\x00c\u2028d s3cr3t s3cr3t-longer " + "x" * 900, ["s3cr3t", "s3cr3t-longer", ""])
    assert said.startswith("a b c d [secret] [secret] x")
    assert len(said) == MOST_SAID
    assert clean(None) == ""


@pytest.mark.parametrize(
    "url", ["https://a.example/", "http://127.0.0.1:80", "http://localhost", "https://a.example/x"]
)
def test_addresses_that_may_have_credentials(url: str) -> None:
    assert checked_url(url, "url") == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["http://a.example", "ftp://a", "a.example", "", "https://", "https://u@a", "https://a?b", "https://a#b"]
)
def test_addresses_that_may_not(url: str) -> None:
    with pytest.raises(SettingsError, match="url:"):
        checked_url(url, "url")


@pytest.mark.parametrize("name", ["ws-1", "WS_1", "ws1.corp.example", "ws1.corp.example.", "0", "a" * 63])
def test_names_of_hosts(name: str) -> None:
    assert host_name(target("host", name)) == name.lower().removesuffix(".")


@pytest.mark.parametrize("name", ["a" * 64, "-a", "a-", "a..b", ".a", "a.b..", "1.2.3.4", "::1", "ws\u212a", "a" * 300])
def test_no_names_of_hosts(name: str) -> None:
    with pytest.raises(ConnectorError):
        host_name(target("host", name))


@pytest.mark.parametrize("value", HOSTILE)
def test_what_passes_has_no_character_with_a_meaning(value: str) -> None:
    for kind, check in (("user", account_name), ("message", message_id), ("host", host_name)):
        said, passed = "", "x"
        try:
            passed = check(target(kind, value))  # type: ignore[arg-type]
        except ConnectorError as error:
            said = str(error)
        assert said.isprintable()
        assert len(said) < 1000
        assert said or kind == "host", "none of these is a name of an account or a message"
        assert set(passed) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


@pytest.mark.parametrize(
    ("name", "known", "domain", "same"),
    [
        ("ws1", "WS1", "", True),
        ("ws1", "WS1", "corp.example", True),
        ("ws1", "ws1.corp.example", "", True),
        ("ws1.corp.example", "WS1", "Corp.Example", True),
        ("ws1.corp.example", "ws1.corp.example", "corp.example", True),
        ("ws1.other.example", "WS1", "corp.example", False),
        ("ws1.corp.example", "WS1", "", False),
        ("ws1", "ws10", "", False),
        ("ws1.corp", "ws1.corp.example", "", False),
        ("ws1", "", "", False),
    ],
)
def test_the_same_host(name: str, known: str, domain: str, same: bool) -> None:
    assert same_host(name, known, domain) is same


@pytest.mark.parametrize("name", ["ann@example.com", "o'neil@x.example", "a_b.com#EXT#@t.onmicrosoft.com", "A@B"])
def test_names_of_accounts(name: str) -> None:
    assert account_name(target("email", name)) == name


@pytest.mark.parametrize(
    "name", ["ann", "a@b@c", "a b@c", "a@b/c", "a?@b", "a%@b", "ann@exämple.com", "@b", "a@", "a\n@b"]
)
def test_no_names_of_accounts(name: str) -> None:
    with pytest.raises(ConnectorError):
        account_name(target("user", name))


def test_hashes() -> None:
    kinds = {64: "sha256"}
    assert file_hash(target("hash", "AB" * 32), kinds) == ("sha256", "ab" * 32)
    for odd in ("ab" * 20, "zz" * 32, "ａ" * 64, "ab" * 32 + "\n"):
        with pytest.raises(ConnectorError):
            file_hash(target("hash", odd), kinds)


# One bracket lost on the way makes it no other message.
@pytest.mark.parametrize("value", ["<a@b>", "a@b", "a@b>", "<a@b", "a'b+c@d", "0100@[192.0.2.1]"])
def test_message_ids(value: str) -> None:
    assert message_id(target("message", value)) == f"<{value.strip('<>')}>"


@pytest.mark.parametrize("value", ["a", "<a@b> <c@d>", "a@b c", "", "<<a@b>>", "a@\u00e9", "a@b\n", "@b", "a@"])
def test_no_message_ids(value: str) -> None:
    with pytest.raises(ConnectorError):
        message_id(target("message", value))


def test_what_was_asked_is_remembered_and_the_oldest_forgotten() -> None:
    recall: Recall[int] = Recall()
    for number in range(1001):
        recall.note("reset_password", target("user", f"u{number}@x"), f"k{number}", number)
    assert recall.key("reset_password", target("user", "u0@x")) is None
    assert recall.key("reset_password", target("user", "u1@x")) == "k1"
    assert recall.before("reset_password", target("user", "u1000@x")) == 1000
    assert recall.key("revoke_sessions", target("user", "u1@x")) is None


def test_the_loop_runs_for_many_and_gives_up() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    found: list[int] = []
    threads = [threading.Thread(target=lambda n=n: found.append(run(double(n), "System", 5))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(0, 40, 2))
    with pytest.raises(TransientConnectorError, match=r"System did not answer within 0.01 s"):
        run(asyncio.sleep(5), "System", 0.01)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_loop_runs_in_a_child_too() -> None:
    assert run(asyncio.sleep(0, "parent"), "System", 5) == "parent"
    child = os.fork()
    if child == 0:
        os._exit(0 if run(asyncio.sleep(0, "child"), "System", 5) == "child" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_actions_are_narrowed() -> None:
    able = frozenset({"block_ip", "block_hash"})
    assert narrowed(able, None, "x") == able  # type: ignore[arg-type]
    assert narrowed(able, ["block_ip"], "x") == {"block_ip"}  # type: ignore[arg-type]
    for odd in (["block_ip", "kill_process"], []):
        with pytest.raises(SettingsError, match="connector x: actions"):
            narrowed(able, odd, "x")  # type: ignore[arg-type]


def test_each_thread_remembers_its_own() -> None:
    """Two incidents are after one account at once: the later one's moment is not the earlier one's."""
    recall: Recall[int] = Recall()
    ann = target("user", "ann@x")
    recall.note("reset_password", ann, "k1", 1)
    seen: list[str | None] = []

    def other() -> None:
        seen.append(recall.key("reset_password", ann))
        recall.note("reset_password", ann, "k2", 2)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [None]
    assert (recall.key("reset_password", ann), recall.before("reset_password", ann)) == ("k1", 1)


def test_what_was_asked_long_ago_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    recall: Recall[int] = Recall()
    recall.note("reset_password", target("user", "u@x"), "k", 1)
    later = time.monotonic() + KEPT_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert recall.key("reset_password", target("user", "u@x")) is None
    with pytest.raises(KeyError):
        recall.before("reset_password", target("user", "u@x"))


@pytest.mark.parametrize(
    ("error", "known"),
    [(NotPermitted("no"), None), (ConnectorError("no"), None), (TransientConnectorError("lost"), "k"), (None, "k")],
)
def test_what_was_refused_is_forgotten(error: Exception | None, known: str | None) -> None:
    recall: Recall[int] = Recall()
    ann = target("user", "ann@x")
    recall.note("reset_password", ann, "k", 1)
    try:
        with recall.unless_refused("reset_password", ann):
            if error:
                raise error
    except ConnectorError:
        pass
    assert recall.key("reset_password", ann) == known


def test_work_that_does_not_heed_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_HEEDING_S", 0.05)

    async def deaf() -> None:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)

    began = time.monotonic()
    with pytest.raises(TransientConnectorError, match="did not answer"):
        run(deaf(), "System", 0.01)
    assert time.monotonic() - began < 0.4


@pytest.mark.parametrize("given", ["192.0.2.0/24", "::ffff:192.0.2.0/120", "::ffff:c000:0200/120", "192.0.2.7/24"])
@pytest.mark.parametrize("value", ["192.0.2.9", "::ffff:192.0.2.9"])
def test_a_network_is_the_same_however_it_is_written(given: str, value: str) -> None:
    never = networks([given, "::/96", "2001:db8::/32"], "never")
    with pytest.raises(ConnectorError, match="never holds"):
        blockable(target("ip", value), never, "never")
    assert str(blockable(target("ip", "192.0.3.1"), never, "never")) == "192.0.3.1"
