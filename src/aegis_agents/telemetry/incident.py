"""One incident while it is worked at: its span, its figures, its log lines, and those of its agents."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from aegis_agents.records import Case, Decision, Incident, ProposedAction
from aegis_agents.telemetry import instruments as of
from aegis_agents.telemetry.closed import error_name, plain_id
from aegis_agents.telemetry.models import seen_intel, seen_model
from aegis_agents.telemetry.spans import AGENT, CONVERSATION, OPERATION, OURS, PROVIDER, WORKFLOW, Attributes, OpenSpan
from aegis_agents.telemetry.unheard import Nobody

if TYPE_CHECKING:
    from aegis_agents.telemetry.watch import Telemetry

T = TypeVar("T")
_incidents = logging.getLogger("aegis.incident")
_decisions = logging.getLogger("aegis.decision")


class WatchedIncident(Nobody):
    """A context around one incident. The graph runs inside `steps`; `decided` is told the case."""

    def __init__(self, telemetry: Telemetry, incident: Incident) -> None:
        self._telemetry, self._incident, self._id = telemetry, incident, plain_id(incident.id)
        self._source = telemetry.names.source(incident.source)
        self._span: OpenSpan | None = None
        self._decided = False

    def __enter__(self) -> WatchedIncident:
        self._begun = time.perf_counter()
        if self._telemetry.tracing is not None:
            attributes: Attributes = {
                OPERATION: "invoke_workflow", WORKFLOW: OURS, PROVIDER: OURS, CONVERSATION: self._id,
                "aegis.incident.id": self._id, "aegis.source": self._source, "aegis.mode": self._telemetry.mode,
                "aegis.facts": len(self._incident.facts),
            }  # fmt: skip
            self._span = self._telemetry.tracing.begin(f"invoke_workflow {OURS}", attributes, self._incident.id)
            self._span.contents(incident_title=self._incident.title)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        known = error is None and not self._decided
        if error is not None and not isinstance(error, GeneratorExit):
            self._telemetry.failed("incident", error)
            if self._telemetry.logging:
                said = {"incident_id": self._id, "error_type": error_name(error), "source": self._source}
                _incidents.error("failed", extra=said)
        if self._span is not None:
            self._span.tell(known=known or None, left=isinstance(error, GeneratorExit) or None)
            if error is not None and not isinstance(error, GeneratorExit):
                self._span.failed(error_name(error))
            self._span.end()

    def steps(self, run: Iterable[T]) -> Iterator[T]:
        """The run, its work done inside this incident's span; between two steps the caller has his own context back."""
        going = iter(run)
        while True:
            with ExitStack() as inside:
                inside.enter_context(self._telemetry.listening())
                inside.enter_context(self._telemetry.bound(incident_id=self._id))
                if self._span is not None:
                    inside.enter_context(self._span.current())
                try:
                    step = next(going)
                except StopIteration:
                    return
            yield step

    def decided(self, case: Case) -> None:
        """It has its case, which is about to be kept."""
        telemetry, took = self._telemetry, time.perf_counter() - self._begun
        self._decided = True
        telemetry.figures.record(of.INCIDENTS, 1, case.verdict, self._source, telemetry.mode)
        telemetry.figures.record(of.INCIDENT_SECONDS, took, telemetry.mode)
        telemetry.figures.record(of.CONFIDENCE, case.confidence, case.verdict)
        if self._span is not None:
            self._span.tell(
                verdict=case.verdict, confidence=round(case.confidence, 4), severity=case.severity,
                actions=len(case.actions),
            )  # fmt: skip
            self._span.add({f"aegis.version.{n}": telemetry.names.version(v) for n, v in case.versions.items()})
            self._span.contents(case_summary=case.summary)
        if telemetry.logging:
            said: dict[str, Any] = {
                "incident_id": self._id, "source": self._source, "verdict": case.verdict, "severity": case.severity,
                "confidence": round(case.confidence, 4), "actions": len(case.actions), "mode": telemetry.mode,
                "seconds": round(took, 4), "versions": dict(case.versions),
            }  # fmt: skip
            if telemetry.redact is not None:
                said |= {"title": telemetry.redact(case.title), "summary": telemetry.redact(case.summary)}
            _incidents.info("decided", extra=said)


def agent(telemetry: Telemetry, name: str, node: Callable[..., Any], state: Any, runtime: Any) -> Any:
    """Run one agent's node, seen: its span and time, what it asked of model and intelligence, what the gate answered."""
    context = seen_intel(telemetry, seen_model(telemetry, runtime.context))
    attributes = {OPERATION: "invoke_agent", AGENT: name, PROVIDER: OURS, CONVERSATION: plain_id(state["incident"].id)}
    begun = time.perf_counter()
    with telemetry.span(f"invoke_agent {name}", attributes, incident_id=state["incident"].id) as span:
        try:
            added = node(state, runtime.override(context=context))
        finally:
            telemetry.figures.record(of.AGENT_SECONDS, time.perf_counter() - begun, name)
        for decision in added.get("decisions", ()):
            proposal = next(p for p in state["proposals"] if p.action_id == decision.action_id)  # each has its own
            attributes = _decision(telemetry, decision, proposal)
            span.event("aegis.decision", attributes)
        if (assessment := added.get("assessment")) is not None:
            span.tell(verdict=assessment.verdict, confidence=round(assessment.confidence, 4))
        span.tell(passages=len(added["passages"]) if "passages" in added else None)
    return added


def _decision(telemetry: Telemetry, decision: Decision, proposal: ProposedAction) -> dict[str, str]:
    """Count, log and name one answer of the gate."""
    names = telemetry.names
    verb, rule, action = names.verb(decision.verb), names.rule(decision.rule), names.action(proposal.action)
    telemetry.figures.record(of.DECISIONS, 1, verb, rule, telemetry.mode)
    if telemetry.logging:
        said: dict[str, Any] = {"action_id": plain_id(decision.action_id), "action": action, "verb": verb, "rule": rule}
        if telemetry.redact is not None:
            said["target"] = telemetry.redact(f"{proposal.target.kind}:{proposal.target.value}")
        _decisions.info("decided", extra=said)
    return {
        "aegis.action.id": plain_id(decision.action_id), "aegis.action": action, "aegis.verb": verb, "aegis.rule": rule,
    }  # fmt: skip
