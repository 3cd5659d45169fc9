"""Every call of the API as a value, and what an answer means: shared by the sync and the async client (no I/O here)."""

from __future__ import annotations

import ipaddress
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import httpx

from .errors import BY_STATUS, AegisClientError, InvalidInput, ServerError, Unavailable

Alert = Mapping[str, Any] | str | bytes | Path
"""A native alert: a mapping, JSON text, or the path of a file as a Path (a str is never taken for a path)."""

RETRIED = (429, 502, 503, 504)
LONGEST_WAIT = 30.0
"""Seconds that a retry waits at most; a server that asks for more gets its answer passed on."""


class Call(NamedTuple):
    """One request: everything that does not depend on how it is sent."""

    method: str
    path: str
    params: dict[str, str] = {}
    content: bytes | None = None
    headers: dict[str, str] = {}


def base_url(url: str, token: str | None, *, allow_http: bool) -> str:
    """The server's address, checked. Raises InvalidInput, also where a token would travel unencrypted."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(f"{url!r} is no address of a server", field="url", fix="as in https://aegis.example")
    if parts.username or parts.password:
        raise InvalidInput("has a name or password in it", field="url", fix="give the token as `token`")
    if token and parts.scheme == "http" and not allow_http and not _loopback(parts.hostname):
        raise InvalidInput(
            "the token would travel unencrypted",
            field="url",
            fix="use https, or allow_http=True on a network you trust",
        )
    return url.rstrip("/")


def bearer(token: str | None) -> dict[str, str]:
    """The headers of every request."""
    if token is None:
        return {"Accept": "application/json"}
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("is no token: it is empty or has characters that none has", field="token")
    return {"Accept": "application/json", "Authorization": f"Bearer {token}"}


def investigate(alert: Alert, format: str | None, shadow: bool, key: str | None) -> Call:
    """Hand in one alert."""
    params = {"format": format} if format else {}
    params |= {"shadow": "true"} if shadow else {}
    return _post("/v1/incidents", alert_bytes(alert), params, key)


def investigate_many(alerts: Iterable[Alert], format: str | None) -> Call:
    """Hand in several, a line each."""
    lines = b"\n".join(_one_line(alert_bytes(alert)) for alert in alerts)
    call = _post("/v1/incidents/batch", lines, {"format": format} if format else {}, None)
    return call._replace(headers=call.headers | {"Content-Type": "application/x-ndjson"})


def answer_action(action_id: str, verb: str, body: Mapping[str, Any]) -> Call:
    """Approve, deny, undo, keep or retarget."""
    return _post(f"/v1/actions/{_segment(action_id, 'action_id')}/{verb}", _dump(body, "body"), {}, None)


def confirm(incident_id: str, verdict: str) -> Call:
    """Say what an incident really was."""
    path = f"/v1/incidents/{_segment(incident_id, 'incident_id')}/confirm"
    return _post(path, _dump({"verdict": verdict}, "verdict"), {}, None)


def ask(question: str, incident_id: str | None) -> Call:
    """Ask the assistant."""
    body = {"question": question} | ({"incident_id": incident_id} if incident_id else {})
    return _post("/v1/ask", _dump(body, "question"), {}, None)


def incident(incident_id: str, include_facts: bool) -> Call:
    """Read a case."""
    path = f"/v1/incidents/{_segment(incident_id, 'incident_id')}"
    return get(path, include="incident" if include_facts else None)


def action(action_id: str) -> Call:
    """Read an action."""
    return get(f"/v1/actions/{_segment(action_id, 'action_id')}")


def get(path: str, **params: object) -> Call:
    """Read something; parameters that are None are left out."""
    shown = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in params.items() if v is not None}
    return Call("GET", path, shown)


def alert_bytes(alert: Alert) -> bytes:
    """An alert as the bytes to send. Raises InvalidInput for what is no JSON object."""
    if isinstance(alert, Path):
        try:
            alert = alert.read_bytes()
        except OSError as error:
            raise InvalidInput(f"can't be read: {error.strerror}", field=str(alert)) from error
    if isinstance(alert, Mapping):
        return _dump(alert, "alert")
    text = alert.encode("utf-8", "surrogatepass") if isinstance(alert, str) else alert
    if not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise InvalidInput("is no JSON object", field="alert", fix="give a mapping, JSON text, or a Path")
    return text


def parse(response: httpx.Response) -> Any:
    """What an answer says. Raises the error that it is."""
    if response.is_success:
        try:
            return response.json()
        except ValueError as error:
            raise ServerError("the answer is no JSON: is this an Aegis server?", status=response.status_code) from error
    raise error_of(response)


def parse_lines(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """What a batch's answer says, a dict a line."""
    if not response.is_success:
        raise error_of(response)
    for line in response.text.split("\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ServerError("a line of the answer is no JSON", status=response.status_code) from error


def error_of(response: httpx.Response) -> AegisClientError:
    """The error that an answer is (RFC 9457, problem details)."""
    try:
        found = response.json()
    except ValueError:
        found = None
    problem: dict[str, Any] = found if isinstance(found, dict) else {}
    otherwise = f"HTTP {response.status_code} {response.reason_phrase}"
    return _problem(problem, response.status_code, retry_after(response), otherwise)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3: a number or a date)."""
    said = response.headers.get("retry-after")
    if said is None:
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time())
    except ValueError:
        return None


def wait_before(attempt: int, response: httpx.Response | None) -> float | None:
    """Seconds to wait before trying again; None where trying again is no use."""
    backoff = min(LONGEST_WAIT, 0.25 * 2.0**attempt)
    if response is None:
        return backoff
    if response.status_code not in RETRIED:
        return None
    asked = retry_after(response)
    if asked is None:
        return backoff
    return asked if asked <= LONGEST_WAIT else None


def unreachable(error: httpx.TransportError) -> Unavailable:
    """The error for a server that gave no answer."""
    return Unavailable(f"the server gave no answer: {error or type(error).__name__}")


class EventReader:
    """Server-sent events (WHATWG HTML, 9.2) from lines, the data read as JSON."""

    def __init__(self) -> None:
        self._name, self._data = "message", list[str]()

    def line(self, line: str) -> Iterator[tuple[str, Any]]:
        """The (event, data) that this line ends, if any. Raises the error that an `error` event is."""
        if line == "":
            name, data = self._name, self._data
            self._name, self._data = "message", []
            if data:
                yield _event(name, data)
        elif line.startswith("event:"):
            self._name = line[6:].strip()
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))


def _event(name: str, data: list[str]) -> tuple[str, Any]:
    try:
        value = json.loads("\n".join(data))
    except ValueError as error:
        raise ServerError("an event of the answer is no JSON") from error
    if name != "error":
        return name, value
    problem: dict[str, Any] = value if isinstance(value, dict) else {}
    status = problem.get("status") if isinstance(problem.get("status"), int) else None
    raise _problem(problem, status, None, "the server failed in the middle")


def _problem(problem: dict[str, Any], status: int | None, after: float | None, otherwise: str) -> AegisClientError:
    kind = BY_STATUS.get(status, ServerError) if status is not None else ServerError
    text = {k: str(v) for k in ("code", "field", "fix") if (v := problem.get(k)) is not None}
    told = str(problem.get("detail") or problem.get("title") or otherwise)
    return kind(told, status=status, retry_after=after, **text)


def _post(path: str, content: bytes, params: dict[str, str], key: str | None) -> Call:
    """A POST has a key of its own, so that sending it again does nothing twice."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or str(uuid.uuid4())}
    return Call("POST", path, params, content, headers)


def _dump(value: Mapping[str, Any], field: str) -> bytes:
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"can't be written as JSON: {error}", field=field) from error


def _one_line(text: bytes) -> bytes:
    """JSON text without line breaks, which within JSON are only ever white space."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _segment(value: str, field: str) -> str:
    if not value or value in (".", ".."):
        raise InvalidInput("is empty" if not value else f"{value!r} is none", field=field)
    return quote(value, safe="")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
