"""The synchronous client."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

import httpx

from . import calls, reading
from .answers import Action, Answer, Approval, Approvals, Case, Cases, Confirmed, Health, LedgerPage, Verification
from .calls import Alert, Call
from .events import EventReader
from .reading import Body, Outcome, Reply


class Client:
    """Speaks to one server.

    `url` is the server's address, `token` one that `aegis token add` made, or an access token of the identity
    provider that the server is configured with. `timeout` is in seconds: for the connection, for every silence, and for
    a single answer to be whole once it has begun. `verify` is True, or an `ssl.SSLContext` (for a certificate authority
    of your own). What fails without harm (no connection, 408, 429, 502 to 504) is tried again up to `retries` times,
    with the same idempotency key. Proxies come from the environment, as httpx reads it; redirects are not followed.
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
        base = calls.base_url(url, token, allow_http=allow_http)
        self._timeout, self._retries = calls.seconds(timeout), retries
        self._http = httpx.Client(
            base_url=base,
            headers=calls.bearer(token),
            timeout=timeout,
            verify=verify,
            transport=transport,
            trust_env=calls.trust_environment(base),
        )

    # alerts and cases

    def investigate(
        self, alert: Alert, *, format: str | None = None, shadow: bool = False, idempotency_key: str | None = None
    ) -> Case:
        """Judge one alert and do, or ask for, what follows; the same alert again answers the case that is there."""
        return cast(Case, self._json(calls.investigate(alert, format, shadow, idempotency_key)))

    def investigate_stream(
        self, alert: Alert, *, format: str | None = None, shadow: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """The same, as (agent, what it added) while it happens, and ("case", the case) at the end."""
        yield from self._stream(calls.investigate(alert, format, shadow, None), "case")

    def investigate_many(
        self, alerts: Iterable[Alert], *, format: str | None = None, shadow: bool = False
    ) -> list[dict[str, Any]]:
        """Judge several in one request: a case for each, in order, or {"error", "line"} for one that can't be read."""
        call = calls.investigate_many(alerts, format, shadow)
        return reading.parse_lines(self._send(call), call.lines) if call.lines else []

    def incidents(
        self, *, limit: int = 50, cursor: str | None = None, verdict: str | None = None, state: str | None = None
    ) -> Cases:
        """A page of the queue, the newest first; `state="waiting"` for those with something to approve."""
        call = calls.get("/v1/incidents", limit=limit, cursor=cursor, verdict=verdict, state=state)
        return cast(Cases, self._json(call))

    def incident(self, incident_id: str, *, include_facts: bool = False) -> Case:
        """One case as it stands now; with `include_facts` also what the alert said."""
        return cast(Case, self._json(calls.incident(incident_id, include_facts)))

    def confirm(self, incident_id: str, verdict: str) -> Confirmed:
        """Say what an incident really was; similar ones are judged with that from now on."""
        return cast(Confirmed, self._json(calls.confirm(incident_id, verdict)))

    # actions

    def approvals(self, *, limit: int = 100) -> Approvals:
        """What waits for a person, oldest first."""
        return cast(Approvals, self._json(calls.get("/v1/approvals", limit=limit)))

    def action(self, action_id: str) -> Approval:
        """One action as it stands now."""
        return cast(Approval, self._json(calls.action(action_id)))

    def approve(self, action_id: str, reason: str = "") -> Action:
        """Approve a waiting action; it is done at once unless policy asks for another person too."""
        return self._answer(action_id, "approve", reason)

    def deny(self, action_id: str, reason: str = "") -> Action:
        """Deny a waiting action."""
        return self._answer(action_id, "deny", reason)

    def undo(self, action_id: str, reason: str = "") -> Action:
        """Take an action back."""
        return self._answer(action_id, "undo", reason)

    def keep(self, action_id: str, reason: str = "") -> Action:
        """Let an action stay that would lift itself."""
        return self._answer(action_id, "keep", reason)

    def retarget(self, action_id: str, kind: str, value: str, reason: str = "") -> Approval:
        """Aim a waiting action at another entity of the same incident; that one waits then."""
        call = calls.answer_action(action_id, "retarget", {"kind": kind, "value": value, "reason": reason})
        return cast(Approval, self._json(call))

    def propose(self, incident_id: str, action: str, kind: str, value: str, reason: str = "") -> Approval:
        """Wish for an action on an entity of an incident: what the gate allows waits for an approver."""
        return cast(Approval, self._json(calls.propose(incident_id, action, kind, value, reason)))

    # questions and proof

    def ask(self, question: str, incident_id: str | None = None, *, thread: str | None = None) -> Answer:
        """Ask about a case, the queue or intelligence in plain language; every sentence of the answer cites.

        Questions with the same `thread` are one conversation, of this token's holder alone.
        """
        return cast(Answer, self._json(calls.ask(question, incident_id, thread)))

    def ask_stream(
        self, question: str, incident_id: str | None = None, *, thread: str | None = None
    ) -> Iterator[tuple[str, Any]]:
        """The same, as ("token", ...) and ("cite", ...) while it comes, and ("answer", the answer) at the end."""
        yield from self._stream(calls.ask(question, incident_id, thread), "answer")

    def ledger(
        self, *, after: int = 0, limit: int = 100, incident: str | None = None, kind: str | None = None
    ) -> LedgerPage:
        """Ledger entries after one, in their order."""
        call = calls.get("/v1/ledger", after=after, limit=limit, incident=incident, kind=kind)
        return cast(LedgerPage, self._json(call))

    def verify_ledger(self) -> Verification:
        """Whether the ledger is whole, as the server finds it."""
        return cast(Verification, self._json(calls.get("/v1/ledger/verify")))

    def health(self) -> Health:
        """Whether the server is up; needs no token."""
        return cast(Health, self._json(calls.get("/healthz")))

    # within

    def _answer(self, action_id: str, verb: str, reason: str) -> Action:
        return cast(Action, self._json(calls.answer_action(action_id, verb, {"reason": reason})))

    def _json(self, call: Call) -> dict[str, Any]:
        return reading.parse(self._send(call))

    def _send(self, call: Call) -> Reply:
        """Send, and again where that may help and does no harm."""
        attempt = 0
        while True:
            outcome: Outcome
            try:
                outcome = self._once(call)
            except httpx.TransportError as error:
                outcome = error
            wait = reading.wait_before(attempt, self._retries, outcome)
            if wait is None:
                if isinstance(outcome, httpx.TransportError):
                    raise reading.unreachable(outcome) from outcome
                return outcome
            time.sleep(wait)
            attempt += 1

    def _once(self, call: Call) -> Reply:
        with self._http.stream(
            call.method, call.path, params=call.params, content=call.content, headers=call.headers
        ) as response:
            body = Body(response, call, self._timeout)
            for chunk in response.iter_raw():
                body.add(chunk)
            return body.whole()

    def _stream(self, call: Call, last: str) -> Iterator[tuple[str, Any]]:
        """Server-sent events as they come. Tried again only before the first of them: what came was seen."""
        headers, attempt, begun = {**call.headers, "Accept": "text/event-stream"}, 0, False
        while True:
            outcome: Outcome
            try:
                with self._http.stream(
                    call.method, call.path, params=call.params, content=call.content, headers=headers
                ) as response:
                    body = Body(response, call, self._timeout)
                    if begun := response.is_success:
                        reader = EventReader(last)
                        for chunk in response.iter_raw():
                            yield from reader.feed(chunk)
                        reader.end()
                        return
                    for chunk in response.iter_raw():
                        body.add(chunk)
                    outcome = body.whole()
            except httpx.TransportError as error:
                outcome = error
            wait = None if begun else reading.wait_before(attempt, self._retries, outcome)
            if wait is None:
                if isinstance(outcome, httpx.TransportError):
                    raise reading.unreachable(outcome) from outcome
                raise reading.error_of(outcome)
            time.sleep(wait)
            attempt += 1

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
