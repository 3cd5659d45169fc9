"""The synchronous client."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

import httpx

from . import calls
from .answers import Answer, Approvals, Case, Cases, LedgerPage, Verification
from .calls import Alert, Call


class Client:
    """Speaks to one server.

    `url` is the server's address, `token` one that `aegis token add` made, or an access token of the identity
    provider that the server is configured with. `timeout` is in seconds; `verify` is True, or an `ssl.SSLContext` (for a
    certificate authority of your own); what fails without harm (no connection, 429, 502 to 504) is tried again up to
    `retries` times, with the same idempotency key. Proxies come from the environment, as httpx reads it.
    Every method raises the errors of `errors.py`. Thread-safe. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        verify: ssl.SSLContext | bool = True,
        retries: int = 2,
        allow_http: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=calls.base_url(url, token, allow_http=allow_http),
            headers=calls.bearer(token),
            timeout=timeout,
            verify=verify,
            transport=transport,
        )
        self._retries = retries

    # alerts and cases

    def investigate(
        self, alert: Alert, *, format: str | None = None, shadow: bool = False, idempotency_key: str | None = None
    ) -> Case:
        """Judge one alert and do, or ask for, what follows; the same alert again answers the case that is there."""
        return cast(Case, self._json(calls.investigate(alert, format, shadow, idempotency_key)))

    def investigate_stream(self, alert: Alert, *, format: str | None = None) -> Iterator[tuple[str, Any]]:
        """The same, as (agent, what it added) while it happens, and ("case", the case) at the end."""
        yield from self._stream(calls.investigate(alert, format, False, None))

    def investigate_many(self, alerts: Iterable[Alert], *, format: str | None = None) -> list[dict[str, Any]]:
        """Judge several in one request: a case for each, in order, or {"error", "line"} for one that can't be read."""
        call = calls.investigate_many(alerts, format)
        return list(calls.parse_lines(self._send(call))) if call.content else []

    def incidents(
        self, *, limit: int = 50, cursor: str | None = None, verdict: str | None = None, state: str | None = None
    ) -> Cases:
        """A page of the queue, the newest first; `state="waiting"` for those with something to approve."""
        call = calls.get("/v1/incidents", limit=limit, cursor=cursor, verdict=verdict, state=state)
        return cast(Cases, self._json(call))

    def incident(self, incident_id: str, *, include_facts: bool = False) -> Case:
        """One case as it stands now; with `include_facts` also what the alert said."""
        return cast(Case, self._json(calls.incident(incident_id, include_facts)))

    def confirm(self, incident_id: str, verdict: str) -> dict[str, Any]:
        """Say what an incident really was; similar ones are judged with that from now on."""
        return cast(dict[str, Any], self._json(calls.confirm(incident_id, verdict)))

    # actions

    def approvals(self) -> Approvals:
        """What waits for a person, oldest first."""
        return cast(Approvals, self._json(calls.get("/v1/approvals")))

    def action(self, action_id: str) -> dict[str, Any]:
        """One action as it stands now."""
        return cast(dict[str, Any], self._json(calls.action(action_id)))

    def approve(self, action_id: str, reason: str = "") -> dict[str, Any]:
        """Approve a waiting action; it is done at once unless policy asks for another person too."""
        return self._answer(action_id, "approve", reason=reason)

    def deny(self, action_id: str, reason: str = "") -> dict[str, Any]:
        """Deny a waiting action."""
        return self._answer(action_id, "deny", reason=reason)

    def undo(self, action_id: str, reason: str = "") -> dict[str, Any]:
        """Take an action back."""
        return self._answer(action_id, "undo", reason=reason)

    def keep(self, action_id: str, reason: str = "") -> dict[str, Any]:
        """Let an action stay that would lift itself."""
        return self._answer(action_id, "keep", reason=reason)

    def retarget(self, action_id: str, kind: str, value: str, reason: str = "") -> dict[str, Any]:
        """Aim a waiting action at another entity of the same incident; that one waits then."""
        return self._answer(action_id, "retarget", kind=kind, value=value, reason=reason)

    # questions and proof

    def ask(self, question: str, incident_id: str | None = None) -> Answer:
        """Ask about a case, the queue or intelligence in plain language; every sentence of the answer cites."""
        return cast(Answer, self._json(calls.ask(question, incident_id)))

    def ask_stream(self, question: str, incident_id: str | None = None) -> Iterator[tuple[str, Any]]:
        """The same, as ("token", text) and ("cite", ...) while it comes, and ("answer", the answer) at the end."""
        yield from self._stream(calls.ask(question, incident_id))

    def ledger(
        self, *, after: int = 0, limit: int = 100, incident: str | None = None, kind: str | None = None
    ) -> LedgerPage:
        """Ledger entries after one, in their order."""
        call = calls.get("/v1/ledger", after=after, limit=limit, incident=incident, kind=kind)
        return cast(LedgerPage, self._json(call))

    def verify_ledger(self) -> Verification:
        """Whether the ledger is whole, as the server finds it."""
        return cast(Verification, self._json(calls.get("/v1/ledger/verify")))

    def health(self) -> dict[str, Any]:
        """Whether the server is up; needs no token."""
        return cast(dict[str, Any], self._json(calls.get("/healthz")))

    # within

    def _answer(self, action_id: str, verb: str, **body: str) -> dict[str, Any]:
        said = {k: v for k, v in body.items() if v or k != "reason"}
        return cast(dict[str, Any], self._json(calls.answer_action(action_id, verb, said)))

    def _json(self, call: Call) -> Any:
        return calls.parse(self._send(call))

    def _send(self, call: Call) -> httpx.Response:
        """Send, and again where that may help and does no harm."""
        attempt = 0
        while True:
            response: httpx.Response | None = None
            try:
                response = self._http.request(
                    call.method, call.path, params=call.params, content=call.content, headers=call.headers
                )
            except httpx.TransportError as error:
                if attempt >= self._retries:
                    raise calls.unreachable(error) from error
            wait = calls.wait_before(attempt, response)
            if response is not None and (wait is None or attempt >= self._retries):
                return response
            time.sleep(wait or 0.0)
            attempt += 1

    def _stream(self, call: Call) -> Iterator[tuple[str, Any]]:
        """Server-sent events as they come. Not tried again: what came was seen."""
        headers = call.headers | {"Accept": "text/event-stream"}
        try:
            with self._http.stream(
                call.method, call.path, params=call.params, content=call.content, headers=headers
            ) as response:
                if not response.is_success:
                    response.read()
                    raise calls.error_of(response)
                reader = calls.EventReader()
                for line in response.iter_lines():
                    yield from reader.line(line)
        except httpx.TransportError as error:
            raise calls.unreachable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
