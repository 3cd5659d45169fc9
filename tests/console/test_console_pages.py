"""Every page of the console: that it is there, what it says when there is nothing, and that all text is data."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jinja2 import UndefinedError

from aegis_agents.server.console.rendering import POLICY, environment, shown
from tests.console.conftest import ATTACK, Rig, words_of

HOSTILE = "</textarea></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{7*7}}{% raw %}\u202etxt.exe"


def _pages(rig: Rig) -> dict[str, str]:
    action = rig.waiting()
    incident = rig.aegis.store.action(action).incident_id
    return {
        "inbox": "/", "queue": "/queue", "ask": "/ask", "timers": "/timers", "ledger": "/ledger", "autonomy": "/autonomy",
        "intel": "/intel?q=lsass", "health": "/health", "help": "/help", "case": f"/cases/{incident}",
        "action": f"/actions/{action}", "of a kind": "/ledger?kind=action.decided", "waiting": "/queue?state=waiting",
        "verdict": "/queue?verdict=true_positive",
    }  # fmt: skip


def test_every_page_is_there_and_carries_its_policy(rig: Rig) -> None:
    pages, tab = _pages(rig), rig.tab("ann", "admin")
    for name, path in pages.items():
        got = tab.get(path)
        assert got.status_code == 200, name
        assert got.headers["content-security-policy"] == POLICY
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["referrer-policy"] == "same-origin"
        assert got.headers["cross-origin-opener-policy"] == "same-origin"
        assert got.headers["cross-origin-resource-policy"] == "same-origin"
        assert got.headers["cache-control"] == "no-store"
        assert not re.search(r"<style|style=|<script(?! src=)|\son\w+=|(?:href|src|action)=\"(?!/|#main)", got.text), (
            name
        )
        assert len(re.findall(r"<h1[ >]", got.text)) == 1, name
        assert len(re.findall(r"<title>", got.text.split("</head>")[0])) == 1


def test_a_policy_lets_nothing_in_from_elsewhere() -> None:
    assert "default-src 'none'" in POLICY
    assert "frame-ancestors 'none'" in POLICY
    assert "base-uri 'none'" in POLICY
    assert "form-action 'self'" in POLICY
    assert "unsafe" not in POLICY
    assert "*" not in POLICY


def test_empty_pages_say_what_to_do(rig: Rig) -> None:
    tab = rig.tab("ann", "viewer")
    assert "Nothing waits" in words_of(tab.get("/").text)
    assert "aegis investigate" in tab.get("/queue").text
    assert "No incident is like that" in words_of(tab.get("/queue?state=waiting").text)
    assert "No entry is like that" in words_of(tab.get("/ledger?kind=none.such").text)
    assert "aegis intel sync" in tab.get("/intel").text


@pytest.mark.parametrize(
    "path",
    [
        "/?page=0", "/?page=x", "/?order=up", "/queue?verdict=evil", "/queue?cursor=%00", "/queue?state=x", "/ledger?after=-1",
        "/ledger?after=99999999999999999999", "/ledger?incident=" + "x" * 400,
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_a_page_that_says_so(rig: Rig, path: str) -> None:
    got = rig.tab("ann", "viewer").get(path)
    assert got.status_code == 422
    assert "Something is missing or wrong" in words_of(got.text)


def test_the_inbox_shows_what_an_approver_needs(rig: Rig) -> None:
    rig.waiting()
    page = words_of(rig.tab("ann", "approver").get("/").text)
    for said in (
        "Block IP 203.0.113.9",
        "True positive",
        "Beacon",
        "Waits because",
        "1 IP, standard asset",
        "unblock IP",
    ):
        assert said in page, said
    assert "+0.50 answer true_positive" in page
    assert "+0.50" in page


def test_an_incident_stands_together_and_pages_follow(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(14):
        rig.waiting(event_id=f"e-{n}", destination_ip=f"203.0.113.{n + 1}", hostname=f"wks-{n}")
    tab = rig.tab("ann", "viewer")
    first, second = tab.get("/").text, tab.get("/?page=2").text
    ids = [re.findall(r'<article [^>]*id="(act-[0-9a-f]+)"', page) for page in (first, second)]
    assert len(ids[0]) == 25
    assert not set(ids[0]) & set(ids[1])
    total = len(rig.aegis.pending())
    assert f"{total} wait for a person" in words_of(first)
    assert "page 1 of" in words_of(first)
    assert tab.get("/?page=999").status_code == 200  # the last there is: others answered meanwhile
    part = tab.get("/", headers={"X-Aegis-Part": "1"}).text
    assert "<html" not in part
    assert ids[0][0] in part
    read: list[str] = []
    action = rig.aegis.store.action
    monkeypatch.setattr(rig.aegis.store, "action", lambda one: read.append(one) or action(one))
    tab.get("/")
    assert len(read) == 25  # a page reads what it shows, however much waits


def test_the_most_urgent_comes_first_or_the_oldest(rig: Rig) -> None:
    old = rig.waiting(event_id="e-1", destination_ip="203.0.113.1")
    new = rig.waiting(event_id="e-2", destination_ip="203.0.113.2")
    store: Any = rig.aegis.store
    store._run("UPDATE journal SET decision = replace(decision, '\"severity\":\"high\"', '\"severity\":\"critical\"') WHERE incident_id = ?", (store.action(new).incident_id,))  # fmt: skip
    tab = rig.tab("ann", "viewer")
    urgent, oldest = tab.get("/").text, tab.get("/?order=oldest").text
    assert urgent.index(new) < urgent.index(old)
    assert oldest.index(old) < oldest.index(new)


def test_the_ledger_is_verified_and_a_broken_one_is_told(rig: Rig) -> None:
    rig.waiting()
    tab = rig.tab("ann", "viewer")
    tab.get("/ledger")
    assert "The ledger is whole" in words_of(tab.post("/ledger/verify").text)
    store: Any = rig.aegis.store
    store._run("DROP TRIGGER IF EXISTS ledger_entries_no_update")
    for name in [r["name"] for r in store._rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
        store._run(f"DROP TRIGGER {name}")
    assert "The chain is broken" in words_of(tab.post("/ledger/verify").text)


def test_all_that_came_from_outside_is_text(rig: Rig) -> None:
    """Every field of an alert, names of people, reasons and notes; as markup, as a template, as hidden characters."""
    fields = {
        key: f"{HOSTILE}{n}" for n, key in enumerate(("title", "hostname", "user_name", "cmdline", "sha256", "url"))
    }
    case = rig.aegis.investigate(ATTACK | fields | {"event_id": f"id{HOSTILE}", HOSTILE: HOSTILE})
    ann = rig.tab(f"ann<script>{'x' * 5}</script>", "admin")
    waiting = [a.action_id for a in case.actions if a.outcome == "awaiting_approval"]
    ann.post(f"/actions/{waiting[0]}/deny", reason=HOSTILE)
    pages = ["/", "/queue", f"/cases/{case.incident_id}", "/ledger", f"/ledger?incident={case.incident_id}", "/health"]
    pages += [f"/actions/{action}" for action in waiting] + [f"/intel?q={HOSTILE.replace('%', '%25')}"]
    pages += ["/ledger?kind=" + HOSTILE[:40].replace("%", "%25")]
    for path in pages:
        text = ann.get(path).text
        assert "<script>" not in text, path
        assert "<img" not in text
        assert "alert(1)" not in re.sub(r"&lt;.*?&gt;", "", text) or "<script" not in text.replace(
            '<script src="/static', ""
        )
        assert "\u202e" not in text, path
        assert "49" not in re.findall(r"onerror=alert\(1\)&gt;.{0,10}(49)", text)
        assert len(re.findall(r"<script", text)) == 1, path  # our own, by its address
    assert "⟦U+202E⟧" in ann.get(f"/cases/{case.incident_id}").text


def test_health_says_what_fell_back_and_what_waits(rig: Any) -> None:
    from aegis_agents.monitor.falling import fall_back

    ann = rig.tab("ann", "admin")
    assert "nothing fell back" in ann.get("/health").text
    fall_back(
        rig.aegis.store, "drift.words", f"words changed {HOSTILE}", scope="source", of="wazuh", like="", figures={}
    )
    text = ann.get("/health").text
    assert "fell back: a person decides" in text
    assert "drift.words" in text
    assert "<img" not in text
    assert "wait," not in text, "this server has no inbox"


def test_what_a_script_shows_is_as_visible() -> None:
    assert shown({"a": ["x\u202ey", 1, None], "b": ("\u200b",)}) == {"a": ["x⟦U+202E⟧y", 1, None], "b": ["⟦U+200B⟧"]}
    proposal = shown({"proposals": [{"target": {"kind": "host", "value": "wks\u200b-1"}}]})["proposals"][0]
    assert proposal["target"]["value"] == "wks⟦U+200B⟧-1"
    assert proposal["exact"] == "host:wks\u200b-1", "the form names the very entity"


def test_a_template_that_lacks_a_value_breaks() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing_of_the_kind }}").render()


def test_static_files_are_four_and_no_others(rig: Rig) -> None:
    tab = rig.tab()
    for name, kind in (
        ("console.css", "text/css"),
        ("display.css", "text/css"),
        ("console.js", "text/javascript"),
        ("icon.svg", "image/svg"),
    ):
        got = tab.get(f"/static/{name}")
        assert got.status_code == 200
        assert got.headers["content-type"].startswith(kind)
        assert "immutable" in got.headers["cache-control"]
    for name in ("..%2f..%2fapp.py", "base.html", "%2e%2e/console.js", "console.js%00", "x"):
        assert tab.get(f"/static/{name}").status_code == 404


def test_the_script_is_short_and_makes_no_code_of_text(rig: Rig) -> None:
    script = rig.tab().get("/static/console.js").text
    assert len(script.splitlines()) < 200
    assert not re.search(r"eval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|https?:", script)


def test_the_assistant_answers_and_cites(rig: Rig) -> None:
    tab, action = rig.tab("ann", "analyst"), rig.waiting()
    incident = rig.aegis.store.action(action).incident_id
    got = tab.post("/ask", question="which facts decided?", incident_id=incident)
    assert got.status_code == 200
    assert "What it rests on" in words_of(got.text)
    assert f'href="/cases/{incident}"' in got.text
    headers = {"Accept": "text/event-stream", "Origin": tab.origin, "X-Aegis-Part": "1"}
    sent = {"csrf": tab.csrf, "question": "which facts decided?", "incident_id": incident}
    streamed = tab("POST", "/ask", data=sent, headers=headers)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert "event: answer" in streamed.text
    assert tab.post("/ask", question=" ").status_code == 422
    assert tab.post("/ask", question="why?", incident_id="inc-none").status_code == 404
    assert rig.tab("eve", "viewer").post("/ask", question="what waits?").status_code == 403
