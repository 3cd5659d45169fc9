"""ServiceNow: the real package against a Table API on loopback, over TLS.

The fake holds what ServiceNow's reference says of the Table API, as we read it. It was not tried against an instance
of ServiceNow's.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

pytest.importorskip("pysnc", reason="needs the extra servicenow")

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.servicenow import ServiceNowConnector
from aegis_agents.tools.connectors.ticket_text import marks
from tests.connectors.certificates import certificate
from tests.connectors.contract import HOSTILE, Case, ConnectorContract, Rig, refused
from tests.connectors.loopback import Answer, Request, Vendor, serving

ALERT = Target(kind="alert", value="a1b2:incident-7")
PASSWORD, SECRET, BEARER = "snow-password-77", "snow-client-secret-88", "a-bearer-token"

COLUMNS = {
    "sys_id": 32, "number": 40, "state": 40, "active": 40, "correlation_id": 100, "correlation_display": 100,
    "short_description": 160, "description": 4000, "close_code": 40, "close_notes": 4000, "assignment_group": 32,
}  # fmt: skip
"""What the table has, and how long a value may be: longer ones are cut without a word."""


class FakeServiceNow(Vendor):
    """The table incident. `lacking` columns are not there, and conditions on them are ignored."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, str]] = {}
        self.lacking: set[str] = set()

    def put(self, **values: str) -> dict[str, str]:
        number = len(self.rows) + 1
        row = dict.fromkeys(COLUMNS, "") | {
            "sys_id": f"{number:032x}", "number": f"INC{number:07}", "state": "1", "active": "true",
        } | {name: value[: COLUMNS[name]] for name, value in values.items()}  # fmt: skip
        self.rows[row["sys_id"]] = row
        return row

    def denial(self, request: Request) -> Answer:
        secret = SECRET if "Bearer" in request.headers["authorization"] else PASSWORD
        detail = f"ACL Exception for {secret}"
        return Answer(403, {"error": {"message": "Operation Failed", "detail": detail}, "status": "failure"})

    def answer(self, request: Request) -> Answer:
        if request.path == "/oauth_token.do":
            given = parse_qs(request.body.decode())
            if given != {"grant_type": ["client_credentials"], "client_id": ["aegis"], "client_secret": [SECRET]}:
                return Answer(401, {"error": "access_denied"})
            return Answer(body={"access_token": BEARER, "token_type": "Bearer", "expires_in": 1799})
        known = ("Basic " + base64.b64encode(f"aegis:{PASSWORD}".encode()).decode(), f"Bearer {BEARER}")
        if request.headers.get("authorization") not in known:
            return Answer(401, {"error": {"message": "User Not Authenticated"}, "status": "failure"})
        table = "/api/now/table/incident"
        if not request.path.startswith(table):
            return Answer(400, {"error": {"message": "Invalid table"}, "status": "failure"})
        name = request.path.removeprefix(table).strip("/")
        if request.method == "POST" and not name:
            return self.denial(request) if self.denied else self._insert(request.json())
        if request.method == "GET" and not name:
            found = self._query(request)
            return Answer(200, {"result": [_shown(row) for row in found]}, {"X-Total-Count": str(len(found))})
        row = self.rows.get(name)
        if row is None:
            return Answer(404, {"error": {"message": "No Record found"}, "status": "failure"})
        if request.method == "GET":
            return Answer(body={"result": _shown(row)})
        assert request.method == "PATCH", request.method
        return self.denial(request) if self.denied else self._update(row, request.json())

    def _query(self, request: Request) -> list[dict[str, str]]:
        rows = list(self.rows.values())
        for condition in filter(None, (request.one("sysparm_query") or "").split("^")):
            if condition.startswith("ORDERBY"):
                continue
            for operator in ("STARTSWITH", "!=", "="):
                column, found, value = condition.partition(operator)
                if found:
                    break
            if column in self.lacking:
                continue
            assert column in COLUMNS, f"a condition on {column} means every record"
            test = {"STARTSWITH": str.startswith, "!=": str.__ne__, "=": str.__eq__}[operator]
            rows = [row for row in rows if test(row[column], value)]
        return rows[: int(request.one("sysparm_limit") or 10_000)]

    def _insert(self, given: dict[str, str]) -> Answer:
        assert set(given) <= set(COLUMNS), given
        for column, value in given.items():
            if len(value) > COLUMNS[column]:
                self.complaints.append(f"{column}: {len(value)} characters, cut to {COLUMNS[column]}")
        would_be = {"sys_id": f"{len(self.rows) + 1:032x}", "number": f"INC{len(self.rows) + 1:07}"}

        def do() -> bool:
            self.put(**given)
            return True

        return self.change(do, Answer(201, {"result": _shown(dict.fromkeys(COLUMNS, "") | would_be | given)}))

    def _update(self, row: dict[str, str], given: dict[str, str]) -> Answer:
        assert set(given) <= set(COLUMNS), given
        if given.get("state") == "6" and not given.get("close_code"):
            text = "Data Policy Exception: the following fields are mandatory: Resolution code"
            return Answer(403, {"error": {"message": "Operation Failed", "detail": text}, "status": "failure"})

        def do() -> bool:
            row.update(given)
            return False

        return self.change(do, Answer(body={"result": _shown(row | given)}))


def _shown(row: dict[str, str]) -> dict[str, dict[str, str]]:
    """sysparm_display_value=all."""
    return {name: {"value": value, "display_value": value} for name, value in row.items()}


class ServiceNowRig(Rig):
    secrets = (PASSWORD,)

    def __init__(self, vendor: FakeServiceNow, chain: Path) -> None:
        self.vendor, self.chain = vendor, chain

    def connector(self, **options: Any) -> ServiceNowConnector:
        who = {} if "client_id" in options else {"user": "aegis", "password": PASSWORD}
        closing = {"closing_fields": {"close_code": "Solution provided", "close_notes": "Taken back by Aegis"}}
        return ServiceNowConnector(**{"url": self.vendor.url, "ca_file": self.chain} | who | closing | options)

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.vendor.put(correlation_id=f"aegis:{marks(target, '')[0]}:0000")

    def in_effect(self, action: ActionName, target: Target) -> bool:
        mark = f"aegis:{marks(target, '')[0]}:"
        return any(row["correlation_id"].startswith(mark) and row["state"] == "1" for row in self.vendor.rows.values())

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


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture
def rig(pair: tuple[Path, Path]) -> Iterator[ServiceNowRig]:
    vendor = FakeServiceNow()
    with serving(vendor, certificate=(str(pair[0]), str(pair[1]))):
        yield ServiceNowRig(vendor, pair[0])
    assert vendor.complaints == []


class TestServiceNow(ConnectorContract):
    cases = (Case("open_ticket", ALERT),)
    forgetful = False
    hostile = HOSTILE[::4]  # of a target only a hash gets into a query: the text's own tests are below

    @pytest.fixture
    def rig(self, rig: ServiceNowRig) -> Rig:
        return rig


def test_oauth_signs_in_with_client_credentials(rig: ServiceNowRig) -> None:
    connector = rig.connector(client_id="aegis", client_secret=SECRET)
    assert connector.apply("open_ticket", ALERT, key="k1", note="n") == "INC0000001"
    assert rig.vendor.requests[-1].headers["authorization"] == f"Bearer {BEARER}"
    rig.deny()
    assert SECRET not in refused(lambda: connector.apply("open_ticket", ALERT, key="k2", note="n"))
    with pytest.raises(NotPermitted):
        rig.connector(client_id="aegis", client_secret="wrong").read("open_ticket", ALERT)


def test_text_of_an_alert_stays_text_and_fits(rig: ServiceNowRig) -> None:
    hostile = "[code]<script>x</script>[/code] https://evil.example @channel ${mail_to:x}\u202e" + "y" * 9_000
    rig.connector().apply("open_ticket", Target(kind="alert", value=hostile), key="k1", note=hostile)
    (row,) = rig.vendor.rows.values()
    for text in (row["description"], row["short_description"]):
        for effective in ("[code", "<script", "https:", "@channel", "${mail", "\u202e"):
            assert effective not in text
    assert row["description"].endswith("Opened by Aegis.")


def test_a_condition_that_the_instance_ignores_closes_nobodys_ticket(rig: ServiceNowRig) -> None:
    rig.vendor.lacking = {"correlation_id"}
    other = rig.vendor.put(short_description="the boss's own ticket")
    connector = rig.connector()
    assert connector.read("open_ticket", ALERT) is False
    connector.undo("open_ticket", ALERT, key="k-undo")
    assert other["state"] == "1"


def test_own_fields_are_set_and_closing_says_how(rig: ServiceNowRig) -> None:
    connector = rig.connector(fields={"assignment_group": "5f74"})
    connector.apply("open_ticket", ALERT, key="k1", note="n")
    connector.undo("open_ticket", ALERT, key="k1-undo")
    (row,) = rig.vendor.rows.values()
    assert (row["assignment_group"], row["state"], row["close_code"]) == ("5f74", "6", "Solution provided")


def test_a_closing_that_the_instance_refuses_is_said(rig: ServiceNowRig) -> None:
    connector = rig.connector(closing_fields={})
    connector.apply("open_ticket", ALERT, key="k1", note="n")
    with pytest.raises(NotPermitted, match="Resolution code"):
        connector.undo("open_ticket", ALERT, key="k1-undo")
    assert rig.in_effect("open_ticket", ALERT)


def test_a_ticket_closed_by_hand_counts_as_closed(rig: ServiceNowRig) -> None:
    connector = rig.connector()
    connector.apply("open_ticket", ALERT, key="k1", note="n")
    (row,) = rig.vendor.rows.values()
    for state, active in (("6", "true"), ("7", "false"), ("8", "false")):
        row |= {"state": state, "active": active}
        assert connector.read("open_ticket", ALERT) is False


def test_the_check_says_what_it_sees(rig: ServiceNowRig) -> None:
    assert "no record of it" in rig.connector().check()
    rig.vendor.put()
    assert rig.connector().check() == "signed in; sees the table incident, and its records"
    with pytest.raises(ConnectorError, match="Invalid table"):
        rig.connector(table="u_other").check()


def test_a_redirect_is_not_followed(rig: ServiceNowRig, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = Answer(307, None, {"Location": "https://evil.example/"})
    monkeypatch.setattr(rig.vendor, "answer", lambda request: moved)
    refused(lambda: rig.connector().check())
    refused(lambda: rig.connector(client_id="aegis", client_secret=SECRET).check())
    assert len(rig.vendor.requests) == 2


def test_an_answer_that_is_not_servicenows(
    rig: ServiceNowRig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for body in (b"<html>hibernating</html>", b"[]", b"{}", b"null"):
        monkeypatch.setattr(rig.vendor, "answer", lambda request, body=body: Answer(200, body))
        assert "can't be read" in refused(lambda: rig.connector().apply("open_ticket", ALERT, key="k", note="n"))


def test_another_certificate_is_not_trusted(rig: ServiceNowRig) -> None:
    message = refused(lambda: rig.connector(ca_file=None).read("open_ticket", ALERT))
    assert "certificate" in message.lower()
    assert rig.vendor.requests == []


def test_nobody_there_may_pass() -> None:
    connector = ServiceNowConnector(url="https://127.0.0.1:9", user="aegis", password=PASSWORD, timeout_s=1)
    with pytest.raises(TransientConnectorError):
        connector.read("open_ticket", ALERT)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"url": "http://127.0.0.1:1"}, "https"), ({"password": ""}, "password"), ({"client_id": "x"}, "client_id"),
        ({"user": "", "password": ""}, "user"), ({"table": "incident?x"}, "table"), ({"closed_state": "6^ORstate=1"}, "closed_state"),
        ({"fields": {"correlation_id": "x"}}, "correlation_id"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        ServiceNowConnector(**{"url": "https://corp.service-now.com", "user": "aegis", "password": PASSWORD} | wrong)
