"""Mail quarantine: the contract through msgraph-sdk, and what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.mail import ORIGIN, MailConnector
from tests.connectors.contract import HOSTILE, Case, ConnectorContract, Rig, refused
from tests.connectors.microsoft_cloud import CLIENT, SECRET, SECRETS, TENANT, Graph, Login, cloud

pytest.importorskip("msgraph", reason="the extra microsoft is not installed")
pytest.importorskip("azure.identity", reason="the extra microsoft is not installed")

# Their own, when msgraph-sdk's request builders are imported.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kiota_abstractions.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:msgraph.*"),
]

PHISH = Target(kind="message", value="phish+1@evil.example")
WHO = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}
ANN, BEN = "ann@example.com", "ben@example.com"


def bare(message_id: str) -> str:
    return message_id.removeprefix("<").removesuffix(">")


class MailRig(Rig):
    """PHISH lies in a folder of Ann's; Ann, Ben and Eve, whose mailbox is not configured, have other mail."""

    secrets = SECRETS

    def __init__(self, vendor: Graph, login: Login, **options: Any) -> None:
        self.vendor, self.login, self.options = vendor, login, options
        for mailbox in (ANN, BEN, "eve@example.com"):
            vendor.user(mailbox)
            for n in (1, 2):
                vendor.message(mailbox, f"<note-{n}-{mailbox}>")
        self.archive = vendor.folder(ANN, "Archive")
        vendor.message(ANN, f"<{PHISH.value}>", self.archive)

    def connector(self) -> MailConnector:
        given = WHO | {
            "mailboxes": [ANN, BEN], "graph_url": self.vendor.url, "authority": self.login.url, "timeout_s": 5.0,
        } | self.options  # fmt: skip
        return MailConnector(**given)

    def copies(self, target: Target) -> list[dict[str, Any]]:
        return [m for m in self.vendor.messages.values() if bare(m["internetMessageId"]) == bare(target.value)]

    def hidden(self, message: dict[str, Any]) -> bool:
        return bool(self.vendor.folders[message["parentFolderId"]]["isHidden"])

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        folder = self.vendor.folder(ANN, "Aegis quarantine", hidden=True)
        for message in self.copies(target):
            message["parentFolderId"] = folder

    def in_effect(self, action: ActionName, target: Target) -> bool:
        return all(self.hidden(m) for m in self.copies(target)) and bool(self.copies(target))

    def effects(self) -> int:
        return self.vendor.effects

    def touched(self) -> set[str]:
        return {bare(m["internetMessageId"]) for m in self.vendor.messages.values() if self.hidden(m)}

    def forget(self, target: Target) -> None:
        for message in self.copies(target):
            del self.vendor.messages[message["id"]]

    def deny(self) -> None:
        self.vendor.denied = True

    def ignore(self) -> None:
        self.vendor.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.vendor.losing = count

    def limit_rate(self, count: int) -> None:
        self.vendor.limiting = count

    def plant(self, target: Target) -> bool:
        self.vendor.message(ANN, target.value)
        return True


@pytest.fixture
def vendor() -> Graph:
    return Graph()


@pytest.fixture
def rig(vendor: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailRig]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "chain.pem"))
    with cloud(vendor, tmp_path) as login:
        yield MailRig(vendor, login)


class TestMail(ConnectorContract):
    cases = (Case("quarantine_email", PHISH),)
    hostile = (
        *HOSTILE,
        "a@b' or internetMessageId ne '",
        "<a@b> or <c@d>",
        "a'b@c.example",
        "%27@x.example",
        "note-1-ann@example.com' or '1' eq '1",
    )


def take(rig: MailRig, target: Target = PHISH) -> str:
    return rig.connector().apply("quarantine_email", target, key="k", note="n")


def test_it_comes_back_to_the_folder_that_it_left(rig: MailRig) -> None:
    take(rig)
    (copy,) = rig.copies(PHISH)
    assert copy["marks"] == {ORIGIN: rig.archive}
    rig.connector().undo("quarantine_email", PHISH, key="k")
    (copy,) = rig.copies(PHISH)
    assert copy["parentFolderId"] == rig.archive


def test_to_the_inbox_where_that_folder_is_gone(rig: MailRig) -> None:
    take(rig)
    del rig.vendor.folders[rig.archive]
    rig.connector().undo("quarantine_email", PHISH, key="k")
    (copy,) = rig.copies(PHISH)
    assert copy["parentFolderId"] == f"inbox-of-{ANN}"


def test_every_copy_in_every_named_mailbox(rig: MailRig) -> None:
    rig.vendor.message(BEN, f"<{PHISH.value}>")
    rig.vendor.message(BEN, f"<{PHISH.value}>", rig.vendor.folder(BEN, "Sent Items"))
    assert "3 copies in 2 mailboxes" in take(rig)
    assert rig.connector().read("quarantine_email", PHISH) is True
    # One that arrives later is not in quarantine yet, and a second time takes it alone.
    rig.vendor.message(ANN, f"<{PHISH.value}>")
    assert rig.connector().read("quarantine_email", PHISH) is False
    take(rig)
    assert rig.effects() == 4


def test_a_list_that_shows_hidden_folders_too(rig: MailRig) -> None:
    rig.vendor.hides = False
    take(rig)
    assert rig.connector().read("quarantine_email", PHISH) is True
    take(rig)
    assert rig.effects() == 1
    rig.connector().undo("quarantine_email", PHISH, key="k")
    assert rig.touched() == set()


def test_other_mailboxes_are_not_looked_into(rig: MailRig) -> None:
    rig.vendor.message("eve@example.com", f"<{PHISH.value}>")
    take(rig)
    assert [rig.hidden(m) for m in rig.copies(PHISH) if m["mailbox"] == "eve@example.com"] == [False]
    assert not any("eve" in r.path for r in rig.vendor.requests)


def test_a_mailbox_that_is_gone_does_not_stop_the_others(rig: MailRig) -> None:
    rig.options["mailboxes"] = ["gone@example.com", ANN]
    assert "1 mailboxes unknown: gone@example.com" in take(rig)
    assert rig.in_effect("quarantine_email", PHISH)


def test_a_mailbox_that_is_closed_stops_before_anything_moves(rig: MailRig) -> None:
    rig.vendor.closed.add(BEN)
    with pytest.raises(NotPermitted):
        take(rig)
    assert rig.touched() == set()


def test_a_mailbox_that_closes_half_way_is_told(rig: MailRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.vendor.message(BEN, f"<{PHISH.value}>")
    real = Graph._move

    def closing(self: Graph, request: Any, message: dict[str, Any]) -> Any:
        if message["mailbox"] == ANN:
            return self.error(403, "ErrorAccessDenied", "Access is denied.")
        return real(self, request, message)

    monkeypatch.setattr(Graph, "_move", closing)
    assert "1 of 2 copies quarantined, and then: ann@example.com" in refused(lambda: take(rig))
    assert [rig.hidden(m) for m in rig.copies(PHISH)] == [False, True]


def test_case_is_part_of_a_message_id(rig: MailRig) -> None:
    rig.vendor.message(ANN, f"<{PHISH.value.upper()}>")
    take(rig)
    assert rig.touched() == {PHISH.value}


def test_an_apostrophe_and_a_plus_are_letters_like_others(rig: MailRig) -> None:
    target = Target(kind="message", value="<a'b+c%d&e=f#g@x.example>")
    rig.plant(target)
    take(rig, target)
    assert rig.touched() == {bare(target.value)}


def test_too_many_copies_are_for_a_person(rig: MailRig) -> None:
    for _ in range(60):
        rig.vendor.message(ANN, "<same@x.example>")
    assert "by hand" in refused(lambda: take(rig, Target(kind="message", value="same@x.example")))
    assert rig.touched() == set()


def test_a_folder_that_its_owner_sees_is_no_quarantine(rig: MailRig) -> None:
    rig.vendor.folder(ANN, "Aegis quarantine")
    assert "its owner sees" in refused(lambda: take(rig))


def test_the_folders_name_is_a_setting(rig: MailRig) -> None:
    rig.options["folder"] = "Evidence of O'Hara"
    take(rig)
    take(rig)
    assert [f["displayName"] for f in rig.vendor.folders.values() if f["isHidden"]] == ["Evidence of O'Hara"]


def test_two_that_make_the_folder_at_once(rig: MailRig, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Graph._make_folder

    def beaten(self: Graph, request: Any, mailbox: str) -> Any:
        real(self, request, mailbox)
        return real(self, request, mailbox)

    monkeypatch.setattr(Graph, "_make_folder", beaten)
    take(rig)
    assert rig.in_effect("quarantine_email", PHISH)


def test_a_folder_that_can_not_be_made(rig: MailRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Graph, "_make_folder", lambda self, *_: self.error(507, "ErrorQuotaExceeded", "Full."))
    assert "507" in refused(lambda: take(rig))
    assert rig.touched() == set()


def test_an_answer_that_makes_no_sense(rig: MailRig) -> None:
    rig.vendor.garbage = True
    with pytest.raises(TransientConnectorError):
        take(rig)


def test_what_nobody_marked_goes_to_the_inbox(rig: MailRig) -> None:
    rig.set_in_effect("quarantine_email", PHISH)
    rig.connector().undo("quarantine_email", PHISH, key="k")
    (copy,) = rig.copies(PHISH)
    assert copy["parentFolderId"] == f"inbox-of-{ANN}"


def test_none_of_the_mailboxes_holds_it(rig: MailRig) -> None:
    with pytest.raises(TargetNotFound, match="none of 2 mailboxes"):
        take(rig, Target(kind="message", value="other@x.example"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mailboxes": []}, "mailboxes"),
        ({"mailboxes": "ann@example.com"}, "as a list"),
        ({"mailboxes": ["*"]}, "mailboxes"),
        ({"mailboxes": ["ann@example.com", "me"]}, "mailboxes"),
        ({"folder": " "}, "folder"),
        ({"folder": "a/b"}, "folder"),
        ({"cloud": "mars"}, "cloud"),
        ({"client_secret": ""}, "client_secret"),
        ({"actions": ["block_ip"]}, "block_ip"),
    ],
)
def test_settings_that_are_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        MailConnector(**(WHO | {"mailboxes": [ANN]} | given))
