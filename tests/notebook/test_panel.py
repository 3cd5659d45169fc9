"""The panel of approvals: a button does what it says, errors are said, and another's answer is shown as such."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_agents import Aegis
from tests.notebook.notebook_parts import MemoryFirewall, example
from tests.people import token_of

pytest.importorskip("ipywidgets", reason="needs the notebook extra")

from aegis_agents.notebook.panel import ApprovalsPanel, Card, approvals
from aegis_agents.notebook.waiting_rows import MOST_SHOWN


@pytest.fixture
def panel(aegis: Aegis) -> ApprovalsPanel:
    aegis.investigate(example("1_attack"))
    return approvals(aegis, by="night shift")


def card(panel: ApprovalsPanel, action: str) -> Card:
    rows = {row.proposal.action: row.action_id for row in panel._aegis.pending()}
    return panel.cards[rows[action]]


def test_approve_then_undo(panel: ApprovalsPanel, aegis: Aegis, firewall: MemoryFirewall) -> None:
    block = card(panel, "block_ip")
    assert block.undo.disabled
    block.approve.click()
    assert firewall.blocked == {"203.0.113.91"}
    assert aegis.store.action(block.action_id).by == "night shift"
    assert (block.approve.disabled, block.deny.disabled, block.undo.disabled) == (True, True, False)
    assert block.said == "done: ref"
    block.undo.click()
    assert firewall.blocked == set()
    assert aegis.store.action(block.action_id).outcome == "undone"
    assert block.undo.disabled


def test_denying_needs_a_reason_and_leaves_it_waiting_without(panel: ApprovalsPanel, aegis: Aegis) -> None:
    host = card(panel, "isolate_host")
    host.deny.click()
    assert "reason" in host.said
    assert aegis.store.action(host.action_id).outcome == "awaiting_approval"
    assert not host.deny.disabled
    host.reason.value = "it is a lab machine"
    host.deny.click()
    row = aegis.store.action(host.action_id)
    assert (row.outcome, row.answer) == ("denied", "it is a lab machine")


def test_what_was_decided_elsewhere_is_shown_as_such(panel: ApprovalsPanel, aegis: Aegis) -> None:
    host, user = card(panel, "isolate_host"), card(panel, "disable_user")
    aegis.deny(host.action_id, by="day shift", reason="no")
    panel.refresh()
    assert "decided elsewhere by day shift" in host.said
    assert host.approve.disabled
    aegis.deny(user.action_id, by="day shift", reason="no")
    user.approve.click()  # before the panel was read again
    assert "decided elsewhere by day shift" in user.said
    assert "somebody else answered first" in panel.said.value
    assert aegis.store.action(user.action_id).outcome == "denied"


def test_who_answers_is_the_token_and_a_wrong_one_does_nothing(
    panel: ApprovalsPanel,
    aegis: Aegis,
    firewall: MemoryFirewall,
) -> None:
    block = card(panel, "block_ip")
    panel.token.value = "aegis_0000_wrong"
    block.approve.click()
    assert "attack" in block.state.value
    assert firewall.blocked == set()
    assert not block.approve.disabled
    panel.token.value = token_of(aegis.store, "alice")
    block.approve.click()
    assert aegis.store.action(block.action_id).principal == "token:alice"
    assert panel.token.value not in str(panel._repr_mimebundle_())


def test_text_of_an_alert_stays_text(aegis: Aegis) -> None:
    alert: dict[str, Any] = {
        "event_id": "<script>alert(1)</script>", "title": "</style><img src=x onerror=alert(1)>",
        "process": "mimikatz.exe", "cmdline": "sekurlsa::logonpasswords <script>alert(1)</script>", "hostname": "ALD-1",
    }  # fmt: skip
    aegis.investigate(alert)
    made = approvals(aegis)
    assert made.cards
    for one in made.cards.values():
        assert "<script" not in one.about.value
        assert "<img" not in one.about.value


def test_where_there_are_no_widgets_there_is_a_table(panel: ApprovalsPanel) -> None:
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "isolate_host" in bundle["text/html"]
    assert bundle["text/plain"] == "5 actions wait"


def test_of_hundreds_it_reads_and_shows_the_first_alone(aegis: Aegis, monkeypatch: pytest.MonkeyPatch) -> None:
    aegis.investigate(example("1_attack"))
    (row, *_) = aegis.pending()
    many = [row.model_copy(update={"action_id": f"act-{n:016x}"}) for n in range(300)]
    monkeypatch.setattr(aegis, "pending", lambda: many)
    read: list[str] = []
    case = aegis.store.case

    def noted(incident_id: str) -> Any:
        read.append(incident_id)
        return case(incident_id)

    monkeypatch.setattr(aegis.store, "case", noted)
    panel = approvals(aegis)
    assert len(panel.cards) == MOST_SHOWN
    assert len(read) == 1  # one incident's case, once
    assert "300 actions wait, the first 50 are shown" in panel._count.value
    still = panel._repr_mimebundle_()
    assert still["text/plain"] == "300 actions wait"
    assert "250 more are not shown" in still["text/html"]
