"""Signing in through an identity provider: the code flow with PKCE, and every way in which it must not work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.console.conftest import Rig, Tab, words_of
from tests.console.provider import AUDIENCE, CLIENT, STRANGER, Site, provider


@pytest.fixture(scope="module")
def a_provider() -> Iterator[Site]:
    with provider() as site:
        yield site


@pytest.fixture
def site(a_provider: Site) -> Site:
    a_provider.id_claims, a_provider.access_claims, a_provider.answer = {}, {}, {}
    a_provider.key = a_provider.__class__().key
    return a_provider


@pytest.fixture
def rig(consoles: Callable[..., Any], site: Site) -> Iterator[Rig]:
    oidc = {
        "issuer": site.issuer, "audience": AUDIENCE, "client_id": CLIENT, "name_claim": "preferred_username",
        "roles": {"soc": ("approver", "operator")}, "scope": "openid api://aegis/.default",
    }  # fmt: skip
    with consoles(oidc=oidc, session_minutes=30) as made:
        yield made


def _leave(tab: Tab, **fields: str) -> str:
    """Press the button; answers the address at the provider."""
    got = tab.post("/login/oidc", **fields)
    assert got.status_code == 200
    return unescape(re.search(r'href="(http[^"]+)"', got.text)[1])  # type: ignore[index]


def _back(url: str) -> str:
    """What the provider sends the browser back to, as a path."""
    at = urlsplit(httpx.get(url, trust_env=False).headers["location"])
    assert at.path == "/login/oidc/callback"
    return f"{at.path}?{at.query}"


def test_it_signs_in_who_the_provider_vouches_for(rig: Rig) -> None:
    tab = rig.tab()
    assert "Sign in with your organisation" in words_of(tab.get("/login").text)
    url = _leave(tab, next="/queue")
    asked = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
    assert asked["redirect_uri"] == "http://testserver/login/oidc/callback"
    assert asked["scope"] == "openid api://aegis/.default"
    assert len(asked["state"]) >= 43
    assert asked["state"] != asked["nonce"]
    got = tab.get(_back(url))
    assert (got.status_code, got.headers["location"]) == (303, "/queue")
    assert list(tab.cookies) == ["aegis-plain-http-session"]
    assert "alice" in words_of(tab.get("/queue").text)
    action = rig.waiting()
    tab.get("/")
    tab.post(f"/actions/{action}/approve")
    assert rig.entries("action.answered")[0]["principal"]["id"] == "oidc:alice"


def test_the_policy_lets_the_form_go_nowhere_and_the_page_leads_on(rig: Rig) -> None:
    got = rig.tab().post("/login/oidc")
    assert "form-action 'self'" in got.headers["content-security-policy"]
    assert got.headers["refresh"].startswith("0; url=http://127.0.0.1")


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "other"}, {"nonce": None}, {"aud": "another-client"}, {"aud": AUDIENCE}, {"iss": "https://evil.example"}, {"exp": 1},
        {"exp": None}, {"sub": "u-2"}, {"aud": [CLIENT, "x"]}, {"azp": "x"}, {"aud": [CLIENT, "x"], "azp": "x"}, {"iat": 4_000_000_000},
    ],
)  # fmt: skip
def test_an_id_token_that_does_not_fit_signs_nobody_in(rig: Rig, site: Site, changed: dict[str, Any]) -> None:
    site.id_claims = changed
    tab = rig.tab()
    got = tab.get(_back(_leave(tab)))
    assert got.status_code == 401, changed
    assert "aegis-plain-http-session" not in tab.cookies
    assert tab.get("/").status_code == 303


def test_a_token_signed_by_another_signs_nobody_in(rig: Rig, site: Site) -> None:
    site.key = STRANGER
    tab = rig.tab()
    assert tab.get(_back(_leave(tab))).status_code == 401


def test_an_access_token_for_another_api_signs_nobody_in(rig: Rig, site: Site) -> None:
    site.access_claims = {"aud": "somebody-else"}
    tab = rig.tab()
    assert tab.get(_back(_leave(tab))).status_code == 401


def test_who_has_no_role_here_gets_no_session(rig: Rig, site: Site) -> None:
    site.access_claims = {"roles": ["unknown"]}
    tab = rig.tab()
    assert tab.get(_back(_leave(tab))).status_code == 403
    assert "aegis-plain-http-session" not in tab.cookies


def test_an_answer_works_in_the_browser_that_began_and_once(rig: Rig, site: Site) -> None:
    victim, attacker = rig.tab(), rig.tab()
    theirs = _back(_leave(attacker))  # an attacker's sign-in, put before a victim
    assert victim.get(theirs).status_code == 401
    assert victim.cookies == {}
    begun = _leave(victim)
    assert victim.get(theirs).status_code == 401  # also where the victim began one of their own
    assert victim.get(_back(begun)).status_code == 401  # which is over then
    again = _back(_leave(attacker))
    held = dict(attacker.cookies)
    assert attacker.get(again).status_code == 303
    replay = rig.tab()
    replay.cookies = held
    asked = len(site.asked)
    assert replay.get(again).status_code == 401
    assert len(site.asked) == asked  # the code is not even tried


@pytest.mark.parametrize(
    "answer", [{"iss": "https://evil.example"}, {"state": "other"}, {"error": "access_denied"}, {"code": ""}]
)
def test_an_answer_that_is_not_ours_signs_nobody_in(rig: Rig, site: Site, answer: dict[str, str]) -> None:
    site.answer = answer
    tab = rig.tab()
    assert tab.get(_back(_leave(tab))).status_code == 401
    assert tab.cookies == {}


def test_what_was_typed_comes_back_through_the_provider_too(rig: Rig) -> None:
    action, tab = rig.waiting(), rig.tab()
    got = tab.post(f"/actions/{action}/deny", csrf="old", reason="kept along the way")
    draft = unescape(re.search(r'name="draft" value="([^"]*)"', got.text)[1])  # type: ignore[index]
    back = tab.get(_back(_leave(tab, draft=draft)))
    assert back.headers["location"] == f"/actions/{action}"
    assert "kept along the way" in tab.get(f"/actions/{action}").text
    assert rig.aegis.store.action(action).state == "awaiting"


def test_a_provider_that_is_away_is_said(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tab = rig.tab()
    client = rig.client.app.state  # type: ignore[attr-defined]
    tab.get("/login")
    tab.sign_in("aegis_wrong")  # the parts are made at the first sign-in

    def away(_: str) -> Any:
        raise OSError("no route")

    monkeypatch.setattr(client.console.oidc, "_fetch", away)
    monkeypatch.setattr(client.console.oidc, "_about", None)
    got = tab.post("/login/oidc")
    assert got.status_code == 503
    assert "can't be reached" in words_of(got.text)


@pytest.mark.usefixtures("still_limits")
def test_beginning_is_limited_since_each_is_kept(rig: Rig) -> None:
    tab = rig.tab()
    codes = [tab.post("/login/oidc").status_code for _ in range(32)]
    assert codes == [200] * 30 + [429] * 2


def test_without_a_client_there_is_no_such_way(consoles: Callable[..., Any]) -> None:
    with consoles() as rig:
        tab = rig.tab()
        assert "organisation" not in tab.get("/login").text
        assert tab.post("/login/oidc").status_code == 404
        assert tab.get("/login/oidc/callback?code=x&state=y").status_code == 404
