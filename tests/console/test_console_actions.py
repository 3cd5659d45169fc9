"""What people say of actions in the console: once, by whom, and what the other one sees who came second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.console.conftest import ATTACK, Rig, words_of


def test_one_click_approves_and_offers_the_way_back(rig: Rig) -> None:
    action, ann = rig.waiting(), rig.tab("ann", "approver", "operator")
    page = ann.follow(ann.post(f"/actions/{action}/approve"))
    assert rig.firewall.calls == [("block_ip", "203.0.113.9")]
    assert "Done: block IP 203.0.113.9" in words_of(page.text)
    assert f'action="/actions/{action}/undo"' in page.text
    assert rig.entries("action.answered")[0]["principal"]["id"] == "token:ann"
    ann.follow(ann.post(f"/actions/{action}/undo", reason="wrong host"))
    assert rig.aegis.store.action(action).state == "undone"
    assert rig.entries("action.undo_asked")[0]["reason"] == "wrong host"


def test_the_way_back_is_for_who_may_go_it(rig: Rig) -> None:
    action, bob = rig.waiting(), rig.tab("bob", "approver")
    page = bob.follow(bob.post(f"/actions/{action}/approve"))
    assert "/undo" not in page.text
    assert bob.post(f"/actions/{action}/undo").status_code == 403
    assert rig.aegis.store.action(action).state == "executed"


def test_a_denial_needs_a_reason(rig: Rig) -> None:
    action, ann = rig.waiting(), rig.tab("ann", "approver")
    got = ann.post(f"/actions/{action}/deny", reason="  ")
    assert got.status_code == 422
    assert "say why" in words_of(got.text)
    assert rig.aegis.store.action(action).state == "awaiting"
    ann.post(f"/actions/{action}/deny", reason="known scanner")
    assert rig.entries("action.answered")[0]["reason"] == "known scanner"
    assert "known scanner" in ann.get(f"/actions/{action}").text


def test_a_reason_that_is_too_long_is_not_lost(rig: Rig) -> None:
    action, ann = rig.waiting(), rig.tab("ann", "approver")
    got = ann.post(f"/actions/{action}/deny", reason="why " * 600)
    assert got.status_code == 422
    assert "why " * 600 in got.text
    assert rig.aegis.store.action(action).state == "awaiting"


def test_what_can_not_be_given_back_is_asked_twice(rig: Rig) -> None:
    action = rig.waiting("revoke_sessions", user_name="m.oyelaran")
    ann = rig.tab("ann", "approver")
    got = ann.post(f"/actions/{action}/approve")
    assert got.status_code == 200
    assert "can't be taken back" in words_of(got.text)
    assert rig.aegis.store.action(action).state == "awaiting"
    ann.post(f"/actions/{action}/approve", sure="no")
    assert rig.aegis.store.action(action).state == "awaiting"
    ann.post(f"/actions/{action}/approve", sure="yes", reason="spoke to them")
    assert rig.aegis.store.action(action).state != "awaiting"
    assert rig.entries("action.answered")[0]["reason"] == "spoke to them"


def test_who_comes_second_sees_who_decided_and_when(rig: Rig) -> None:
    action, ann, bob = rig.waiting(), rig.tab("ann", "approver"), rig.tab("bob", "approver")
    assert action in bob.get("/").text
    ann.post(f"/actions/{action}/approve")
    for said in ({"path": "approve"}, {"path": "deny", "reason": "no"}):
        got = bob.post(f"/actions/{action}/{said['path']}", **{k: v for k, v in said.items() if k != "path"})
        assert got.status_code == 409
        row = rig.aegis.store.action(action)
        assert row.answered_at is not None
        told = words_of(got.text)
        assert f"was approved by ann at {row.answered_at.isoformat(timespec='seconds')}" in told
        assert "Nothing was done by you" in told
    assert len(rig.firewall.calls) == 1


def test_four_eyes_show_the_first_and_want_another(consoles: Callable[..., Any], executives: dict[str, Any]) -> None:
    with consoles(executives) as rig:
        action = rig.waiting("revoke_sessions", user_name="ceo.ann", event_id="a-4")
        ann, bob = rig.tab("ann", "approver"), rig.tab("bob", "approver")
        page = ann.follow(ann.post(f"/actions/{action}/approve", sure="yes", reason="seen"))
        assert "needs another person" in words_of(page.text)
        card = words_of(ann.get(f"/actions/{action}").text)
        assert "1 of 2 said yes" in card
        assert "You did: another person must too" in card
        assert f"/actions/{action}/approve" not in ann.get(f"/actions/{action}").text
        ann.post(f"/actions/{action}/approve", sure="yes")  # by hand: one person is one
        assert rig.aegis.store.action(action).state == "awaiting"
        theirs = words_of(bob.get("/").text)
        assert "ann said yes" in theirs
        assert "A second person must too" in theirs
        assert "seen" in theirs
        assert "asset: executives" in theirs
        bob.post(f"/actions/{action}/approve", sure="yes")
        assert rig.aegis.store.action(action).state != "awaiting"


def test_it_aims_at_another_entity_of_the_incident_and_no_other(rig: Rig) -> None:
    far = [f"198.51.100.{n}" for n in range(1, 7)]  # only three of them are proposed
    case = rig.aegis.investigate(ATTACK | {"remote_ips": far})
    proposed = {a.target.value: a.action_id for a in case.actions if a.action == "block_ip"}
    here, there = list(proposed)[:2]
    action, other = proposed[here], next(ip for ip in far if ip not in proposed)
    ann = rig.tab("ann", "approver")
    assert f'value="ip:{other}"' in ann.get(f"/actions/{action}").text
    for target in ("ip:192.0.2.99", "host:wks-041", f"ip:{here}", "ip:", "", "nonsense"):
        got = ann.post(f"/actions/{action}/retarget", target=target, reason="typo")
        assert got.status_code == 422, target
        assert 'value="typo"' in got.text
    inside = ann.post(f"/actions/{action}/retarget", target="ip:10.1.2.3")  # the gate sees to corrections too
    assert inside.status_code == 409
    assert "may not be done" in words_of(inside.text)
    taken = ann.post(f"/actions/{action}/retarget", target=f"ip:{there}")
    assert proposed[there] in words_of(taken.text)
    assert "Somebody was first" not in words_of(taken.text)
    assert rig.aegis.store.action(action).state == "awaiting"
    new = ann.post(f"/actions/{action}/retarget", target=f"ip:{other}", reason="that one")
    assert f"It now aims at {other}" in words_of(ann.follow(new).text)
    assert rig.aegis.store.action(action).state == "denied"
    (moved,) = [r for r in rig.aegis.pending() if r.target.value == other]
    assert new.headers["location"] == f"/actions/{moved.action_id}"
    assert rig.firewall.calls == []


def test_a_viewer_reads_and_answers_nothing(rig: Rig) -> None:
    action, eve = rig.waiting(), rig.tab("eve", "viewer")
    page = eve.get(f"/actions/{action}")
    assert page.status_code == 200
    assert f'action="/actions/{action}' not in page.text
    for verb in ("approve", "deny", "retarget", "undo", "keep"):
        got = eve.post(f"/actions/{action}/{verb}", reason="x", target="ip:10.1.2.3", sure="yes")
        assert got.status_code == 403
        assert "eve is no" in words_of(got.text)
    assert rig.aegis.store.action(action).state == "awaiting"


def test_what_lifts_itself_is_kept(consoles: Callable[..., Any]) -> None:
    with consoles({"lifetimes": {"block_ip": 1.0}}) as rig:
        action, ann = rig.waiting(), rig.tab("ann", "approver", "operator")
        ann.post(f"/actions/{action}/approve")
        assert action in ann.get("/timers").text
        ann.post(f"/actions/{action}/keep")
        assert action not in ann.get("/timers").text
        assert "Nothing is in effect for a time only" in words_of(ann.get("/timers").text)


def test_an_action_that_is_not_there_is_a_page_that_says_so(rig: Rig) -> None:
    ann = rig.tab("ann", "approver")
    for path in ("/actions/act-none", "/cases/inc-none"):
        got = ann.get(path)
        assert got.status_code == 404
        assert "There is no such thing" in words_of(got.text)
        assert "script-src 'self'" in got.headers["content-security-policy"]


def test_the_kill_switch_and_shadow_are_said_on_every_page(consoles: Callable[..., Any]) -> None:
    with consoles({"mode": "shadow"}) as rig:
        ann = rig.tab("ann", "approver")
        assert "Shadow:" in words_of(ann.get("/").text)
        rig.aegis.settings.kill_switch_file.touch()
        for page in ("/", "/queue", "/health"):
            assert "The kill switch is on" in words_of(ann.get(page).text)


def test_the_verdict_is_confirmed(rig: Rig) -> None:
    incident = rig.aegis.store.action(rig.waiting()).incident_id
    ann = rig.tab("ann", "reviewer")
    assert ann.post(f"/cases/{incident}/confirm", verdict="undetermined").status_code == 422
    page = ann.follow(ann.post(f"/cases/{incident}/confirm", verdict="false_positive"))
    assert "Noted: it was a false positive" in words_of(page.text)
    assert rig.tab("eve", "viewer").post(f"/cases/{incident}/confirm", verdict="false_positive").status_code == 403


def test_a_wish_goes_before_the_gate_and_waits(rig: Rig) -> None:
    incident = rig.aegis.investigate(ATTACK | {"answer": "undetermined"}).incident_id
    ann = rig.tab("ann", "analyst")
    assert ann.post("/ask/propose", incident_id=incident, action="rm_rf", target="host:wks-041").status_code == 422
    assert ann.post("/ask/propose", incident_id=incident, action="isolate_host", target="host:dc-1").status_code == 422
    page = ann.follow(ann.post("/ask/propose", incident_id=incident, action="isolate_host", target="host:wks-041"))
    assert "asked for by ann" in words_of(page.text)
    assert rig.firewall.calls == []
