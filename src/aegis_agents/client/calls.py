"""Every call of the API as a value: shared by the sync and the async client (no I/O here)."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Union
from urllib.parse import quote

import httpx

from .errors import InvalidInput

# A Union, not a "|": hosts of SOAR platforms have Python 3.9 too.
Alert = Union[Mapping[str, Any], str, bytes, Path]  # noqa: UP007
"""A native alert: a mapping, JSON text, or the path of a file as a Path (a str is never taken for a path)."""

AGENT = "aegis-soc-client"
_HOST = re.compile(rb"[0-9A-Za-z._:-]+")
_LONGEST_ID = 300
_LONGEST_KEY = 255
_LONGEST_PARAMETER = 4_000


class Call(NamedTuple):
    """One request: everything that does not depend on how it is sent. `lines` is how many a batch's answer has."""

    method: str
    path: str
    params: Mapping[str, str]
    content: bytes | None = None
    headers: Mapping[str, str] = {}
    lines: int = 0


def base_url(url: str, token: str | None, *, allow_http: bool) -> httpx.URL:
    """The server's address, checked. Raises InvalidInput, also where a token would travel unencrypted.

    Read by httpx itself, so that what is checked is what will be connected to.
    """
    try:
        read = httpx.URL(url.rstrip("/"))
    except (httpx.InvalidURL, ValueError, TypeError, AttributeError):
        read = httpx.URL("")
    well_formed = _HOST.fullmatch(read.raw_host) and (read.port is None or 0 < read.port < 65_536)
    if read.scheme not in ("http", "https") or not well_formed or read.query or read.fragment:
        raise InvalidInput(
            f"{str(url)[:200]!r} is no address of a server", field="url", fix="as in https://aegis.example"
        )
    if read.userinfo:
        raise InvalidInput("has a name or password in it", field="url", fix="give the token as `token`")
    if token and read.scheme == "http" and not allow_http and not _loopback(read.host):
        raise InvalidInput(
            "the token would travel unencrypted",
            field="url",
            fix="use https, or allow_http=True on a network you trust",
        )
    return read


def trust_environment(url: httpx.URL) -> bool:
    """Whether the environment's proxies may be used: not for plain HTTP to this very machine, which never leaves it."""
    return not (url.scheme == "http" and _loopback(url.host))


def seconds(timeout: float) -> float:
    """A time-out, checked."""
    if not 0 < timeout <= 86_400:
        raise InvalidInput("is no number of seconds", field="timeout", fix="more than 0, and a day at most")
    return timeout


def bearer(token: str | None) -> dict[str, str]:
    """The headers of every request. Compressed answers are not asked for, so that none can blow up."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": AGENT}
    if token is None:
        return headers
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("is no token: it is empty or has characters that none has", field="token")
    return headers | {"Authorization": f"Bearer {token}"}


def investigate(alert: Alert, format: str | None, shadow: bool, key: str | None) -> Call:
    """Hand in one alert."""
    params = {"format": format} if format else {}
    return _post("/v1/incidents", alert_bytes(alert), params | ({"shadow": "true"} if shadow else {}), key)


def investigate_many(alerts: Iterable[Alert], format: str | None, shadow: bool) -> Call:
    """Hand in several, a line each."""
    lines = [_one_line(alert_bytes(alert)) for alert in alerts]
    params = {"format": format} if format else {}
    call = _post("/v1/incidents/batch", b"\n".join(lines), params | ({"shadow": "true"} if shadow else {}), None)
    return call._replace(headers={**call.headers, "Content-Type": "application/x-ndjson"}, lines=len(lines))


def answer_action(action_id: str, verb: str, body: Mapping[str, Any]) -> Call:
    """Approve, deny, undo, keep or retarget; an empty reason is none."""
    said = {k: v for k, v in body.items() if v or k != "reason"}
    return _post(f"/v1/actions/{_segment(action_id, 'action_id')}/{verb}", _dump(said, "reason"), {}, None)


def confirm(incident_id: str, verdict: str) -> Call:
    """Say what an incident really was."""
    path = f"/v1/incidents/{_segment(incident_id, 'incident_id')}/confirm"
    return _post(path, _dump({"verdict": verdict}, "verdict"), {}, None)


def propose(incident_id: str, action: str, kind: str, value: str, reason: str) -> Call:
    """Wish for an action."""
    body = {"action": action, "kind": kind, "value": value} | ({"reason": reason} if reason else {})
    return _post(f"/v1/incidents/{_segment(incident_id, 'incident_id')}/actions", _dump(body, "action"), {}, None)


def ask(question: str, incident_id: str | None, thread: str | None = None) -> Call:
    """Ask the assistant."""
    named = {"incident_id": incident_id, "thread": thread}
    body = {"question": question} | {k: v for k, v in named.items() if v}
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
    return Call("GET", path, {k: _parameter(k, str(v)) for k, v in params.items() if v is not None})


def alert_bytes(alert: Alert) -> bytes:
    """An alert as the bytes to send. Raises InvalidInput for what is no JSON object."""
    if isinstance(alert, Path):
        try:
            alert = alert.read_bytes()
        except (OSError, ValueError) as error:
            raise InvalidInput(f"can't be read: {error}", field="alert", fix="a file that is there") from error
    if isinstance(alert, Mapping):
        return _dump(alert, "alert")
    # A lone surrogate can only stand within a JSON string, where its escape means the same.
    text = alert.encode("utf-8", "backslashreplace") if isinstance(alert, str) else alert
    if not isinstance(text, bytes) or not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise InvalidInput("is no JSON object", field="alert", fix="give a mapping, JSON text, or a Path")
    return text


def _post(path: str, content: bytes, params: Mapping[str, str], key: str | None) -> Call:
    """A POST has a key of its own, so that sending it again does nothing twice."""
    if key is not None and not (
        1 <= len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable() and key == key.strip()
    ):
        raise InvalidInput("is no key", field="idempotency_key", fix=f"1 to {_LONGEST_KEY} printable ASCII characters")
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or str(uuid.uuid4())}
    return Call("POST", path, {k: _parameter(k, v) for k, v in params.items()}, content, headers)


def _dump(value: Mapping[str, Any], field: str) -> bytes:
    try:
        # default: mappings that are no dict.
        return json.dumps(value if isinstance(value, dict) else dict(value), allow_nan=False, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"can't be written as JSON: {str(error)[:200]}", field=field) from error


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def _one_line(text: bytes) -> bytes:
    """JSON text without line breaks, which within JSON are only ever white space."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _segment(value: str, field: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_ID or value in (".", ".."):
        raise InvalidInput("is no id", field=field, fix=f"1 to {_LONGEST_ID} characters, as the server gave it")
    return quote(_parameter(field, value), safe="")


def _parameter(field: str, value: str) -> str:
    try:
        if len(value.encode()) <= _LONGEST_PARAMETER:
            return value
    except UnicodeEncodeError:
        pass
    raise InvalidInput("is no text that fits into an address", field=field)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
