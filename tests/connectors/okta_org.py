"""An Okta organisation on loopback that takes only what Okta publishes.

Routes and query parameters are those of Okta's OpenAPI document, as its SDK carries them; an
account's answer has the shape of the answers that Okta recorded for the SDK's own tests. Logins are
looked up as Okta says: by id, login or short name, whatever the case and the marks on letters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from urllib.parse import parse_qs, unquote

from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.okta import OktaConnector
from tests.connectors.contract import Rig
from tests.connectors.loopback import Answer, Request, Vendor

TOKEN = "00" + "S3cr3t" * 6
_ROUTES: dict[str, set[str]] = {
    "GET /api/v1/users/{id}": {"expand"},
    "POST /api/v1/users/{id}/lifecycle/suspend": set(),
    "POST /api/v1/users/{id}/lifecycle/unsuspend": set(),
    "POST /api/v1/users/{id}/lifecycle/reset_password": {"sendEmail", "revokeSessions"},
    "DELETE /api/v1/users/{userId}/sessions": {"oauthTokens", "forgetDevices"},
}
_SUMMARY = {
    400: ("E0000001", "Api validation failed"), 401: ("E0000011", "Invalid token provided"),
    403: ("E0000006", "You do not have permission to perform the requested action"),
    404: ("E0000007", "Not found: Resource not found"), 429: ("E0000047", "API call exceeded rate limit"),
}  # fmt: skip


def folded(name: str) -> str:
    """As Okta compares logins."""
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).lower()


class OktaOrg(Vendor):
    """Accounts by id."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[str, dict[str, Any]] = {}
        self.sessions_ended: list[str] = []
        self.answer_garbage = False
        self.bearer = "at-" + "b" * 30
        self.oauth = 200

    def add(self, login: str, status: str = "ACTIVE") -> dict[str, Any]:
        key = f"00u{len(self.users):017d}"
        when = "2026-09-29T03:35:20.000Z"
        self.users[key] = {
            "id": key, "status": status, "created": when, "activated": when, "statusChanged": when, "lastLogin": None,
            "lastUpdated": when, "passwordChanged": when, "type": {"id": "otynwlw0pkLLUgtNG5d7"},
            "profile": {"firstName": "A", "lastName": "B", "login": login, "email": "someone@example.com"},
        }  # fmt: skip
        return self.users[key]

    def error(self, status: int, extra: str = "") -> Answer:
        code, summary = _SUMMARY[status]
        body = {
            "errorCode": code,
            "errorSummary": summary + extra,
            "errorLink": code,
            "errorId": "oae1",
            "errorCauses": [],
        }
        return Answer(status, body)

    def busy(self) -> Answer:
        return self.error(429)

    def answer(self, request: Request) -> Answer:
        if request.path == "/oauth2/v1/token":
            form = parse_qs(request.body.decode())
            assert form["grant_type"] == ["client_credentials"]
            assert form["client_assertion"][0].count(".") == 2
            if self.oauth != 200:
                return Answer(self.oauth, {"error": "invalid_client", "error_description": "no such client"})
            return Answer(200, {"access_token": self.bearer, "token_type": "Bearer", "expires_in": 3600})
        found = re.fullmatch(r"/api/v1/users/([^/]+)(/lifecycle/\w+|/sessions)?", request.path)
        assert found, "no such path"
        route = f"{request.method} /api/v1/users/{'{userId}' if found[2] == '/sessions' else '{id}'}{found[2] or ''}"
        allowed = _ROUTES[route]
        assert {name for name, _ in request.query} <= allowed, f"no such parameter: {request.query}"
        assert all(value in ("true", "false") for _, value in request.query), request.query
        if request.headers.get("authorization") not in (f"SSWS {TOKEN}", f"Bearer {self.bearer}"):
            return self.error(401)
        if self.denied:
            return self.error(403, f" {TOKEN}")
        if self.answer_garbage:
            return Answer(200, {"id": 7, "status": "ON FIRE"})
        user = self._find(unquote(found[1]), by_id_alone=found[2] == "/sessions")
        if user is None:
            return self.error(404, f": {unquote(found[1])} (User)")
        if found[2] is None:
            from okta.models.user import User

            User.from_dict(user)
            return Answer(200, user)
        return self._change(found[2], user, request)

    def _find(self, name: str, *, by_id_alone: bool) -> dict[str, Any] | None:
        if name in self.users or by_id_alone:
            return self.users.get(name)
        whole = [u for u in self.users.values() if folded(u["profile"]["login"]) == folded(name)]
        short = [u for u in self.users.values() if folded(u["profile"]["login"].partition("@")[0]) == folded(name)]
        return next((found[0] for found in (whole, short) if len(found) == 1), None)

    def _change(self, what: str, user: dict[str, Any], request: Request) -> Answer:
        if what == "/sessions":
            assert request.one("oauthTokens") == "true"

            def end() -> bool:
                self.sessions_ended.append(user["profile"]["login"])
                return True

            return self.change(end, Answer(204))
        before, after = {
            "/lifecycle/suspend": (("ACTIVE",), "SUSPENDED"),
            "/lifecycle/unsuspend": (("SUSPENDED",), "ACTIVE"),
            "/lifecycle/reset_password": (("ACTIVE", "PASSWORD_EXPIRED", "LOCKED_OUT", "RECOVERY"), "RECOVERY"),
        }[what]
        if what == "/lifecycle/reset_password":
            assert request.one("sendEmail") == "true", "else the link is in the answer"
        if user["status"] not in before:
            return self.error(403, ": not allowed in the user's current status")

        def do() -> bool:
            user["status"] = after
            return after != "ACTIVE"

        return self.change(do, Answer(200, {}))


class OktaRig(Rig):
    """ann@example.com and O'Brien among others."""

    secrets = (TOKEN,)

    def __init__(self, vendor: OktaOrg, **options: Any) -> None:
        self.vendor, self.options = vendor, options
        for login in ("ann@example.com", "anna@example.com", "ann@other.example", "a@example.com", "me@example.com"):
            vendor.add(login)

    def connector(self) -> OktaConnector:
        given = {"org_url": self.vendor.url, "token": TOKEN, "timeout_s": 5.0} | self.options
        return OktaConnector(**given)

    def _user(self, target: Target) -> dict[str, Any]:
        return next(u for u in self.vendor.users.values() if u["profile"]["login"].lower() == target.value.lower())

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self._user(target)["status"] = "SUSPENDED"

    def in_effect(self, action: ActionName, target: Target) -> bool:
        if action == "revoke_sessions":
            return target.value in self.vendor.sessions_ended
        return bool(self._user(target)["status"] == ("SUSPENDED" if action == "disable_user" else "RECOVERY"))

    def effects(self) -> int:
        return self.vendor.effects

    def touched(self) -> set[str]:
        out = {str(u["profile"]["login"]) for u in self.vendor.users.values() if u["status"] != "ACTIVE"}
        return out | set(self.vendor.sessions_ended)

    def forget(self, target: Target) -> None:
        del self.vendor.users[self._user(target)["id"]]

    def deny(self) -> None:
        self.vendor.denied = True

    def ignore(self) -> None:
        self.vendor.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.vendor.losing = count

    def limit_rate(self, count: int) -> None:
        self.vendor.limiting = count

    def plant(self, target: Target) -> bool:
        self.vendor.add(target.value)
        return True
