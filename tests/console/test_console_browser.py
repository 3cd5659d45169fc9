"""The console in a real Chromium: attacks from alerts and other sites, keys, phones, two people at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.records import AEGIS
from tests.console.browsing import BASICS, Person, chromium, listening
from tests.console.conftest import ATTACK
from tests.people import YEAR

ATTACKS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "'><iframe src=javascript:alert(1)>",
    "</title></textarea></style></script><script>alert(1)</script>", "javascript:alert(1)", "<a href=javascript:alert(1)>x</a>",
    "<style>*{display:none}</style>", "<base href=//evil.example>", "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><button>Approve</button></form>", "{{7*7}}${7*7}<%=7*7%>", "<math><mtext><script>alert(1)</script>",
    "<link rel=stylesheet href=//evil.example/x.css>", "\u202e\u2066<b>evil</b>", "<template shadowrootmode=open><script>alert(1)</script>",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


class Site:
    def __init__(self, aegis: Aegis, base: str, browser: Any) -> None:
        self.aegis, self.base, self.browser = aegis, base, browser

    def token(self, name: str, *roles: Any) -> str:
        return self.aegis.store.add_token(name, roles, AEGIS, valid_for=YEAR)

    def person(self, name: str, *roles: Any, **more: Any) -> Person:
        return Person(self.browser, self.base, **more).sign_in(self.token(name, *roles))

    def waiting(self, action: str = "block_ip", **alert: Any) -> str:
        case = self.aegis.investigate(ATTACK | alert)
        return next(a.action_id for a in case.actions if a.action == action and a.outcome == "awaiting_approval")

    def state(self, action: str) -> str:
        return str(self.aegis.store.action(action).state)


@pytest.fixture
def site(make: Callable[..., Aegis], browser: Any) -> Iterator[Site]:
    aegis = make()
    with listening(aegis) as base:
        found = Site(aegis, base, browser)
        yield found
        for context in list(browser.contexts):
            context.close()


def _pages(site: Site) -> list[str]:
    action = site.aegis.pending()[0]
    return [
        "/", f"/actions/{action.action_id}", f"/cases/{action.incident_id}", "/queue", "/ask", "/timers", "/ledger", "/autonomy",
        "/intel?q=T1059", "/health", "/help",
    ]  # fmt: skip


def test_nothing_in_an_alert_runs_or_leads_away(site: Site) -> None:
    for n in range(0, len(ATTACKS), 4):
        names = (
            "title",
            "hostname",
            "user_name",
            "cmdline",
            "file_name",
            "url",
            "domain",
            "message",
            "sha256",
            "process",
            "rule",
            "email",
        )
        fields = {name: f"{ATTACKS[(n + at) % len(ATTACKS)]}{at}" for at, name in enumerate(names)}
        case = site.aegis.investigate(
            ATTACK | fields | {"event_id": f"e{n}{ATTACKS[n]}", ATTACKS[n + 1]: ATTACKS[n + 2]}
        )
        waiting = [a for a in case.actions if a.outcome == "awaiting_approval"]
        site.aegis.deny(
            waiting[0].action_id, reason=" ".join(ATTACKS), token=site.token(f"al {ATTACKS[n]}", "approver")
        )
    ann = site.person(f"ann {ATTACKS[1]}", "admin")
    incidents = {row.incident_id for row in site.aegis.pending()}
    for path in [
        *_pages(site),
        *(f"/cases/{i}" for i in incidents),
        "/ledger?kind=action.answered",
        "/intel?q=<script>alert(1)</script>",
    ]:
        ann.goto(path)
        for hidden in ann.page.query_selector_all("details:not([open])"):
            hidden.evaluate("e => { e.open = true }")
        assert ann.page.evaluate("document.querySelectorAll('script').length") == 1, path
        assert (
            ann.page.evaluate(
                "document.querySelectorAll('iframe, object, embed, base, style, meta[http-equiv], form:not([action^=\"/\"])').length"
            )
            == 0
        )
        assert ann.page.evaluate("[...document.querySelectorAll('a')].every(a => a.origin === location.origin)"), path
        assert ann.page.evaluate("document.body.checkVisibility()")
    assert (ann.wrong, ann.elsewhere) == ([], [])


class _Elsewhere(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def elsewhere() -> Iterator[Callable[[str], str]]:
    """Another origin of the same site: the session's cookie is sent along from there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(body: str) -> str:
        _Elsewhere.body = body.encode()
        return f"http://127.0.0.1:{server.server_port}/"

    yield serve
    server.shutdown()
    server.server_close()


def test_another_origin_can_neither_answer_nor_frame(site: Site, elsewhere: Callable[[str], str]) -> None:
    action = site.waiting()
    ann = site.person("ann", "admin")
    for policy in ("", "<meta name=referrer content=no-referrer>"):
        form = f'{policy}<form method=post action="{site.base}/actions/{action}/approve"><input name=sure value=yes></form>'
        ann.page.goto(elsewhere(f"{form}<script>document.forms[0].submit()</script>"))
        ann.page.wait_for_url(f"{site.base}/**")
        assert "another site" in ann.main
        assert site.state(action) == "awaiting"
    send = f"fetch('{site.base}/actions/{action}/approve',{{method:'POST',credentials:'include',mode:'no-cors',body:new URLSearchParams('sure=yes')}})"
    ann.page.goto(elsewhere(f"<script>{send}.finally(() => document.title = 'sent')</script>"))
    ann.page.wait_for_function("document.title === 'sent'")
    read = f"fetch('{site.base}/',{{credentials:'include'}}).then(r => r.text()).then(t => document.title = t, () => document.title = 'refused')"
    ann.page.goto(elsewhere(f"<script>{read}</script>"))
    ann.page.wait_for_function("document.title === 'refused'")
    ann.page.goto(elsewhere(f"<iframe src='{site.base}/'></iframe>"))
    ann.page.wait_for_timeout(300)
    assert not any(frame.query_selector("main") for frame in ann.page.frames)
    assert site.state(action) == "awaiting"


def test_the_keyboard_alone_will_do(site: Site) -> None:
    first = site.waiting()
    site.waiting(event_id="a-2", destination_ip="203.0.113.10")
    ann = site.person("ann", "admin")
    press, page = ann.page.keyboard.press, ann.page
    marked = lambda: page.evaluate("document.querySelector('[data-selected]')?.id ?? null")  # noqa: E731
    order = page.eval_on_selector_all("[data-card]", "all => all.map(e => e.id)")
    assert marked() is None
    press("a")  # the first key only marks
    assert (marked(), len(site.aegis.pending())) == (order[0], len(order))
    for key, at in (("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
        press(key)
        assert marked() == order[at]
    while marked() != first:
        press("j")
    nth = order.index(first)
    press("a")
    page.wait_for_selector("[role=status] >> text=Done")
    assert site.state(first) == "executed"
    left = [card for card in order if card != first]
    assert marked() == left[min(nth, len(left) - 1)]  # the next one is marked, and only marked
    here = marked()
    press("d")
    page.keyboard.type("a known scanner, jkad")  # letters in a field are text
    assert site.state(here) == "awaiting"
    press("Escape")
    assert page.locator(".answers details[open]").count() == 0
    press("d")
    press("Tab")
    press("Enter")
    page.wait_for_selector("[role=status] >> text=Denied")
    assert site.state(here) == "denied"
    assert site.aegis.store.action(here).answer == "a known scanner, jkad"
    press("j")
    press("o")
    page.wait_for_url("**/actions/*")
    press("?")
    page.wait_for_url("**/help")
    press("g")
    page.wait_for_url(f"{site.base}/")
    assert ann.wrong == []


def test_a_key_never_falls_on_another_card(site: Site) -> None:
    first, second = site.waiting(), site.waiting(event_id="a-2", destination_ip="203.0.113.10")
    ann = site.person("ann", "admin")
    while ann.page.evaluate("document.querySelector('[data-selected]')?.id") != first:
        ann.page.keyboard.press("j")
    site.aegis.deny(first, reason="elsewhere", token=site.token("bob", "approver"))
    ann.page.keyboard.press("r")
    ann.page.locator(f"#{first}").wait_for(state="detached")
    assert ann.page.evaluate("document.querySelector('[data-selected]')") is None
    ann.page.keyboard.press("a")
    ann.page.wait_for_timeout(200)
    assert site.state(second) == "awaiting"


def test_the_inbox_says_that_it_changed_and_does_not_move(site: Site) -> None:
    site.waiting()
    ann = site.person("ann", "admin")
    ann.page.clock.install()
    ann.page.reload()
    ann.page.keyboard.press("j")
    before = ann.page.locator("[data-card]").count()
    site.waiting(event_id="a-2", destination_ip="203.0.113.10")
    with ann.page.expect_response("**/pulse"):
        ann.page.clock.run_for(10_500)
    ann.page.wait_for_selector("#news:not([hidden])")
    assert ann.page.locator("[data-card]").count() == before
    ann.page.get_by_role("button", name="Look again").click()
    ann.page.locator("[data-card]").nth(before).wait_for()
    site.waiting(event_id="a-3", destination_ip="203.0.113.11")
    now = ann.page.locator("[data-card]").count()
    ann.page.clock.run_for(31_000)  # nobody has touched anything: it comes by itself
    ann.page.locator("[data-card]").nth(now).wait_for()
    assert ann.wrong == []


def test_two_approvers_at_once(site: Site) -> None:
    action = site.waiting()
    ann, bob = site.person("ann", "admin"), site.person("bob", "approver")
    ann.page.locator(f"#{action}").get_by_role("button", name="Approve").click()
    ann.page.wait_for_selector("[role=status] >> text=Done")
    bob.page.locator(f"#{action}").get_by_role("button", name="Approve").click()
    told = bob.page.get_by_role("alert").inner_text()
    assert "Somebody was first" in told
    assert "approved by ann at 20" in told
    assert ann.wrong == bob.wrong == []


def test_a_session_that_ends_in_the_middle_loses_nothing(site: Site) -> None:
    action = site.waiting()
    ann = site.person("ann", "admin")
    card = ann.page.locator(f"#{action}")
    card.get_by_text("Deny…").click()
    typed = 'the "backup" job & <friends>, line one\nline two'
    card.get_by_label("Why not?").fill(typed)
    site.aegis.store._run("DELETE FROM console_sessions")  # type: ignore[attr-defined]
    card.get_by_role("button", name="Deny", exact=True).click()
    assert "Your session has ended" in ann.main
    ann.page.get_by_label("Your token").fill(site.token("ann", "admin"))
    ann.page.get_by_role("button", name="Sign in").click()
    ann.page.wait_for_url(f"**/actions/{action}")
    assert site.state(action) == "awaiting"
    assert ann.page.get_by_label("Why not?").input_value() == typed
    ann.page.get_by_role("button", name="Deny", exact=True).click()
    ann.page.wait_for_selector("[role=status] >> text=Denied")
    assert site.aegis.store.action(action).answer.replace("\r\n", "\n") == typed


def test_it_works_without_javascript(site: Site) -> None:
    action, other = site.waiting(), site.waiting("revoke_sessions", user_name="bo", event_id="a-2")
    ann = site.person("ann", "admin", java_script_enabled=False)
    ann.page.locator(f"#{action}").get_by_role("button", name="Approve").click()
    assert site.state(action) == "executed"
    ann.page.get_by_role("button", name="Take it back").click()
    assert site.state(action) == "undone"
    ann.goto("/")
    ann.page.locator(f"#{other}").get_by_role("button", name="Approve…").click()
    assert site.state(other) == "awaiting"
    ann.page.get_by_role("button", name="Yes, revoke sessions").click()
    assert site.state(other) != "awaiting"
    ann.goto("/ledger")
    ann.page.get_by_role("button", name="Verify").click()
    assert "The ledger is whole" in ann.main


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (False, True), (True, False), (True, True)])
def test_every_page_is_legible_on_desk_and_phone(site: Site, phone: bool, dark: bool) -> None:
    site.waiting(title="T" * 300, user_name="u" * 200, sha256="a" * 64, cmdline="x" * 3000, remote_ips=["198.51.100.7"])
    site.waiting("revoke_sessions", user_name="bo", event_id="a-2")
    ann = site.person("a" * 100, "admin", phone=phone, dark=dark)
    for path in _pages(site):
        ann.goto(path)
        for hidden in ann.page.query_selector_all("main details:not([open])"):
            hidden.evaluate("e => { e.open = true }")
        assert ann.page.evaluate(BASICS) == [], path
    assert (ann.wrong, ann.elsewhere) == ([], [])


def test_focus_can_be_seen_and_begins_with_a_way_to_the_content(site: Site) -> None:
    site.waiting()
    ann = site.person("ann", "admin")
    ann.goto("/")
    ann.page.keyboard.press("Tab")
    assert ann.page.evaluate("document.activeElement.innerText") == "To the content"
    for _ in range(20):
        ann.page.keyboard.press("Tab")
        seen = "(e => { const s = getComputedStyle(e); return [e.tagName, s.outlineStyle, parseFloat(s.outlineWidth)] })(document.activeElement)"
        tag, style, width = ann.page.evaluate(seen)
        assert tag == "BODY" or (style != "none" and width >= 2), tag
