"""Microsoft's sign-in, Graph and Defender for Endpoint on loopback.

Sign-in is what azure-identity and MSAL ask for, with TLS. Graph takes what msgraph-sdk's request
builders and models know: a body is parsed by the SDK's own model, and what that does not know is a
complaint. Defender takes what the published reference describes. OData filters are evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.connectors.loopback import Answer, Request, Vendor, serving

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "Cl13nt~S3cr3t." + "q" * 20
TOKEN = "eyJ0." + "t" * 40
SECRETS = (SECRET, TOKEN)
_FILTER = re.compile(
    r"(?P<open>\()|(?P<close>\))|(?P<word>and|or)\b|startswith\((?P<start>\w+),(?P<prefix>'(?:[^']|'')*')\)"
    r"|(?P<field>\w+) eq (?P<value>'(?:[^']|'')*')"
)


def odata(filter_: str, thing: dict[str, Any], fields: set[str]) -> bool:
    """Whether a $filter of `eq`, `startswith`, `and` and `or` matches, without regard to case, as both services do.

    Raises ValueError for what is none, and for a field that can't be filtered by.
    """
    at, words = 0, []
    while at < len(filter_):
        if filter_[at] == " ":
            at += 1
            continue
        found = _FILTER.match(filter_, at)
        if found is None:
            raise ValueError(f"no OData at {at}: {filter_!r}")
        at = found.end()
        if found["word"] or found["open"] or found["close"]:
            words.append(found["word"] or found[0])
            continue
        name = found["field"] or found["start"]
        if name not in fields:
            raise ValueError(f"{name} can't be filtered by")
        text = (found["value"] or found["prefix"])[1:-1].replace("''", "'").lower()
        value = str(thing.get(name, "")).lower()
        words.append(str(value == text if found["field"] else value.startswith(text)))
    return bool(eval(" ".join(words), {"__builtins__": {}}))  # words are True, False, and, or and brackets


class Login(Vendor):
    """The token endpoint of one tenant. `status` is what it answers."""

    status = 200

    def answer(self, request: Request) -> Answer:
        base = f"{self.url}/{TENANT}"
        if request.path == f"/{TENANT}/v2.0/.well-known/openid-configuration":
            return Answer(200, {
                "issuer": f"{base}/v2.0", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token", "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            })  # fmt: skip
        assert (request.method, request.path) == ("POST", f"/{TENANT}/oauth2/v2.0/token")
        form = parse_qs(request.body.decode())
        assert form["grant_type"] == ["client_credentials"]
        assert form["client_id"] == [CLIENT]
        assert form["scope"][0].endswith("/.default")
        if form["client_secret"] != [SECRET] or self.status != 200:
            said = f"AADSTS7000215: Invalid client secret provided: {form['client_secret'][0]}"
            return Answer(
                self.status if self.status != 200 else 401, {"error": "invalid_client", "error_description": said}
            )
        return Answer(200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": TOKEN})


class Graph(Vendor):
    """Users, and mailboxes with folders and messages."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.clock = datetime(2026, 11, 26, 9, tzinfo=UTC)
        self.closed: set[str] = set()
        self.garbage = False
        self.filters = self.hides = True
        """Whether $filter works for users; whether a list of all messages leaves out hidden folders."""
        self.passwords: list[str] = []
        self.count = 0

    def user(self, name: str, **fields: Any) -> dict[str, Any]:
        key = f"00000000-0000-0000-0000-{len(self.users):012d}"
        self.users[key] = {
            "id": key, "userPrincipalName": name, "accountEnabled": True, "onPremisesSyncEnabled": None,
            "signInSessionsValidFromDateTime": self.now(), "lastPasswordChangeDateTime": self.now(),
        } | fields  # fmt: skip
        self.folder(name, "Inbox", key="inbox-of-" + name)
        return self.users[key]

    def now(self) -> str:
        self.clock += timedelta(seconds=1)
        return self.clock.strftime("%Y-%m-%dT%H:%M:%SZ")

    def folder(self, mailbox: str, name: str, *, hidden: bool = False, key: str = "") -> str:
        self.count += 1
        key = key or f"AAMkF{self.count}="
        self.folders[key] = {"id": key, "displayName": name, "isHidden": hidden, "mailbox": mailbox.lower()}
        return key

    def message(self, mailbox: str, message_id: str, folder: str = "") -> str:
        self.count += 1
        key = f"AAMkM{self.count}/+="
        self.messages[key] = {
            "id": key, "internetMessageId": message_id, "parentFolderId": folder or f"inbox-of-{mailbox}",
            "mailbox": mailbox.lower(), "marks": {},
        }  # fmt: skip
        return key

    def error(self, status: int, code: str, said: str) -> Answer:
        return Answer(status, {"error": {"code": code, "message": said, "innerError": {"date": "2026-11-26T09:00:00"}}})

    def busy(self) -> Answer:
        answer = self.error(429, "TooManyRequests", "Too many requests")
        return Answer(429, answer.body, {"Retry-After": "0"})

    def answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.error(401, "InvalidAuthenticationToken", "Access token is empty.")
        if self.denied:
            return self.error(403, "Authorization_RequestDenied", f"Insufficient privileges {SECRET} {TOKEN}")
        if self.garbage:
            return Answer(200, "<html>" * 3)
        parts = [unquote(part) for part in request.path.split("/")[1:]]
        assert parts[0] == "v1.0"
        assert parts[1] == "users"
        if len(parts) == 2:
            return self._find_user(request)
        if len(parts) > 3 and parts[3] in ("messages", "mailFolders"):
            return self._mail(request, parts[2].lower(), parts[3:])
        user = self.users.get(parts[2])
        if user is None:
            return self.error(404, "Request_ResourceNotFound", f"Resource '{parts[2]}' does not exist")
        if len(parts) == 4:
            assert (request.method, parts[3]) == ("POST", "revokeSignInSessions")
            return self.change(
                lambda: self._set(user, "signInSessionsValidFromDateTime", self.now()), Answer(200, {"value": True})
            )
        assert request.method == "PATCH"
        return self._patch_user(request, user)

    @staticmethod
    def _set(thing: dict[str, Any], name: str, value: Any) -> bool:
        thing[name] = value
        return True

    def _query(self, request: Request, allowed: set[str]) -> dict[str, str]:
        query = dict(request.query)
        assert set(query) <= allowed, f"no such parameter: {query}"
        return query

    def _find_user(self, request: Request) -> Answer:
        assert request.method == "GET"
        query = self._query(request, {"$filter", "$select", "$top"})
        found = [
            u
            for u in self.users.values()
            if odata(query["$filter"], u, {"userPrincipalName", "mail", "id"}) or not self.filters
        ]
        chosen = query["$select"].split(",")
        return Answer(200, {"value": [{name: u[name] for name in chosen} for u in found[: int(query["$top"])]]})

    def _patch_user(self, request: Request, user: dict[str, Any]) -> Answer:
        from msgraph.generated.models.user import User

        body = request.json()
        known(request, User)
        assert set(body) <= {"accountEnabled", "passwordProfile", "@odata.type"}
        if "passwordProfile" in body:
            profile = body["passwordProfile"]
            assert set(profile) - {"@odata.type"} == {"password", "forceChangePasswordNextSignIn"}
            assert len(profile["password"]) <= 256
            self.passwords.append(profile["password"])
            return self.change(lambda: self._set(user, "lastPasswordChangeDateTime", self.now()), Answer(204))

        def switch() -> bool:
            user["accountEnabled"] = body["accountEnabled"]
            return body["accountEnabled"] is False

        return self.change(switch, Answer(204))

    # Mail

    def _mail(self, request: Request, mailbox: str, parts: list[str]) -> Answer:
        if not any(u["userPrincipalName"].lower() == mailbox for u in self.users.values()):
            return self.error(404, "ErrorInvalidUser", f"The requested user '{mailbox}' is invalid.")
        if mailbox in self.closed:
            return self.error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        if parts == ["mailFolders"]:
            return (
                self._list_folders(request, mailbox) if request.method == "GET" else self._make_folder(request, mailbox)
            )
        if parts[0] == "mailFolders":
            assert parts[2:] == ["messages"]
            return self._list_messages(request, mailbox, parts[1])
        if parts == ["messages"]:
            return self._list_messages(request, mailbox, None)
        message = self.messages.get(parts[1])
        if message is None or message["mailbox"] != mailbox:
            return self.error(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return self._move(request, message) if parts[2:] == ["move"] else self._mark(request, message)

    def _list_folders(self, request: Request, mailbox: str) -> Answer:
        query = self._query(request, {"$filter", "includeHiddenFolders"})
        found = [
            {k: v for k, v in f.items() if k != "mailbox"}
            for f in self.folders.values()
            if f["mailbox"] == mailbox
            and (not f["isHidden"] or query.get("includeHiddenFolders") == "true")
            and odata(query["$filter"], f, {"displayName"})
        ]
        return Answer(200, {"value": found})

    def _make_folder(self, request: Request, mailbox: str) -> Answer:
        from msgraph.generated.models.mail_folder import MailFolder

        known(request, MailFolder)
        body = request.json()
        assert set(body) - {"@odata.type"} == {"displayName", "isHidden"}
        if any(f["displayName"] == body["displayName"] and f["mailbox"] == mailbox for f in self.folders.values()):
            return self.error(409, "ErrorFolderExists", "A folder with the specified name already exists.")
        key = self.folder(mailbox, body["displayName"], hidden=body["isHidden"])
        return Answer(201, {k: v for k, v in self.folders[key].items() if k != "mailbox"})

    def _list_messages(self, request: Request, mailbox: str, folder: str | None) -> Answer:
        query = self._query(request, {"$filter", "$select", "$expand", "$top"})
        wanted = re.fullmatch(r"singleValueExtendedProperties\(\$filter=id eq '([^']+)'\)", query["$expand"])
        assert wanted, query["$expand"]
        hidden = {f["id"] for f in self.folders.values() if f["isHidden"] and self.hides}
        found = [
            m for m in self.messages.values()
            if m["mailbox"] == mailbox and odata(query["$filter"], m, {"internetMessageId"})
            and (m["parentFolderId"] == folder if folder else m["parentFolderId"] not in hidden)
        ]  # fmt: skip
        rows = []
        for message in found[: int(query["$top"])]:
            row = {name: message[name] for name in query["$select"].split(",")}
            if wanted[1] in message["marks"]:
                row["singleValueExtendedProperties"] = [{"id": wanted[1], "value": message["marks"][wanted[1]]}]
            rows.append(row)
        more = {"@odata.nextLink": f"{self.url}/v1.0/next"} if len(found) > int(query["$top"]) else {}
        return Answer(200, {"value": rows} | more)

    def _mark(self, request: Request, message: dict[str, Any]) -> Answer:
        from msgraph.generated.models.message import Message

        assert request.method == "PATCH"
        known(request, Message)
        body = request.json()
        assert set(body) - {"@odata.type"} == {"singleValueExtendedProperties"}
        (mark,) = body["singleValueExtendedProperties"]
        message["marks"][mark["id"]] = mark["value"]
        return Answer(200, {"id": message["id"]})

    def _move(self, request: Request, message: dict[str, Any]) -> Answer:
        from msgraph.generated.users.item.messages.item.move.move_post_request_body import MovePostRequestBody

        assert request.method == "POST"
        known(request, MovePostRequestBody)
        (where,) = (v for k, v in request.json().items() if k.lower() == "destinationid")
        where = f"inbox-of-{message['mailbox']}" if where == "inbox" else where
        folder = self.folders.get(where)
        if folder is None or folder["mailbox"] != message["mailbox"]:
            return self.error(404, "ErrorItemNotFound", "The specified folder could not be found in the store.")
        self.count += 1
        moved = message | {"id": f"AAMkM{self.count}/+=", "parentFolderId": where}  # a move makes a new id

        def move() -> bool:
            del self.messages[message["id"]]
            self.messages[moved["id"]] = moved
            return bool(folder["isHidden"])

        return self.change(move, Answer(201, {"id": moved["id"], "parentFolderId": where}))


def known(request: Request, model: Any) -> None:
    """Asserts that the SDK's model of the body knows every property in it."""
    from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory

    node = JsonParseNodeFactory().get_root_parse_node("application/json", request.body)
    parsed = node.get_object_value(model)
    assert not parsed.additional_data, f"{model.__name__} has no {sorted(parsed.additional_data)}"


@contextmanager
def certificate(folder: Path) -> Iterator[tuple[str, str]]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key, as files."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    yield str(chain), str(private)


@contextmanager
def cloud(vendor: Vendor, folder: Path) -> Iterator[Login]:
    """The service and its sign-in, serving; nothing in what was asked of either was out of order."""
    login = Login()
    with certificate(folder) as files, serving(login, certificate=files), serving(vendor):
        yield login
    assert vendor.complaints == []
    assert login.complaints == []
