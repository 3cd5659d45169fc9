"""The asynchronous client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import httpx

from . import calls, reading
from .answers import Action, Answer, Approval, Approvals, Case, Cases, Confirmed, Health, LedgerPage, Verification
from .calls import Alert, Call
from .events import EventReader
from .reading import Body, Outcome, Reply


class AsyncClient:
    """`Client` for asyncio: the same methods, awaited; streams are async iterators. See there for the arguments.

    For one event loop. Close it, or use it as a context manager.
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        base = calls.base_url(url, token, allow_http=allow_http)
        self._timeout, self._retries = calls.seconds(timeout), retries
        self._http = httpx.AsyncClient(
            base_url=base,
            headers=calls.bearer(token),
            timeout=timeout,
            verify=verify,
            transport=transport,
            trust_env=calls.trust_environment(base),
        )

    # alerts and cases

    async def investigate(
        self, alert: Alert, *, format: str | None = None, shadow: bool = False, idempotency_key: str | None = None
    ) -> Case:
        """Judge one alert and do, or ask for, what follows; the same alert again answers the case that is there."""
        return cast(Case, await self._json(calls.investigate(alert, format, shadow, idempotency_key)))

    async def investigate_stream(
        self, alert: Alert, *, format: str | None = None, shadow: bool = False
    ) -> AsyncIterator[tuple[str, Any]]:
        """The same, as (agent, what it added) while it happens, and ("case", the case) at the end."""
        async for event in self._stream(calls.investigate(alert, format, shadow, None), "case"):
            yield event

    async def investigate_many(
        self, alerts: Iterable[Alert], *, format: str | None = None, shadow: bool = False
    ) -> list[dict[str, Any]]:
        """Judge several in one request: a case for each, in order, or {"error", "line"} for one that can't be read."""
        call = calls.investigate_many(alerts, format, shadow)
        return reading.parse_lines(await self._send(call), call.lines) if call.lines else []

    async def incidents(
        self, *, limit: int = 50, cursor: str | None = None, verdict: str | None = None, state: str | None = None
    ) -> Cases:
        """A page of the queue, the newest first; `state="waiting"` for those with something to approve."""
        call = calls.get("/v1/incidents", limit=limit, cursor=cursor, verdict=verdict, state=state)
        return cast(Cases, await self._json(call))

    async def incident(self, incident_id: str, *, include_facts: bool = False) -> Case:
        """One case as it stands now; with `include_facts` also what the alert said."""
        return cast(Case, await self._json(calls.incident(incident_id, include_facts)))

    async def confirm(self, incident_id: str, verdict: str) -> Confirmed:
        """Say what an incident really was; similar ones are judged with that from now on."""
        return cast(Confirmed, await self._json(calls.confirm(incident_id, verdict)))

    # actions

    async def approvals(self, *, limit: int = 100) -> Approvals:
        """What waits for a person, oldest first."""
        return cast(Approvals, await self._json(calls.get("/v1/approvals", limit=limit)))

    async def action(self, action_id: str) -> Approval:
        """One action as it stands now."""
        return cast(Approval, await self._json(calls.action(action_id)))

    async def approve(self, action_id: str, reason: str = "") -> Action:
        """Approve a waiting action; it is done at once unless policy asks for another person too."""
        return await self._answer(action_id, "approve", reason)

    async def deny(self, action_id: str, reason: str = "") -> Action:
        """Deny a waiting action."""
        return await self._answer(action_id, "deny", reason)

    async def undo(self, action_id: str, reason: str = "") -> Action:
        """Take an action back."""
        return await self._answer(action_id, "undo", reason)

    async def keep(self, action_id: str, reason: str = "") -> Action:
        """Let an action stay that would lift itself."""
        return await self._answer(action_id, "keep", reason)

    async def retarget(self, action_id: str, kind: str, value: str, reason: str = "") -> Approval:
        """Aim a waiting action at another entity of the same incident; that one waits then."""
        call = calls.answer_action(action_id, "retarget", {"kind": kind, "value": value, "reason": reason})
        return cast(Approval, await self._json(call))

    async def propose(self, incident_id: str, action: str, kind: str, value: str, reason: str = "") -> Approval:
        """Wish for an action on an entity of an incident: what the gate allows waits for an approver."""
        return cast(Approval, await self._json(calls.propose(incident_id, action, kind, value, reason)))

    # questions and proof

    async def ask(self, question: str, incident_id: str | None = None, *, thread: str | None = None) -> Answer:
        """Ask about a case, the queue or intelligence in plain language; every sentence of the answer cites.

        Questions with the same `thread` are one conversation, of this token's holder alone.
        """
        return cast(Answer, await self._json(calls.ask(question, incident_id, thread)))

    async def ask_stream(
        self, question: str, incident_id: str | None = None, *, thread: str | None = None
    ) -> AsyncIterator[tuple[str, Any]]:
        """The same, as ("token", ...) and ("cite", ...) while it comes, and ("answer", the answer) at the end."""
        async for event in self._stream(calls.ask(question, incident_id, thread), "answer"):
            yield event

    async def ledger(
        self, *, after: int = 0, limit: int = 100, incident: str | None = None, kind: str | None = None
    ) -> LedgerPage:
        """Ledger entries after one, in their order."""
        call = calls.get("/v1/ledger", after=after, limit=limit, incident=incident, kind=kind)
        return cast(LedgerPage, await self._json(call))

    async def verify_ledger(self) -> Verification:
        """Whether the ledger is whole, as the server finds it."""
        return cast(Verification, await self._json(calls.get("/v1/ledger/verify")))

    async def health(self) -> Health:
        """Whether the server is up; needs no token."""
        return cast(Health, await self._json(calls.get("/healthz")))

    # within

    async def _answer(self, action_id: str, verb: str, reason: str) -> Action:
        return cast(Action, await self._json(calls.answer_action(action_id, verb, {"reason": reason})))

    async def _json(self, call: Call) -> dict[str, Any]:
        return reading.parse(await self._send(call))

    async def _send(self, call: Call) -> Reply:
        """Send, and again where that may help and does no harm."""
        attempt = 0
        while True:
            outcome: Outcome
            try:
                outcome = await self._once(call)
            except httpx.TransportError as error:
                outcome = error
            wait = reading.wait_before(attempt, self._retries, outcome)
            if wait is None:
                if isinstance(outcome, httpx.TransportError):
                    raise reading.unreachable(outcome) from outcome
                return outcome
            await asyncio.sleep(wait)
            attempt += 1

    async def _once(self, call: Call) -> Reply:
        async with self._http.stream(
            call.method, call.path, params=call.params, content=call.content, headers=call.headers
        ) as response:
            body = Body(response, call, self._timeout)
            async for chunk in response.aiter_raw():
                body.add(chunk)
            return body.whole()

    async def _stream(self, call: Call, last: str) -> AsyncIterator[tuple[str, Any]]:
        """Server-sent events as they come. Tried again only before the first of them: what came was seen."""
        headers, attempt, begun = {**call.headers, "Accept": "text/event-stream"}, 0, False
        while True:
            outcome: Outcome
            try:
                async with self._http.stream(
                    call.method, call.path, params=call.params, content=call.content, headers=headers
                ) as response:
                    body = Body(response, call, self._timeout)
                    if begun := response.is_success:
                        reader = EventReader(last)
                        async for chunk in response.aiter_raw():
                            for event in reader.feed(chunk):
                                yield event
                        reader.end()
                        return
                    async for chunk in response.aiter_raw():
                        body.add(chunk)
                    outcome = body.whole()
            except httpx.TransportError as error:
                outcome = error
            wait = None if begun else reading.wait_before(attempt, self._retries, outcome)
            if wait is None:
                if isinstance(outcome, httpx.TransportError):
                    raise reading.unreachable(outcome) from outcome
                raise reading.error_of(outcome)
            await asyncio.sleep(wait)
            attempt += 1

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
