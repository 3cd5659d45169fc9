"""What the core says of itself while it works, and who listens: nobody, unless settings or a server asked.

Where nobody listens the core pays one look at a context variable for each agent, and opens, imports and keeps nothing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from aegis_agents.errors import SettingsError
from aegis_agents.records import CATALOGUE, VERDICTS, Incident, Outcome, Target
from aegis_agents.records.catalogue import UNDO_OF
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.telemetry import instruments as of
from aegis_agents.telemetry.closed import Capped, Known, error_name, plain_id
from aegis_agents.telemetry.figures import Figures
from aegis_agents.telemetry.gauges import Gauges
from aegis_agents.telemetry.spans import UNSEEN, Attributes, Seen
from aegis_agents.telemetry.unheard import NOBODY, Nobody

if TYPE_CHECKING:
    from aegis_agents.telemetry.otlp import Otlp
    from aegis_agents.telemetry.prometheus import PrometheusSink
    from aegis_agents.telemetry.spans import Tracing

_NOW: ContextVar[Telemetry | None] = ContextVar("aegis_telemetry", default=None)
_MOST_RULES, _MOST_NAMES, _MOST_VERSIONS = 200, 20, 10_000
_VERBS = frozenset({"execute", "ask", "recommend", "refuse"})
action_log = logging.getLogger("aegis.action")


def now() -> Telemetry | None:
    """Who listens to what this thread or task works at; None in most cases."""
    return _NOW.get()


class Names:
    """The closed sets that labels come from."""

    def __init__(self, sources: Callable[[], Collection[str]]) -> None:
        self.source, self.rule = Known(sources), Capped(_MOST_RULES)
        self.model, self.connector, self.tool = Capped(_MOST_NAMES), Capped(_MOST_NAMES), Capped(_MOST_NAMES)
        self.verdict, self.action = Known(lambda: VERDICTS), Known(lambda: {*CATALOGUE, *UNDO_OF})
        self.verb = Known(lambda: _VERBS)
        self.version = Capped(_MOST_VERSIONS)


def _unfailing(redact: Callable[[str], str]) -> Callable[[str], str]:
    """The same; a text that it breaks on is left out, since no decision may fail for it."""

    def masked(text: str) -> str:
        try:
            return redact(text)
        except Exception as error:  # noqa: BLE001 - whatever it is: the text stays here
            return f"(left out: {type(error).__name__})"

    return masked


class Telemetry:
    """Traces, figures and log lines of one Aegis. Thread-safe; nothing that happens in it harms a decision.

    `sources` answers the names of the product formats, `redact` masks secrets where contents are asked for. Raises
    SettingsError for what is set and can't be opened.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        *,
        mode: Literal["live", "shadow"] = "live",
        sources: Callable[[], Collection[str]] = tuple,
        redact: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.settings, self.mode, self.names = settings, mode, Names(sources)
        self.gauges, self.figures = Gauges(), Figures()
        self.redact = _unfailing(redact) if settings.contents else None
        self.logging = settings.logs != "off"
        self.tracing: Tracing | None = None
        self._otlp: Otlp | None = None
        self._prometheus: PrometheusSink | None = None
        self._lock = threading.Lock()
        if settings.otlp_endpoint:
            from aegis_agents.telemetry.otlp import Otlp
            from aegis_agents.telemetry.spans import Tracing

            self._otlp = Otlp(settings, self.gauges, self.lost)
            self.figures.add(self._otlp)
            self.tracing = Tracing(self._otlp.tracer, self.redact)
        if settings.metrics_port is not None:
            self.prometheus()
        if self.logging:
            try:
                import structlog.contextvars  # noqa: F401
            except ImportError as error:
                raise SettingsError(
                    f"telemetry: logs need the extra: pip install 'aegis-soc-agents[telemetry]' ({error})"
                ) from error

    @property
    def on(self) -> bool:
        """Whether anybody listens."""
        return self.tracing is not None or self.logging or bool(self.figures)

    def prometheus(self) -> PrometheusSink:
        """Count for Prometheus from now on; answers where the figures are read. Raises SettingsError."""
        from aegis_agents.telemetry.prometheus import PrometheusSink

        with self._lock:
            if self._prometheus is None:
                self._prometheus = PrometheusSink(self.gauges)
                self.figures.add(self._prometheus)
            return self._prometheus

    def close(self) -> None:
        """Send what waits to be sent, for a few seconds at most."""
        if self._otlp is not None:
            self._otlp.close()

    # what the core says

    def incident(self, incident: Incident) -> AbstractContextManager[Nobody]:
        """Around one incident, from taking it in to its case."""
        if not self.on:
            return nullcontext(NOBODY)
        from aegis_agents.telemetry.incident import WatchedIncident

        return WatchedIncident(self, incident)

    def agent(self, name: str, node: Callable[..., Any], state: Any, runtime: Any) -> Any:
        """Run one agent's node and answer what it adds."""
        from aegis_agents.telemetry.incident import agent

        return agent(self, name, node, state, runtime)

    @contextmanager
    def tool(self, action: str, target: Target, incident_id: str, action_id: str, connector: str) -> Iterator[None]:
        """Around one response action in the system that does it, or its undo."""
        if not self.on:
            yield
            return
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": action, "gen_ai.tool.type": "extension",
            "gen_ai.tool.call.id": plain_id(action_id), "aegis.connector": self.names.connector(connector),
            "aegis.incident.id": plain_id(incident_id),
        }  # fmt: skip
        begun = time.perf_counter()
        with (
            self.bound(incident_id=plain_id(incident_id), action_id=plain_id(action_id)),
            self.listening(),
            self.span(f"execute_tool {action}", attributes, incident_id=incident_id) as seen,
        ):
            seen.contents_of({"gen_ai.tool.call.arguments": json.dumps({target.kind: target.value})})
            try:
                yield
            finally:
                self.figures.record(of.ACTION_SECONDS, time.perf_counter() - begun, self.names.action(action))

    def settled(self, action: str, outcome: Outcome, incident_id: str, action_id: str, connector: str | None) -> None:
        """What became of an action."""
        if not self.on:
            return
        self.figures.record(of.ACTIONS, 1, self.names.action(action), outcome)
        if self.tracing is not None:
            from opentelemetry.trace import get_current_span

            get_current_span().set_attribute("aegis.outcome", outcome)
        if self.logging:
            said: dict[str, Any] = {"action": action, "outcome": outcome, "connector": connector}
            ids = {"incident_id": plain_id(incident_id), "action_id": plain_id(action_id)}
            action_log.info("settled", extra=said | ids)

    def failed(self, where: str, error: BaseException) -> None:
        """An error somewhere; `where` is a name of ours."""
        self.figures.record(of.ERRORS, 1, where, error_name(error))

    def lost(self, signal: str, reason: str, number: int) -> None:
        """Spans or messages that never left."""
        self.figures.record(of.DROPPED, number, signal, reason)

    # for the other modules of this room

    @contextmanager
    def listening(self) -> Iterator[None]:
        """`now()` answers this one inside."""
        before = _NOW.set(self)
        try:
            yield
        finally:
            _NOW.reset(before)

    def span(
        self, name: str, attributes: Attributes, *, incident_id: str = "", client: bool = False
    ) -> AbstractContextManager[Seen]:
        """A span, or nothing where no traces are wanted; `client` where another service is asked."""
        if self.tracing is None:
            return nullcontext(UNSEEN)
        return self.tracing.span(name, attributes, incident_id=incident_id, client=client)

    def bound(self, **names: Any) -> AbstractContextManager[None]:
        """Every log line inside carries these, where logs are written."""
        if not self.logging:
            return nullcontext()
        from structlog.contextvars import bound_contextvars

        return bound_contextvars(**names)
