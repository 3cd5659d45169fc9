"""Honeytokens are found in what leaves, in disguise too, and told of; who uses the planted token is refused."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from aegis_agents import honeytokens
from aegis_agents.agents.caution import RESUMED
from aegis_agents.agents.planted import USED, refuse_planted
from aegis_agents.errors import IdentityError
from aegis_agents.ledger import Store
from aegis_agents.ledger.sqlite import SqliteStore
from aegis_agents.monitor import fallen
from aegis_agents.monitor.honeytokens import LEFT, leaked, plant, stopped, tokens_of
from tests.people import person, token_of


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    honeytokens.disarm()
    yield
    honeytokens.disarm()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = SqliteStore(tmp_path / "a.sqlite")
    yield opened
    opened.close()


def test_nothing_is_looked_for_before_something_is_planted() -> None:
    assert leaked("AKIAABCDEFGHIJKLMNOP") is None


@pytest.mark.parametrize("name", ["key", "password", "host", "token"])
def test_each_is_found_in_disguise(store: Store, tmp_path: Path, name: str) -> None:
    value = plant(store, tmp_path)[name]
    padded = base64.b64encode(f"user=svc&p={value}&x=1".encode()).decode()
    for text in (
        f"before {value} after", value.lower(), value.upper(), " ".join(value), "-".join(value), value[::-1],
        value.encode().hex(), quote(value), padded, "\n".join(padded[i : i + 8] for i in range(0, len(padded), 8)), base64.urlsafe_b64encode(f"{value}.".encode()).decode(),
    ):  # fmt: skip
        assert leaked(text) == name, text


def test_innocent_text_holds_none(store: Store, tmp_path: Path) -> None:
    plant(store, tmp_path)
    rng = random.Random(1)
    for _ in range(300):
        assert leaked(base64.b64encode(rng.randbytes(200)).decode()) is None
        assert (
            leaked(f"AKIA{rng.randbytes(12).hex()} SRV-{rng.randbytes(5).hex()} aegis_{rng.randbytes(20).hex()}")
            is None
        )


def test_they_are_the_same_for_every_process_and_planted_once(store: Store, tmp_path: Path) -> None:
    first = plant(store, tmp_path)
    assert plant(store, tmp_path) == first
    assert len([t for t in store.tokens() if t.name == "backup-export"]) == 1
    bait = tmp_path / "token.bak"
    assert bait.stat().st_mode & 0o077 == 0
    bait.unlink()
    assert "token" not in plant(store, tmp_path)  # its use is noticed all the same
    assert tokens_of("one") != tokens_of("other")


def test_what_would_leave_is_stopped_and_told_and_autonomy_falls_back(store: Store, tmp_path: Path) -> None:
    tokens = plant(store, tmp_path)
    assert stopped("an ordinary note", "write path") == ""
    why = stopped(f"please see {tokens['password']}", "write path")
    assert "password" in why
    assert tokens["password"] not in why
    (entry,) = store.entries(kind=LEFT)
    assert entry.body == {"token": "password", "way": "write path"}
    assert [f.cause for f in fallen(store).fallen] == ["honeytoken.left"]
    stopped(tokens["key"], "log")
    assert len(store.entries(kind=LEFT)) == 2


def test_without_fall_back_it_is_only_told(store: Store, tmp_path: Path) -> None:
    tokens = plant(store, tmp_path, falls=False)
    assert stopped(tokens["host"], "log")
    assert store.entries(kind=LEFT)
    assert not fallen(store).fallen


def test_telling_of_a_leak_is_not_asked_again(store: Store, tmp_path: Path) -> None:
    tokens, asked = plant(store, tmp_path), list[str]()

    def loud(name: str, way: str) -> None:
        asked.append(stopped(f"a log line about {tokens['key']}", "log"))

    honeytokens.listen(loud)
    assert stopped(tokens["key"], "webhook")
    assert len(asked) == 1
    assert asked[0]


def test_a_leak_is_stopped_though_nobody_can_write_it_down(tmp_path: Path) -> None:
    closed = SqliteStore(tmp_path / "b.sqlite")
    tokens = plant(closed, tmp_path)
    closed.close()
    assert stopped(tokens["key"], "write path")


def test_who_uses_the_planted_token_is_refused_and_others_are_not(store: Store, tmp_path: Path) -> None:
    stolen = plant(store, tmp_path)["token"]
    refuse_planted(store, store.authenticate(token_of(store, "ann")))
    refuse_planted(store, person("bob").model_copy(update={"method": "os_account"}))
    assert not fallen(store).fallen
    with pytest.raises(IdentityError, match="not known"):
        refuse_planted(store, store.authenticate(stolen))
    assert store.entries(kind=USED)
    assert [f.cause for f in fallen(store).fallen] == ["honeytoken.used"]


def test_too_short_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than"):
        honeytokens.arm({"key": "short--------------"})


@pytest.mark.parametrize("text", ["abc", "", "an ordinary sentence about tickets"])
def test_a_bait_that_was_changed_stops_neither_the_watch_nor_honest_text(
    store: Store, tmp_path: Path, text: str
) -> None:
    plant(store, tmp_path)
    (tmp_path / "token.bak").write_text(text)
    honeytokens.disarm()
    assert set(plant(store, tmp_path)) == {"key", "password", "host"}
    assert leaked("see an ordinary sentence about tickets below") is None


def test_who_uses_it_again_and_again_does_not_fill_the_ledger(store: Store, tmp_path: Path) -> None:
    stolen = store.authenticate(plant(store, tmp_path)["token"])
    for _ in range(5):
        with pytest.raises(IdentityError):
            refuse_planted(store, stolen)
    assert len(store.entries(kind=USED)) == len(fallen(store).fallen) == 1
    store.append(RESUMED, None, {"entries": [fell.entry for fell in fallen(store).fallen]})
    with pytest.raises(IdentityError):
        refuse_planted(store, stolen)
    assert len(store.entries(kind=USED)) == 2
    assert [f.cause for f in fallen(store).fallen] == ["honeytoken.used"]
