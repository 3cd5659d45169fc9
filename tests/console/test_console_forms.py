"""Forms: from our own pages alone, and nothing that was typed is lost when a session ends."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from aegis_agents.server.console.forms import page_of, unpack_draft
from tests.console.conftest import Rig, words_of

ROLES = ("analyst", "approver", "operator")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://testserver:8080", "https://testserver"])
def test_a_form_from_elsewhere_does_nothing(rig: Rig, origin: str) -> None:
    action, tab = rig.waiting(), rig.tab("ann", *ROLES)
    got = tab.post(f"/actions/{action}/approve", origin=origin)
    assert got.status_code == 403
    assert rig.aegis.store.action(action).state == "awaiting"
    assert rig.firewall.calls == []
    assert rig.tab().post("/login", token=tab.token, origin=origin).status_code == 403


def test_a_request_without_an_origin_does_nothing(rig: Rig) -> None:
    action, tab = rig.waiting(), rig.tab("ann", *ROLES)
    assert tab("POST", f"/actions/{action}/approve", data={"csrf": tab.csrf}).status_code == 403
    assert rig.aegis.store.action(action).state == "awaiting"


@pytest.mark.parametrize("csrf", ["", "wrong"])
def test_a_form_without_this_sessions_token_does_nothing(rig: Rig, csrf: str) -> None:
    action, tab = rig.waiting(), rig.tab("ann", *ROLES)
    got = tab.post(f"/actions/{action}/deny", csrf=csrf, reason="a good reason")
    page = tab.follow(got)
    assert rig.aegis.store.action(action).state == "awaiting"
    assert "Nothing was done yet" in words_of(page.text)
    assert "a good reason" in page.text  # and it is not lost
    theirs = rig.tab("bob", *ROLES).csrf
    tab.post(f"/actions/{action}/deny", csrf=theirs, reason="x")
    assert rig.aegis.store.action(action).state == "awaiting"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
def test_only_forms_are_read(rig: Rig, kind: str) -> None:
    action, tab = rig.waiting(), rig.tab("ann", *ROLES)
    headers = {"Origin": tab.origin, "Content-Type": kind}
    got = tab("POST", f"/actions/{action}/approve", content=f"csrf={tab.csrf}", headers=headers)
    assert got.status_code == 415
    assert rig.aegis.store.action(action).state == "awaiting"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a=1" for _ in range(50)), b"csrf", b"a" * 20_000])
def test_malformed_forms_are_refused(rig: Rig, body: bytes) -> None:
    action, tab = rig.waiting(), rig.tab("ann", *ROLES)
    headers = {"Origin": tab.origin, "Content-Type": "application/x-www-form-urlencoded"}
    got = tab("POST", f"/actions/{action}/approve", content=body, headers=headers)
    assert got.status_code in (413, 422)
    assert rig.aegis.store.action(action).state == "awaiting"


def test_what_was_typed_is_there_after_signing_in_again(rig: Rig) -> None:
    action, tab = rig.waiting(), rig.tab("ann", *ROLES)
    typed = 'it is the "backup" job <b>of</b> finance, ' + "ü" * 300
    csrf, tab.cookies = tab.csrf, {}  # the session has ended
    got = tab.post(f"/actions/{action}/deny", csrf=csrf, reason=typed)
    assert got.status_code == 401
    assert "What you typed is kept" in words_of(got.text)
    draft = unescape(re.search(r'name="draft" value="([^"]*)"', got.text)[1])  # type: ignore[index]
    back = tab.post("/login", token=tab.token, draft=draft)
    assert back.headers["location"] == f"/actions/{action}"
    page = tab.get(back.headers["location"])
    assert unescape(re.search(r"<textarea[^>]*>([^<]*)</textarea>", page.text)[1]) == typed  # type: ignore[index]
    assert '<details data-key="d" open>' in page.text
    assert rig.aegis.store.action(action).state == "awaiting"  # signing in sends nothing
    assert typed[:20] not in unescape(tab.get(f"/actions/{action}").text)  # shown once


def test_a_question_is_kept_too(rig: Rig) -> None:
    incident, tab = rig.aegis.store.action(rig.waiting()).incident_id, rig.tab("ann", *ROLES)
    tab.cookies = {}
    got = tab.post("/ask", question="who approved it?", incident_id=incident)
    draft = unescape(re.search(r'name="draft" value="([^"]*)"', got.text)[1])  # type: ignore[index]
    assert tab.post("/login", token=tab.token, draft=draft).headers["location"] == f"/cases/{incident}"


@pytest.mark.parametrize(
    "given",
    [
        "//evil.example/", "https://evil.example", "/\\evil.example", "/cases/a/../../x", "javascript:alert(1)", "/login",
        "/logout", "/actions/x/approve", "/ledger\r\nSet-Cookie: a=b", "/queue#x", "/%2f%2fevil", "/cases/\\x", "x" * 2000, None, 7,
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(rig: Rig, given: Any) -> None:
    assert page_of(given) == "/"
    if isinstance(given, str) and "\r" not in given:
        got = rig.tab().sign_in(rig.token("ann", "viewer"), next=given)
        assert got.headers["location"] == "/"


def test_pages_of_ours_are_known() -> None:
    for page in ("/", "/queue?state=waiting&cursor=abc", "/cases/inc-1", "/actions/act-1", "/ledger?after=3"):
        assert page_of(page) == page


@pytest.mark.parametrize(
    "packed",
    [
        "", "{", "[]", "null", "[" * 5000, '{"page": "/", "verb": "rm", "typed": {}}', '{"page": "/", "verb": "deny"}',
        '{"typed": [], "verb": "deny"}', "x" * 7000,
    ],
)  # fmt: skip
def test_a_draft_that_is_none_is_left_out(packed: str) -> None:
    assert unpack_draft(packed) is None


def test_a_draft_brings_nothing_but_what_can_be_typed() -> None:
    packed = (
        '{"page": "//evil.example", "verb": "deny", "typed": {"reason": "r", "csrf": "c", "sure": "yes", "target": 3}}'
    )
    assert unpack_draft(packed) == {"page": "/", "verb": "deny", "typed": {"reason": "r"}}
