"""Jira: the real package against a Jira on loopback, as Cloud (API 3) and as Data Center (API 2).

The fake holds what Atlassian's REST reference says of these calls, as we read it: which fields an issue takes, which
form a description has, what a JQL query means. It was not tried against a Jira of Atlassian's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("jira", reason="needs the extra jira")

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors import jira as module
from aegis_agents.tools.connectors.jira import JiraConnector
from tests.connectors.contract import HOSTILE, Case, ConnectorContract, Rig, refused
from tests.connectors.loopback import Answer, Request, Vendor, serving

ALERT = Target(kind="alert", value="a1b2:incident-7")
TOKEN = "jira-token-5f0e"
_JQL = re.compile(
    r'project = "([A-Z][A-Z0-9_]+)" AND labels = "([\w-]+)" AND creator = currentUser\(\) ORDER BY created ASC'
)


class FakeJira(Vendor):
    """One project SEC, one workflow: To Do → Done, and back. `lag` searches don't know of what is new."""

    def __init__(self, cloud: bool) -> None:
        super().__init__()
        self.cloud, self.lag = cloud, 0
        self.issues: dict[str, dict[str, Any]] = {}
        self.transitions = [{"id": "11", "name": "Reopen"}, {"id": "31", "name": "Done"}]

    def put(self, labels: list[str], creator: str = "aegis", project: str = "SEC") -> dict[str, Any]:
        number = str(10_000 + len(self.issues))
        issue = {
            "id": number, "key": f"{project}-{len(self.issues) + 1}", "labels": labels, "status": "new",
            "creator": creator, "project": project, "fields": {},
        }  # fmt: skip
        self.issues[number] = issue
        return issue

    def denial(self, request: Request) -> Answer:
        return Answer(403, {"errorMessages": [f"{TOKEN} may not do this"], "errors": {}})

    def answer(self, request: Request) -> Answer:
        known = (f"Bearer {TOKEN}", "Basic " + base64.b64encode(f"aegis@corp.example:{TOKEN}".encode()).decode())
        if request.headers.get("authorization") != known[self.cloud]:
            return Answer(401, {"errorMessages": ["You are not authenticated"], "errors": {}})
        version, _, path = request.path.removeprefix("/rest/api/").partition("/")
        if path == "serverInfo":
            return Answer(body={"versionNumbers": [9, 12, 0], "deploymentType": "Cloud" if self.cloud else "Server"})
        if version != ("3" if self.cloud else "2"):
            self.complaints.append(f"{request.path}: not the API of this deployment")
        if path == "myself":
            return Answer(body={"displayName": "Aegis"})
        if path == "mypermissions":
            asked = str(request.one("permissions")).split(",")
            return Answer(body={"permissions": {one: {"havePermission": one != "TRANSITION_ISSUES"} for one in asked}})
        if path == "field":
            return Answer(body=[{"id": "summary", "name": "Summary", "clauseNames": ["summary"]}])
        if path == ("search/jql" if self.cloud else "search"):
            return self._search(request)
        if path == "search":
            return Answer(410, {"errorMessages": ["The requested API has been removed."]})
        parts = path.split("/")
        if parts[0] != "issue" or len(parts) > 3:
            self.complaints.append(f"no such call: {request.method} {request.path}")
            return Answer(404, {"errorMessages": ["null"]})
        if len(parts) == 1:
            return self.denial(request) if self.denied else self._create(request.json())
        issue = self.issues.get(parts[1])
        if issue is None:
            return Answer(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]})
        if len(parts) == 2:
            fields = {"labels": issue["labels"], "status": {"name": "x", "statusCategory": {"key": issue["status"]}}}
            return Answer(body={"id": issue["id"], "key": issue["key"], "fields": fields})
        if request.method == "GET":
            return Answer(body={"transitions": self.transitions})
        return self.denial(request) if self.denied else self._move(issue, request.json())

    def _search(self, request: Request) -> Answer:
        asked = _JQL.fullmatch(request.one("jql") or "")
        if asked is None:
            self.complaints.append(f"unknown JQL: {request.one('jql')}")
            return Answer(400, {"errorMessages": ["Error in the JQL Query"]})
        found = [
            {"id": one["id"]} for one in self.issues.values()
            if one["project"] == asked[1] and asked[2] in one["labels"] and one["creator"] == "aegis"
        ]  # fmt: skip
        if found and self.lag:
            self.lag -= 1
            found = []
        return Answer(body={"issues": found, "isLast": True} if self.cloud else {"issues": found, "total": len(found)})

    def _create(self, given: Any) -> Answer:
        assert set(given) <= {"fields"}
        fields = given["fields"]
        wrong = {}
        if not (
            isinstance(fields.get("summary"), str)
            and 0 < len(fields["summary"]) <= 255
            and "\n" not in fields["summary"]
        ):
            wrong["summary"] = "is invalid"
        if fields.get("project") != {"key": "SEC"}:
            return Answer(400, {"errorMessages": [], "errors": {"project": "valid project is required"}})
        if fields.get("issuetype") not in ({"name": "Task"}, {"name": "Incident"}):
            wrong["issuetype"] = "is not valid"
        if any(not isinstance(label, str) or " " in label or len(label) > 255 for label in fields["labels"]):
            wrong["labels"] = "can't contain spaces"
        if strange := set(fields) - {"summary", "project", "issuetype", "labels", "description", "priority"}:
            wrong[min(strange)] = "cannot be set. It is not on the appropriate screen, or unknown."
        description = fields["description"]
        if self.cloud != isinstance(description, dict) or len(str(description)) > 32_767:
            wrong["description"] = "Operation value must be an Atlassian Document" if self.cloud else "must be a string"
        if wrong:
            self.complaints.append(str(wrong))
            return Answer(400, {"errorMessages": [], "errors": wrong})
        key = f"SEC-{len(self.issues) + 1}"

        def do() -> bool:
            self.put(fields["labels"])["fields"] = fields
            return True

        return self.change(do, Answer(201, {"id": str(10_000 + len(self.issues)), "key": key, "self": "x"}))

    def _move(self, issue: dict[str, Any], given: Any) -> Answer:
        names = {one["id"]: one["name"] for one in self.transitions}
        if str(given["transition"]["id"]) not in names:
            return Answer(400, {"errorMessages": ["It seems that you have tried to perform an illegal operation."]})

        def do() -> bool:
            issue["status"] = "done" if names[str(given["transition"]["id"])] == "Done" else "new"
            issue["closed_with"] = given.get("fields")
            return False

        return self.change(do, Answer(204))


class JiraRig(Rig):
    secrets = (TOKEN,)

    def __init__(self, vendor: FakeJira) -> None:
        self.vendor = vendor

    def connector(self, **options: Any) -> JiraConnector:
        user = "aegis@corp.example" if self.vendor.cloud else ""
        return JiraConnector(**{"url": self.vendor.url, "project": "SEC", "user": user, "token": TOKEN} | options)

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.vendor.put([f"aegis-on-{module.marks(target, '')[0]}"])

    def in_effect(self, action: ActionName, target: Target) -> bool:
        label = f"aegis-on-{module.marks(target, '')[0]}"
        return any(label in one["labels"] and one["status"] != "done" for one in self.vendor.issues.values())

    def effects(self) -> int:
        return self.vendor.effects

    def touched(self) -> set[str]:
        return set()

    def forget(self, target: Target) -> None:
        """It knows no alerts."""

    def deny(self) -> None:
        self.vendor.denied = True

    def ignore(self) -> None:
        self.vendor.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.vendor.losing = count

    def limit_rate(self, count: int) -> None:
        self.vendor.limiting = count


@pytest.fixture(params=[True, False], ids=["cloud", "data-center"])
def rig(request: pytest.FixtureRequest) -> Iterator[JiraRig]:
    vendor = FakeJira(request.param)
    with serving(vendor):
        yield JiraRig(vendor)
    assert vendor.complaints == []


class TestJira(ConnectorContract):
    cases = (Case("open_ticket", ALERT),)
    forgetful = False
    hostile = HOSTILE[::3]  # of a target only a hash gets into a query: the text's own tests are below

    @pytest.fixture
    def rig(self, rig: JiraRig) -> Rig:
        return rig


def opened(rig: JiraRig, note: str, target: Target = ALERT, **options: Any) -> dict[str, Any]:
    """The fields of an issue opened with this note."""
    rig.connector(**options).apply("open_ticket", target, key="k1", note=note)
    (issue,) = rig.vendor.issues.values()
    fields: dict[str, Any] = issue["fields"]
    return fields


def described(fields: dict[str, Any]) -> str:
    """The text of a description, whose form must let nothing in it be rendered."""
    description = fields["description"]
    if isinstance(description, dict):
        assert [one["type"] for one in description["content"]] == ["codeBlock"]
        (node,) = description["content"][0]["content"]
        assert set(node) == {"type", "text"}
        return str(node["text"])
    head, text, tail = description.partition("\n")[0], description[11:-11], description[-11:]
    assert (head, tail) == ("{noformat}", "\n{noformat}")
    return str(text)


@pytest.mark.parametrize(
    ("hostile", "opener"),
    [
        ("[~admin] look", "[~"), ("[~accountid:5b10]", "[~"), ("{code}x{code}", "{code"), ("{noformat} *now*", "{noformat"),
        ("!http://evil.example/p.png!", "http:"), ("[click|https://evil.example]", "https:"), ("@channel now", "@channel"),
        ("<img src=x>", "<img"), ("www.evil.example", "www.e"), ("[mail|mailto:x@evil.example]", "mailto:"),
    ],
)  # fmt: skip
def test_text_of_an_alert_mentions_nobody_and_links_nowhere(rig: JiraRig, hostile: str, opener: str) -> None:
    fields = opened(rig, hostile, Target(kind="alert", value=hostile))
    assert opener not in described(fields)
    assert opener not in fields["summary"]


def test_a_note_stays_readable_and_bounded(rig: JiraRig) -> None:
    text = described(opened(rig, "host wks-7 of ann@corp.example\nbeacons" + "\u202e\x00" + "x" * 100_000))
    assert text.startswith("host wks-7 of ann@corp.example\nbeaconsx")
    assert "\u202e" not in text
    assert text.endswith("Opened by Aegis.")
    assert len(text) <= 10_000


def test_own_fields_and_issue_type_are_set(rig: JiraRig) -> None:
    fields = opened(rig, "n", issue_type="Incident", fields={"priority": {"name": "High"}})
    assert (fields["priority"], fields["issuetype"]) == ({"name": "High"}, {"name": "Incident"})


def test_a_label_that_somebody_else_put_on_an_issue_closes_nothing(rig: JiraRig) -> None:
    about = f"aegis-on-{module.marks(ALERT, '')[0]}"
    others = [rig.vendor.put([about], creator="mallory"), rig.vendor.put([about], project="HR")]
    connector = rig.connector()
    assert connector.read("open_ticket", ALERT) is False
    assert connector.undo("open_ticket", ALERT, key="k-undo") == ""
    assert [one["status"] for one in others] == ["new", "new"]


def test_what_the_index_does_not_show_yet_is_known_all_the_same(rig: JiraRig) -> None:
    connector = rig.connector()
    rig.vendor.lag = 100
    first = connector.apply("open_ticket", ALERT, key="k1", note="n")
    assert connector.read("open_ticket", ALERT) is True
    assert connector.apply("open_ticket", ALERT, key="k1", note="n") == first
    assert len(rig.vendor.issues) == 1
    assert connector.undo("open_ticket", ALERT, key="k1-undo") == first
    assert connector.read("open_ticket", ALERT) is False


def test_after_a_lost_answer_the_index_is_given_time(rig: JiraRig, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    rig.vendor.losing, rig.vendor.lag = 1, 2
    assert rig.connector().apply("open_ticket", ALERT, key="k1", note="n") == "SEC-1"
    assert (len(rig.vendor.issues), waited) == (1, [0.0, 0.5, 1.5])


def test_closing_needs_the_named_transition(rig: JiraRig) -> None:
    connector = rig.connector(close_transition="Resolve")
    connector.apply("open_ticket", ALERT, key="k1", note="n")
    with pytest.raises(ConnectorError, match=r"'Resolve' is not offered .*Reopen, Done"):
        connector.undo("open_ticket", ALERT, key="k1-undo")
    assert rig.in_effect("open_ticket", ALERT)


def test_a_resolution_is_given_where_it_is_wanted(rig: JiraRig) -> None:
    connector = rig.connector(resolution="Won't Do")
    connector.apply("open_ticket", ALERT, key="k1", note="n")
    connector.undo("open_ticket", ALERT, key="k1-undo")
    (issue,) = rig.vendor.issues.values()
    assert issue["closed_with"] == {"resolution": {"name": "Won't Do"}}


def test_the_check_says_who_and_what(rig: JiraRig) -> None:
    said = rig.connector().check()
    assert said == "signed in as Aegis; in SEC: BROWSE_PROJECTS yes, CREATE_ISSUES yes, TRANSITION_ISSUES NO"
    with pytest.raises(NotPermitted):
        rig.connector(token="wrong").check()


def test_a_redirect_is_not_followed(rig: JiraRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.vendor, "answer", lambda request: Answer(302, None, {"Location": "https://evil.example/"}))
    assert "evil" not in refused(lambda: rig.connector().check())
    assert len(rig.vendor.requests) == 1


def test_an_answer_that_is_not_jiras(rig: JiraRig, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (b"<html>maintenance</html>", b"[]", b"{}", b"null"):
        monkeypatch.setattr(rig.vendor, "answer", lambda request, body=body: Answer(200, body))
        assert "can't be read" in refused(lambda: rig.connector().apply("open_ticket", ALERT, key="k", note="n"))


def test_nobody_there_may_pass() -> None:
    with pytest.raises(TransientConnectorError):
        JiraConnector(url="http://127.0.0.1:9", project="SEC", token=TOKEN, timeout_s=1).read("open_ticket", ALERT)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"project": "SEC\" OR 1=1"}, "project"), ({"url": "http://jira.example"}, "url"), ({"token": " "}, "token"),
        ({"close_transition": ""}, "close_transition"), ({"fields": {"labels": ["x"]}}, "labels"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        JiraConnector(**{"url": "https://jira.example", "project": "SEC", "token": TOKEN} | wrong)
