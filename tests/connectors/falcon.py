"""A Falcon on loopback that takes only what CrowdStrike publishes.

Methods, paths and parameters are checked against the endpoint table in the SDK; bodies against the
properties of the published request models; filters are evaluated (FQL as the vendor documents it:
'text' matches part of a value whatever its case, ['text'] all of it, * anything, and an empty text everything).
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.crowdstrike import CrowdStrikeConnector
from tests.connectors.contract import Rig
from tests.connectors.loopback import Answer, Request, Vendor

SECRET = "f" * 20 + "Secret" + "0" * 14
_CLAUSE = re.compile(r"(?P<field>[a-z_.]+):(?P<exact>\[)?'(?P<text>(?:[^'\\]|\\.)*)'(?(exact)\])")
_INDICATOR = {
    "action", "applied_globally", "description", "expiration", "host_groups", "metadata", "mobile_action", "platforms",
    "severity", "source", "tags", "type", "value",
}  # fmt: skip


def fql(filter_: str, thing: dict[str, Any]) -> bool:
    """Whether an FQL expression matches: commas are or, pluses are and. Raises ValueError for what is no FQL."""
    at, matches, sofar = 0, False, True
    while True:
        clause = _CLAUSE.match(filter_, at)
        if clause is None:
            raise ValueError(f"no FQL at {at}: {filter_!r}")
        text, value = re.sub(r"\\(.)", r"\1", clause["text"]), str(thing.get(clause["field"], ""))
        if clause["exact"]:
            fits = value == text
        else:
            fits = bool(re.search(".*".join(map(re.escape, text.split("*"))), value, re.IGNORECASE))
        sofar, at = sofar and fits, clause.end()
        if at == len(filter_):
            return matches or sofar
        if filter_[at] == ",":
            matches, sofar = matches or sofar, True
        elif filter_[at] != "+":
            raise ValueError(f"no FQL at {at}: {filter_!r}")
        at += 1


class Falcon(Vendor):
    """Hosts and indicators. `pending` is how often a host is asked for before an order takes effect."""

    def __init__(self) -> None:
        super().__init__()
        from falconpy._endpoint import api_endpoints

        self.table = {(e[1], e[2]): e for e in api_endpoints}
        self.devices: dict[str, dict[str, Any]] = {}
        self.indicators: dict[str, dict[str, Any]] = {}
        self.pending = 0
        self.sign_in = 201
        self.garbage: Any = None
        self.token = "tok-" + "t" * 40

    def add(self, hostname: str, domain: str = "corp.example", status: str = "normal") -> str:
        device_id = uuid.uuid4().hex
        self.devices[device_id] = {
            "device_id": device_id, "hostname": hostname, "machine_domain": domain, "status": status,
            "last_seen": "2026-11-26T09:00:00Z", "asked": 0,
        }  # fmt: skip
        return device_id

    def answer(self, request: Request) -> Answer:
        entry = self.table.get((request.method, request.path))
        if entry is None:
            raise ValueError("no such endpoint")
        if request.path == "/oauth2/token":
            if self.sign_in != 201:
                return Answer(self.sign_in, {"errors": [{"code": self.sign_in, "message": f"bad client {SECRET}"}]})
            return Answer(201, {"access_token": self.token, "expires_in": 1799, "token_type": "bearer"})
        self._check(request, entry[5])
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401, {"errors": [{"code": 401, "message": "access denied, invalid bearer token"}]})
        if self.denied:
            said = f"access denied, authorization failed: {SECRET} {self.token}"
            return Answer(403, {"errors": [{"code": 403, "message": said}]})
        if self.garbage is not None:
            return Answer(200, self.garbage)
        return getattr(self, entry[0].replace(".", "_"))(request)

    @staticmethod
    def _check(request: Request, parameters: list[dict[str, Any]]) -> None:
        declared = {p["name"]: p for p in parameters if p["in"] == "query"}
        for name, value in request.query:
            if name not in declared:
                raise ValueError(f"no parameter {name!r}")
            kind = declared[name].get("type")
            if kind == "integer" and not value.isdigit():
                raise ValueError(f"{name} is no integer: {value!r}")
            if value not in declared[name].get("enum", [value]):
                raise ValueError(f"{name} can't be {value!r}")
        given = {name for name, _ in request.query}
        if lacking := [n for n, p in declared.items() if p.get("required") and n not in given]:
            raise ValueError(f"{lacking} are required")
        if bool(request.body) != any(p["in"] == "body" for p in parameters):
            raise ValueError(f"a body that does not belong there, or none: {request.body!r}")

    def busy(self) -> Answer:
        return Answer(429, {"errors": [{"code": 429, "message": "API rate limit exceeded."}]})

    def QueryDevicesByFilter(self, request: Request) -> Answer:
        ids = [i for i, d in self.devices.items() if fql(request.one("filter") or "", d)]
        limit = int(request.one("limit") or 100)
        return Answer(200, {"meta": {"pagination": {"total": len(ids)}}, "resources": ids[:limit], "errors": []})

    def GetDeviceDetailsV2(self, request: Request) -> Answer:
        ids = [value for name, value in request.query if name == "ids"]
        assert 0 < len(ids) <= 100
        assert all(re.fullmatch(r"\w{32}", i) for i in ids)
        found = [self.devices[i] for i in ids if i in self.devices]
        for device in found:
            device["asked"] += 1
            if device["asked"] > self.pending:
                device["status"] = {"containment_pending": "contained", "lift_containment_pending": "normal"}.get(
                    device["status"], device["status"]
                )
        if not found:
            return Answer(404, {"errors": [{"code": 404, "message": "device not found"}], "resources": []})
        return Answer(200, {"resources": found, "errors": []})

    def PerformActionV2(self, request: Request) -> Answer:
        body, action = request.json(), request.one("action_name")
        assert set(body) <= {"ids", "action_parameters"}
        assert body["ids"]
        device = self.devices.get(body["ids"][0])
        if device is None:
            return Answer(404, {"errors": [{"code": 404, "message": "device not found"}]})
        wanted = {"contain": "containment_pending", "lift_containment": "lift_containment_pending"}[action or ""]

        def order() -> bool:
            device["status"], device["asked"] = wanted, 0
            return action == "contain"

        return self.change(order, Answer(202, {"resources": [{"id": device["device_id"], "path": ""}], "errors": []}))

    def indicator_search_v1(self, request: Request) -> Answer:
        ids = [i for i, thing in self.indicators.items() if fql(request.one("filter") or "", thing)]
        return Answer(200, {"meta": {"pagination": {"total": len(ids)}}, "resources": ids, "errors": []})

    def indicator_get_v1(self, request: Request) -> Answer:
        ids = [value for name, value in request.query if name == "ids"]
        return Answer(200, {"resources": [self.indicators[i] for i in ids], "errors": []})

    def indicator_create_v1(self, request: Request) -> Answer:
        body = request.json()
        assert set(body) <= {"comment", "indicators"}
        (wanted,) = body["indicators"]
        assert set(wanted) <= _INDICATOR
        assert isinstance(wanted["applied_globally"], bool)
        assert wanted["severity"] in ("informational", "low", "medium", "high", "critical")
        assert wanted["action"] in ("no_action", "allow", "prevent_no_ui", "prevent", "detect")
        assert set(wanted["platforms"]) <= {"windows", "mac", "linux", "ios", "android"}
        if any(i["value"] == wanted["value"] for i in self.indicators.values()):
            said = {"row": 1, "message_type": "error", "message": "Duplicate type and value combination"}
            failed = {"code": 400, "message": "1 out of 1 indicators failed"}
            return Answer(400, {"errors": [failed], "resources": [said]})
        made = self.indicator(**wanted)
        del self.indicators[made["id"]]

        def create() -> bool:
            self.indicators[made["id"]] = made
            return True

        return self.change(create, Answer(201, {"resources": [made], "errors": []}))

    def indicator(self, **fields: Any) -> dict[str, Any]:
        made = {"id": uuid.uuid4().hex, "deleted": False, "expired": False, "applied_globally": True} | fields
        self.indicators[made["id"]] = made
        return made

    def indicator_delete_v1(self, request: Request) -> Answer:
        assert request.one("filter") is None, "a filter deletes in bulk"
        ids = [value for name, value in request.query if name == "ids"]

        def delete() -> bool:
            for one in ids:
                self.indicators.pop(one)
            return False

        return self.change(delete, Answer(200, {"resources": ids, "errors": []}))


class FalconRig(Rig):
    """The hosts WS-ANN and bystanders, and hashes that nobody knows."""

    secrets = (SECRET, "tok-" + "t" * 40)

    def __init__(self, vendor: Falcon, **options: Any) -> None:
        self.vendor, self.options = vendor, options
        for bystander in ("WS-ANN2", "XWS-ANN", "db1", "a", "admin"):
            vendor.add(bystander)
        vendor.add("WS-ANN")
        vendor.indicator(type="sha256", value="0" * 64, action="prevent", source="someone")

    def connector(self) -> CrowdStrikeConnector:
        given = {"settle_s": 0.0, "timeout_s": 2.0} | self.options
        return CrowdStrikeConnector(client_id="c" * 32, client_secret=SECRET, base_url=self.vendor.url, **given)

    def _named(self, target: Target) -> list[dict[str, Any]]:
        return [d for d in self.vendor.devices.values() if d["hostname"].lower() == target.value.lower()]

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        if action == "isolate_host":
            self._named(target)[0]["status"] = "contained"
        else:
            self.vendor.indicator(type="sha256", value=target.value, action="prevent", source="an analyst")

    def in_effect(self, action: ActionName, target: Target) -> bool:
        if action == "isolate_host":
            return self._named(target)[0]["status"] == "contained"
        return any(i["value"] == target.value and i["action"] == "prevent" for i in self.vendor.indicators.values())

    def effects(self) -> int:
        return self.vendor.effects

    def touched(self) -> set[str]:
        hosts = {str(d["hostname"]) for d in self.vendor.devices.values() if d["status"] != "normal"}
        return hosts | {str(i["value"]) for i in self.vendor.indicators.values() if i["source"] != "someone"}

    def forget(self, target: Target) -> None:
        for device in self._named(target):
            del self.vendor.devices[device["device_id"]]

    def deny(self) -> None:
        self.vendor.denied = True

    def ignore(self) -> None:
        self.vendor.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.vendor.losing = count

    def limit_rate(self, count: int) -> None:
        self.vendor.limiting = count

    def plant(self, target: Target) -> bool:
        if target.kind != "host":
            return False
        self.vendor.add(target.value)
        return True

    def twin(self, target: Target) -> bool:
        if target.kind != "host":
            return False
        self.vendor.add(target.value.lower(), "other.example")
        return True
