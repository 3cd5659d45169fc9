"""The span around one HTTP request, in the trace that its `traceparent` names (W3C Trace Context)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aegis_agents.telemetry.spans import Tracing

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST_HEADER: Final = 55
"""Characters of a traceparent of version 00; others are not read."""


class Traced:
    """ASGI middleware, outside all others. Of a request it keeps method, route template and status: no path, no address."""

    def __init__(self, app: Callable[..., Awaitable[None]], tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes = {"http.request.method": method, "url.scheme": str(scope.get("scheme", "http"))}
        status: list[int] = []

        async def heard(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status.append(int(message["status"]))
            await send(message)

        with self._tracing.span(method, attributes, server=True, parent=_caller(scope)) as span:
            try:
                await self._app(scope, receive, heard)
            finally:
                route = getattr(scope.get("route"), "path", None)
                span.rename(f"{method} {route}" if route else method)
                span.add({"http.route": route} if route else {})
                if status:
                    span.add({"http.response.status_code": status[0]})
                    if status[0] >= 500:
                        span.failed(str(status[0]))


def _caller(scope: Scope) -> Any:
    """The trace of whoever asks, if one header says it well; his baggage and trace state are not taken over."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = [value for name, value in scope.get("headers", ()) if name == b"traceparent"]
    if len(given) != 1 or len(given[0]) != _MOST_HEADER:
        return Context()
    text = given[0].decode("latin-1")
    return TraceContextTextMapPropagator().extract({"traceparent": text}, context=Context())
