"""Defender for Endpoint's API on loopback: the methods, fields and values of its published reference."""

from __future__ import annotations

import re
import uuid
from typing import Any

from tests.connectors.loopback import Answer, Request, Vendor
from tests.connectors.microsoft_cloud import SECRET, TOKEN, odata

_MACHINE = {
    "computerDnsName",
    "id",
    "healthStatus",
    "onboardingStatus",
    "lastSeen",
    "osPlatform",
    "riskScore",
    "rbacGroupId",
}
_ORDER = {"id", "status", "machineId", "type", "requestor", "creationDateTimeUtc"}
_INDICATOR = {"indicatorValue", "indicatorType", "createdBy", "severity", "action", "application", "title"}
_INDICATOR_BODY = {
    "indicatorValue", "indicatorType", "action", "application", "title", "description", "expirationTime", "severity",
    "recommendedActions", "rbacGroupNames", "educateUrl", "generateAlert",
}  # fmt: skip
_TYPES = {"FileSha1", "FileMd5", "CertificateThumbprint", "FileSha256", "IpAddress", "DomainName", "Url"}
_ACTIONS = {"Alert", "Warn", "Block", "Audit", "BlockAndRemediate", "AlertAndBlock", "Allowed"}


class Defender(Vendor):
    """Machines, orders to them and indicators. `pending` is how often an order is asked for before it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.machines: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.indicators: dict[str, dict[str, Any]] = {}
        self.pending = 0
        self.ends_as = "Succeeded"
        self.clock = 0
        self.garbage: Any = None

    def machine(self, name: str, status: str = "Onboarded") -> str:
        key = uuid.uuid4().hex + "0" * 8
        self.machines[key] = {
            "id": key, "computerDnsName": name, "lastSeen": "2026-11-26T08:00:00Z", "onboardingStatus": status,
            "healthStatus": "Active",
        }  # fmt: skip
        return key

    def isolated(self, machine: str) -> bool:
        done = [o["type"] for o in self.orders if o["machineId"] == machine and o["status"] == "Succeeded"]
        return bool(done) and done[-1] == "Isolate"

    def order(self, machine: str, sort: str, status: str = "Succeeded") -> dict[str, Any]:
        self.clock += 1
        made = {
            "id": str(uuid.uuid4()), "type": sort, "status": status, "machineId": machine, "asked": 0,
            "creationDateTimeUtc": f"2026-11-26T09:{self.clock:02d}:00.0000000Z",
        }  # fmt: skip
        self.orders.append(made)
        return made

    def indicator(self, sort: str, value: str, action: str = "Block", **fields: Any) -> dict[str, Any]:
        key = str(900 + len(self.indicators))
        given = {"application": "someone", "rbacGroupNames": [], "title": "t", "severity": "High"} | fields
        self.indicators[key] = {"id": key, "indicatorType": sort, "indicatorValue": value, "action": action} | given
        return self.indicators[key]

    def busy(self) -> Answer:
        return Answer(429, {"error": {"code": "TooManyRequests", "message": "Too many"}}, {"Retry-After": "0"})

    def answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(401, {"error": {"code": "Unauthorized", "message": "no token"}})
        if self.denied:
            said = f"Missing application roles. {SECRET} {TOKEN}"
            return Answer(403, {"error": {"code": "Forbidden", "message": said}})
        if self.garbage is not None:
            return Answer(200, self.garbage)
        body = request.json()
        if body is not None:
            assert request.headers["content-type"] == "application/json"
        match (request.method, *request.path.split("/")[1:]):
            case ("GET", "api", "machines"):
                return self._list(request, list(self.machines.values()), _MACHINE)
            case ("GET", "api", "machineactions"):
                for order in self.orders:
                    self._look(order)
                return self._list(request, self.orders[::-1], _ORDER)
            case ("GET", "api", "machineactions", key):
                return Answer(200, self._look(next(o for o in self.orders if o["id"] == key)))
            case ("GET", "api", "indicators"):
                return self._list(request, list(self.indicators.values()), _INDICATOR)
            case ("POST", "api", "machines", machine, "isolate" | "unisolate" as what):
                return self._order(machine, what, body)
            case ("POST", "api", "indicators"):
                return self._submit(body)
            case ("DELETE", "api", "indicators", key):
                if key not in self.indicators:
                    return Answer(404, {"error": {"code": "NotFound", "message": "no such indicator"}})

                def delete() -> bool:
                    del self.indicators[key]
                    return False

                return self.change(delete, Answer(204))
        raise ValueError("no such endpoint")

    @staticmethod
    def _list(request: Request, rows: list[dict[str, Any]], fields: set[str]) -> Answer:
        query = dict(request.query)
        assert set(query) <= {"$filter", "$top", "$skip"}
        found = [row for row in rows if odata(query["$filter"], row, fields)]
        return Answer(200, {"@odata.context": "x", "value": found[: int(query["$top"])]})

    def _look(self, order: dict[str, Any]) -> dict[str, Any]:
        order["asked"] += 1
        if order["status"] == "Pending" and order["asked"] > self.pending:
            order["status"] = self.ends_as
        return order

    def _order(self, machine: str, what: str, body: dict[str, Any]) -> Answer:
        assert re.fullmatch(r"[0-9a-f]{40}", machine)
        assert machine in self.machines
        assert body["Comment"]
        assert set(body) == ({"Comment", "IsolationType"} if what == "isolate" else {"Comment"})
        assert body.get("IsolationType", "Full") in ("Full", "Selective")
        sort = what.capitalize()
        if any(o["status"] == "Pending" and o["machineId"] == machine for o in self.orders):
            return Answer(
                400, {"error": {"code": "ActiveRequestAlreadyExists", "message": "Action is already in progress"}}
            )
        made: dict[str, Any] = {"id": str(uuid.uuid4()), "type": sort, "status": "Succeeded", "machineId": machine}

        def do() -> bool:
            made.update(self.order(machine, sort, "Pending" if self.pending else self.ends_as))
            return sort == "Isolate"

        return self.change(do, Answer(201, made))

    def _submit(self, body: dict[str, Any]) -> Answer:
        assert set(body) <= _INDICATOR_BODY
        assert body["indicatorType"] in _TYPES
        assert body["action"] in _ACTIONS
        assert body["severity"] in ("Informational", "Low", "Medium", "High")
        assert body["title"]
        assert body["description"]
        there = [i for i in self.indicators.values() if i["indicatorValue"] == body["indicatorValue"]]
        assert not there, "that overwrites an indicator"
        made: dict[str, Any] = {"id": "0"}

        def create() -> bool:
            made.update(self.indicator(body["indicatorType"], body["indicatorValue"], **{
                k: v for k, v in body.items() if k not in ("indicatorType", "indicatorValue")
            }))  # fmt: skip
            return True

        return self.change(create, Answer(200, made))
