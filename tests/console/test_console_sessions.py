"""Sessions of the console: who gets one, what it is worth, and when it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aegis_agents.records import AEGIS
from aegis_agents.server.console.session_table import SessionTable
from tests.console.conftest import Rig, words_of
from tests.people import person


def test_nobody_sees_a_page_without_signing_in(rig: Rig) -> None:
    action = rig.waiting()
    tab = rig.tab()
    pages = (
        "/",
        "/queue",
        f"/actions/{action}",
        "/ledger",
        "/autonomy",
        "/intel",
        "/health",
        "/timers",
        "/help",
        "/ask",
    )
    for page in pages:
        got = tab.get(page)
        assert (got.status_code, got.headers["location"]) == (303, f"/login?next={page}")
        assert action not in got.text
    assert tab.get("/pulse", headers={"X-Aegis-Part": "1"}).status_code == 401


def test_a_token_opens_a_session_and_the_ledger_says_so(rig: Rig) -> None:
    token, tab = rig.token("ann", "viewer"), rig.tab()
    got = tab.sign_in(token, next="/queue")
    assert (got.status_code, got.headers["location"]) == (303, "/queue")
    (cookie,) = tab.cookies.values()
    assert token not in str(tab.cookies)
    assert len(cookie) >= 43  # 256 bits
    assert tab.get("/queue").status_code == 200
    assert rig.entries("session.opened")[0]["principal"]["id"] == "token:ann"
    routes = [(e["route"], e["principal"]["id"]) for e in rig.entries("access")]
    assert ("/queue", "token:ann") in routes


def test_the_store_holds_no_id_that_could_be_used(rig: Rig) -> None:
    tab = rig.tab("ann", "viewer")
    (cookie,) = tab.cookies.values()
    rows = [list(row) for row in rig.aegis.store._rows("SELECT * FROM console_sessions")]  # type: ignore[attr-defined]
    assert cookie not in str(rows)
    assert hashlib.sha256(cookie.encode()).hexdigest() in str(rows)
    assert tab.token not in str(rows)


@pytest.mark.parametrize("token", ["", "aegis_wrong", "x" * 9000, "a\nb", "tökén"])
def test_a_wrong_token_opens_nothing(rig: Rig, token: str) -> None:
    tab = rig.tab()
    got = tab.sign_in(token)
    assert got.status_code == 401
    assert tab.cookies == {}
    assert "not known" in words_of(got.text)


def test_guessing_is_slowed_down(rig: Rig) -> None:
    tab, right = rig.tab(), rig.token("ann", "viewer")
    codes = [tab.sign_in(f"aegis_{n}").status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    got = tab.sign_in(right)  # the right one too: who guesses learns nothing from it
    assert (got.status_code, got.headers["retry-after"]) == (429, "60")
    assert "Wait a minute" in words_of(got.text)


def test_who_has_no_role_gets_no_session(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = person("nil").model_copy(update={"roles": frozenset()})
    monkeypatch.setattr(rig.client.app.state.parts.people, "authenticate", lambda _: nobody)  # type: ignore[attr-defined]
    tab = rig.tab()
    assert tab.sign_in("any").status_code == 403
    assert tab.cookies == {}


def test_signing_in_gives_a_new_id_and_ends_the_old_one(rig: Rig) -> None:
    tab = rig.tab("ann", "viewer")
    old = dict(tab.cookies)
    tab.sign_in()
    assert tab.cookies != old
    fixed = rig.tab()
    fixed.cookies = old
    assert fixed.get("/").status_code == 303


def test_signing_out_ends_the_session_itself(rig: Rig) -> None:
    tab = rig.tab("ann", "viewer")
    held = dict(tab.cookies)
    got = tab.post("/logout")
    assert (got.status_code, got.headers["location"]) == (303, "/login")
    assert tab.cookies == {}
    thief = rig.tab()
    thief.cookies = held
    assert thief.get("/").status_code == 303
    assert rig.entries("session.closed")[0]["principal"]["id"] == "token:ann"


def test_a_revoked_token_ends_its_sessions_at_once(rig: Rig) -> None:
    tab = rig.tab("ann", "viewer")
    other = rig.tab("bob", "viewer")
    (row,) = [t for t in rig.aegis.store.tokens() if t.name == "ann"]
    rig.aegis.store.revoke_token(row.token_id, AEGIS)
    assert tab.get("/").status_code == 303
    assert other.get("/").status_code == 200


def test_over_tls_the_cookie_is_bound_to_the_host(consoles: Callable[..., Any]) -> None:
    with consoles(url="https://soc.example") as rig:
        tab = rig.tab()
        got = tab.sign_in(rig.token("ann", "viewer"))
        (line,) = got.headers.get_list("set-cookie")
        assert line.startswith("__Host-aegis-session=")
        for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert attribute in line
        assert "Domain" not in line
        assert tab.get("/").headers["strict-transport-security"]
        plain = rig.tab()
        plain.cookies = {"aegis-plain-http-session": next(iter(tab.cookies.values()))}
        assert plain.get("/").status_code == 303  # the two are never taken for one another


def test_without_tls_the_name_says_so(rig: Rig) -> None:
    got = rig.tab().sign_in(rig.token("ann", "viewer"))
    (line,) = got.headers.get_list("set-cookie")
    assert line.startswith("aegis-plain-http-session=")
    assert "Secure" not in line
    assert "HttpOnly" in line
    assert "not encrypted" in words_of(rig.tab().get("/login").text)


class _Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 26, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def _table(rig: Rig, clock: _Clock) -> SessionTable:
    return SessionTable(rig.aegis.store, timedelta(minutes=30), timedelta(hours=12), now=clock)  # type: ignore[arg-type]


def test_an_idle_session_ends_and_a_busy_one_ends_too(rig: Rig) -> None:
    clock = _Clock()
    table = _table(rig, clock)
    who = person("ann").model_copy(update={"method": "aegis"})
    idle, _ = table.open(who, {})
    busy, session = table.open(who, {})
    for _ in range(24):
        clock.now += timedelta(minutes=29)
        found = table.find(busy)
        assert found is not None
        assert table.is_due(found)
        table.seen(found)
    assert table.find(idle) is None
    assert table.find(busy) is not None
    clock.now = session.started_at + timedelta(hours=12)
    assert table.find(busy) is None
    table.open(who, {})
    assert len(rig.aegis.store._rows("SELECT key FROM console_sessions")) == 1  # type: ignore[attr-defined]


def test_what_a_page_asks_by_itself_keeps_no_session_open_and_fills_no_ledger(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = rig.tab("ann", "viewer")
    sessions = rig.client.app.state.console.sessions  # type: ignore[attr-defined]
    monkeypatch.setattr(sessions, "is_due", lambda _: True)
    seen: list[Any] = []
    monkeypatch.setattr(sessions, "seen", seen.append)
    before = len(rig.entries("access"))
    first = tab.get("/pulse", headers={"X-Aegis-Part": "1"}).json()
    assert tab.get("/pulse", headers={"X-Aegis-Part": "1"}).json() == first
    assert (seen, len(rig.entries("access"))) == ([], before)
    rig.waiting()
    assert tab.get("/pulse", headers={"X-Aegis-Part": "1"}).json() != first
    assert "wait for a person" in tab.get("/", headers={"X-Aegis-Part": "auto"}).text
    assert (seen, len(rig.entries("access"))) == ([], before + 1)  # what it was shown is in the ledger all the same
    tab.get("/")
    assert len(seen) == 1
    assert len(rig.entries("access")) == before + 2


def test_a_session_lasts_as_long_as_the_settings_say(consoles: Callable[..., Any]) -> None:
    with consoles(session_minutes=5) as rig:
        tab = rig.tab("ann", "viewer")
        table = rig.client.app.state.console.sessions
        table._now = lambda: datetime.now(UTC) + timedelta(minutes=4)
        assert tab.get("/help").status_code == 200
        table._now = lambda: datetime.now(UTC) + timedelta(minutes=10)
        assert tab.get("/help").status_code == 303


def test_a_shift_ends_as_the_settings_say_however_busy_it_was(consoles: Callable[..., Any]) -> None:
    with consoles(session_hours=0.05) as rig:  # three minutes
        tab = rig.tab("ann", "viewer")
        table = rig.client.app.state.console.sessions
        table._now = lambda: datetime.now(UTC) + timedelta(minutes=2)
        assert tab.get("/help").status_code == 200
        table._now = lambda: datetime.now(UTC) + timedelta(minutes=4)
        assert tab.get("/help").status_code == 303
