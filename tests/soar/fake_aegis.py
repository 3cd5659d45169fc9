"""A server that answers as `aegis serve` does, for tests of what talks to it: loopback HTTP, the standard library alone.

    with FakeAegis() as fake:
        Client(fake.url, fake.token()).investigate({"title": "Beacon"})

It knows no security: every alert is a true positive with one action that waits. What it does keep to is the contract:
roles, status codes, problem details, idempotency keys, one answer an action, streams. `script()` puts hostile or broken
answers before the real ones; `requests` has what came. It runs on Python 3.9, as SOAR platforms do.
`python fake_aegis.py` serves until standard input ends, and prints its URL first.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

ROLES = {
    "viewer": {"viewer"}, "analyst": {"viewer", "analyst"}, "approver": {"viewer", "approver"},
    "operator": {"viewer", "operator"}, "admin": {"viewer", "analyst", "approver", "operator"},
}  # fmt: skip
AT = "2026-11-26T09:00:00Z"
_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
    413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
    502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip
_BODY_BYTES = 5_000_000


class Came(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Refused(Exception):
    """An error to answer."""

    def __init__(self, status: int, code: str, detail: str, **more: str) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail, "code": code}
        self.body.update(more)


class FakeAegis:
    """The server; a context manager. Nothing leaves this machine, and nothing is kept."""

    def __init__(self) -> None:
        self.cases: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, dict[str, Any]] = {}
        self.entries: list[dict[str, Any]] = []
        self.requests: list[Came] = []
        self.tokens = {f"token-{role}": set(held) for role, held in ROLES.items()}
        self.kept: dict[tuple[str, str], tuple[str, int, Any]] = {}
        self._scripted: list[Callable[[_Handler], None]] = []
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def token(self, *roles: str) -> str:
        """A token of these roles; of all of them, where none is named."""
        name = "token-" + "-".join(roles or ("admin",))
        self.tokens.setdefault(name, set().union(*(ROLES.get(role, set()) for role in roles)))
        return name

    def script(self, *answers: Callable[[_Handler], None] | tuple[int, dict[str, str], bytes]) -> None:
        """What to answer to the next requests, whatever they ask: (status, headers, body), or a function."""
        for given in answers:
            self._scripted.append(given if callable(given) else _canned(*given))

    def __enter__(self) -> FakeAegis:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # what it does

    def investigate(self, alert: Any, shadow: bool = False) -> tuple[dict[str, Any], bool]:
        """A case, and whether it is new."""
        if not isinstance(alert, dict):
            raise Refused(
                422, "invalid_input", f"the alert is a {type(alert).__name__}, not a JSON object", fix="give {...}"
            )
        incident_id = "inc-" + hashlib.sha256(json.dumps(alert, sort_keys=True).encode()).hexdigest()[:20]
        with self._lock:
            if incident_id in self.cases:
                return self.case(incident_id), False
            action_id = "act-" + incident_id[4:]
            title = str(alert.get("title", "untitled"))
            host = str(alert.get("host", "wks-042"))
            self.actions[action_id] = {
                "action_id": action_id, "incident_id": incident_id, "action": "isolate_host",
                "target": {"kind": "host", "value": host}, "rule": "autonomy.ask", "reversible": True,
                "outcome": "would_execute" if shadow else "awaiting_approval", "by": None, "detail": "",
                "reason": f"{host} talks to a known command and control server [f1]", "why_waiting": "autonomy is ask",
                "effect": "contain", "undo": "release_host", "expires_at": None, "approvals": [], "asked_at": AT,
                "updated_at": AT, "title": title, "verdict": "true_positive", "confidence": 0.97,
                "cites": [{"id": "f1", "text": title}],
            }  # fmt: skip
            self.cases[incident_id] = {
                "incident_id": incident_id, "source": "generic", "native_id": str(alert.get("id", "")), "title": title,
                "verdict": "true_positive", "confidence": 0.97, "severity": "high", "techniques": ["T1071.001"],
                "evidence": [
                    {"kind": "fact", "id": "f1", "path": "title", "value": title, "weight": 2.1, "trust": "vendor"},
                    {
                        "kind": "passage", "id": "T1071.001", "source": "attack", "title": "Web Protocols",
                        "snapshot": "s-1", "score": 0.8, "feed": "attack", "trust": 1.0, "tlp": "clear",
                    },
                ],
                "summary": f"{title}: a known command and control server was contacted [f1].",
                "probabilities": {
                    "true_positive": 0.97, "benign_positive": 0.02, "false_positive": 0.01, "undetermined": 0.0,
                },
                "versions": {"model": "fake"}, "notes": [], "timing_ms": 3.0, "copies": 1,
            }  # fmt: skip
            self._entry("case.decided", incident_id, {"verdict": "true_positive"})
            return self.case(incident_id), True

    def case(self, incident_id: str) -> dict[str, Any]:
        """A case as it stands."""
        if incident_id not in self.cases:
            raise Refused(404, "not_found", f"there is no case {incident_id!r}", field="incident_id")
        shown = ("action_id", "action", "target", "outcome", "rule", "reason", "reversible", "by", "detail")
        mine = [a for a in self.actions.values() if a["incident_id"] == incident_id]
        return {**self.cases[incident_id], "actions": [{k: a[k] for k in shown} for a in mine]}

    def action(self, action_id: str) -> dict[str, Any]:
        """An action as it stands."""
        if action_id not in self.actions:
            raise Refused(404, "not_found", f"no action has the id {action_id!r}")
        return self.actions[action_id]

    def say(self, action_id: str, verb: str, body: dict[str, Any], who: str) -> dict[str, Any]:
        """What a person says of an action; the first one counts."""
        with self._lock:
            action = self.action(action_id)
            wanted, outcome = _MOVES[verb]
            if action["outcome"] != wanted:
                code = "already_decided" if wanted == "awaiting_approval" else "not_allowed"
                raise Refused(409, code, f"{action_id} is {action['outcome']} (by {action['by']})")
            if verb == "retarget":
                new = dict(action, action_id=action_id + "-r", target={"kind": body["kind"], "value": body["value"]})
                self.actions[new["action_id"]] = new
                action.update(outcome="denied", by=who)
                return new
            action.update(outcome=outcome, by=who, detail=body.get("reason", ""))
            self._entry("action.answered", action["incident_id"], {"action_id": action_id, "verb": verb})
            return next(a for a in self.case(action["incident_id"])["actions"] if a["action_id"] == action_id)

    def answer(self, question: str, incident_id: str | None) -> dict[str, Any]:
        """The assistant's answer."""
        case = self.case(incident_id) if incident_id else None
        text = f"{case['title']} is judged true_positive." if case else f"{len(self.cases)} incidents are in the queue."
        return {
            "question": question, "text": text, "sentences": [{"text": text, "cites": ["f1"] if case else []}],
            "cites": [{"id": "f1", "kind": "fact", "text": case["title"], "ref": "title"}] if case else [],
            "proposals": [], "answered": True, "intent": "", "incident_id": incident_id, "looked_at": [], "notes": [],
            "model": "embedded", "thread": None, "timing_ms": 2.0, "first_token_ms": 1.0,
        }  # fmt: skip

    def _entry(self, kind: str, incident_id: str, body: dict[str, Any]) -> None:
        seq = len(self.entries) + 1
        self.entries.append({"seq": seq, "kind": kind, "incident_id": incident_id, "body": body, "at": AT})


_MOVES = {
    "approve": ("awaiting_approval", "executed"), "deny": ("awaiting_approval", "denied"),
    "retarget": ("awaiting_approval", "awaiting_approval"), "undo": ("executed", "undone"), "keep": ("executed", "executed"),
}  # fmt: skip
_NEEDED = {"approve": "approver", "deny": "approver", "retarget": "approver", "undo": "operator", "keep": "operator"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    fake: FakeAegis

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    came: Came

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.came = Came(method, parts.path, query, headers, body)
        with fake._lock:
            fake.requests.append(self.came)
            scripted = fake._scripted.pop(0) if fake._scripted else None
        try:
            if scripted is not None:
                scripted(self)
                return
            self._route(fake)
        except Refused as refused:
            if method == "POST" and refused.status == 401:
                self.close_connection = True
            self.send(refused.status, refused.body, "application/problem+json")

    def _route(self, fake: FakeAegis) -> None:
        came, steps = self.came, [unquote(s) for s in self.came.path.strip("/").split("/")]
        if came.path in ("/healthz", "/readyz"):
            self.send(200, {"status": "ok", "version": "fake"})
            return
        key = (came.method, *steps[:2])
        if came.method == "GET":
            self._may("viewer")
            self._read(fake, steps)
        elif key == ("POST", "v1", "incidents") and len(steps) == 2:
            self._may("analyst")
            self._typed("application/json")
            alert, shadow = self._json(), came.query.get("shadow") == "true"
            if "text/event-stream" in came.headers.get("accept", ""):
                case, _ = fake.investigate(alert, shadow)
                self.events([("triage", {"assessment": {"verdict": case["verdict"]}}), ("case", case)])
            else:
                self._once(lambda: _status(*fake.investigate(alert, shadow)))
        elif key == ("POST", "v1", "incidents") and steps[2:] == ["batch"]:
            self._may("analyst")
            self._typed("application/x-ndjson")
            self._batch(fake)
        elif key == ("POST", "v1", "incidents") and steps[3:] == ["confirm"]:
            self._may("analyst")
            verdict = self._json().get("verdict")
            fake.case(steps[2])
            if verdict not in ("true_positive", "benign_positive", "false_positive"):
                raise Refused(422, "invalid_input", "is no final verdict", field="verdict")
            self._once(lambda: (200, {"incident_id": steps[2], "verdict": verdict}))
        elif key == ("POST", "v1", "actions") and len(steps) == 4 and steps[3] in _MOVES:
            who = self._may(_NEEDED[steps[3]])
            body = self._json() if came.body else {}
            self._once(lambda: (200, fake.say(steps[2], steps[3], body, who)))
        elif key == ("POST", "v1", "ask"):
            self._may("analyst")
            asked = self._json()
            answer = fake.answer(asked["question"], asked.get("incident_id"))
            if "text/event-stream" in came.headers.get("accept", ""):
                cites = [("cite", cite) for cite in answer["cites"]]
                words = [("token", {"text": word + " "}) for word in answer["text"].split()]
                self.events([*cites, *words, ("answer", answer)])
            else:
                self.send(200, answer)
        else:
            raise Refused(404, "no_such_route", "Not Found")

    def _read(self, fake: FakeAegis, steps: list[str]) -> None:
        query, waiting = self.came.query, [a for a in fake.actions.values() if a["outcome"] == "awaiting_approval"]
        if steps == ["v1", "incidents"]:
            rows = [
                {k: case[k] for k in ("incident_id", "title", "source", "verdict", "confidence", "severity")}
                | {"at": AT, "waiting": sum(a["incident_id"] == case["incident_id"] for a in waiting)}
                for case in reversed(list(fake.cases.values()))
            ]
            if query.get("state") == "waiting":
                rows = [row for row in rows if row["waiting"]]
            rows = [row for row in rows if query.get("verdict") in (None, row["verdict"])]
            start, limit = int(query.get("cursor") or 0), int(query.get("limit", 50))
            more = str(start + limit) if start + limit < len(rows) else None
            self.send(200, {"items": rows[start : start + limit], "next": more})
        elif steps[:2] == ["v1", "incidents"] and len(steps) == 3:
            case = fake.case(steps[2])
            extra = {"incident": {"facts": [], "entities": []}} if query.get("include") == "incident" else {}
            self.send(200, {**case, **extra})
        elif steps == ["v1", "approvals"]:
            self.send(200, {"items": waiting[: int(query.get("limit", 100))], "total": len(waiting)})
        elif steps[:2] == ["v1", "actions"] and len(steps) == 3:
            self.send(200, fake.action(steps[2]))
        elif steps == ["v1", "ledger"]:
            after, limit = int(query.get("after", 0)), int(query.get("limit", 100))
            rows = [
                e for e in fake.entries
                if e["seq"] > after
                and query.get("incident") in (None, e["incident_id"])
                and query.get("kind") in (None, e["kind"])
            ][:limit]  # fmt: skip
            self.send(200, {"items": rows, "next": rows[-1]["seq"] if len(rows) == limit else None})
        elif steps == ["v1", "ledger", "verify"]:
            self.send(200, {"intact": True, "entries": len(fake.entries), "head": "0" * 64})
        else:
            raise Refused(404, "no_such_route", "Not Found")

    # parts

    def _may(self, role: str) -> str:
        said = self.came.headers.get("authorization", "")
        token = said[len("Bearer ") :] if said.startswith("Bearer ") else ""
        has = self.server.fake.tokens.get(token)
        if not has:
            raise Refused(401, "unauthorised", "a token is needed: Authorization: Bearer ...")
        who = "token:" + token[len("token-") :]
        if role not in has:
            raise Refused(403, "forbidden", f"{who} is no {role}: it has {', '.join(sorted(has))}")
        return who

    def _typed(self, wanted: str) -> None:
        if self.came.headers.get("content-type", "").partition(";")[0] != wanted:
            raise Refused(415, "unsupported_media_type", f"send {wanted}", field="Content-Type")

    def _json(self) -> Any:
        if len(self.came.body) > _BODY_BYTES:
            raise Refused(413, "too_large", f"the body is longer than {_BODY_BYTES} bytes", fix="send less at once")
        try:
            return json.loads(self.came.body)
        except (ValueError, RecursionError):
            raise Refused(422, "invalid_input", "the body is no JSON", fix="give {...}") from None

    def _batch(self, fake: FakeAegis) -> None:
        lines = []
        for number, line in enumerate(self.came.body.split(b"\n"), 1):
            try:
                lines.append(fake.investigate(json.loads(line))[0])
            except Refused as refused:
                lines.append({"error": str(refused), "line": number})
            except ValueError:
                lines.append({"error": "the alert is no JSON", "line": number})
        body = b"".join(_dump(line) + b"\n" for line in lines)
        self.raw(200, {"Content-Type": "application/x-ndjson"}, body)

    def _once(self, work: Callable[[], tuple[int, Any]]) -> None:
        """Idempotency keys as the server has them: the same answer again, another request is 422, errors are not kept."""
        came, kept = self.came, self.server.fake.kept
        key = came.headers.get("idempotency-key")
        if key is None:
            self.send(*work())
            return
        mine = (came.headers.get("authorization", ""), key)
        asked = hashlib.sha256(repr((came.path, sorted(came.query.items()), came.body)).encode()).hexdigest()
        with self.server.fake._lock:
            if mine in kept and kept[mine][0] != asked:
                raise Refused(422, "idempotency_key_reused", "was used for another request", field="Idempotency-Key")
            if mine not in kept:
                kept[mine] = (asked, *work())
            _, status, body = kept[mine]
        self.send(status, body)

    def send(self, status: int, body: Any, kind: str = "application/json") -> None:
        """A JSON answer."""
        self.raw(status, {"Content-Type": kind}, _dump(body))

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Any answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def events(self, events: list[tuple[str, Any]]) -> None:
        """A stream of events, in chunks, as sse-starlette writes them."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        texts = [f"event: {name}\r\ndata: ".encode() + _dump(data) + b"\r\n\r\n" for name, data in events]
        for text in [b": ping\r\n\r\n", *texts]:
            self.chunk(text)
        self.chunk(b"")

    def chunk(self, data: bytes) -> None:
        """One chunk of a stream; an empty one ends it."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _status(case: dict[str, Any], new: bool) -> tuple[int, dict[str, Any]]:
    return (201 if new else 200), case


def _canned(status: int, headers: dict[str, str], body: bytes) -> Callable[[_Handler], None]:
    return lambda handler: handler.raw(status, headers, body)


def broken_off(handler: _Handler) -> None:
    """Says that 1000 bytes come, sends a few, and goes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"incident_id": ')
    handler.close_connection = True


def gone(handler: _Handler) -> None:
    """Goes without a word, after the request came whole."""
    handler.close_connection = True


def done_and_gone(handler: _Handler) -> None:
    """Does what was asked, and goes before it is told: what idempotency keys are for."""
    answer = handler.send
    handler.send = lambda *_, **__: None  # type: ignore[method-assign, misc]
    handler._route(handler.server.fake)
    handler.send = answer  # type: ignore[method-assign]
    handler.close_connection = True


def silent(seconds: float) -> Callable[[_Handler], None]:
    """Says nothing for so long, then goes."""

    def wait(handler: _Handler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return wait


if __name__ == "__main__":
    with FakeAegis() as served:
        print(served.url, flush=True)
        sys.stdin.read()
