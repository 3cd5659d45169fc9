"""What is counted and timed: one table, from which Prometheus and OpenTelemetry get the same figures.

Names and units follow OpenTelemetry's conventions (for gen_ai.* those for generative AI); Prometheus' names come
from them by its rules: "aegis.incident.duration" in seconds is aegis_incident_duration_seconds.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "histogram"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10, 30)
MODEL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48)
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)


class Instrument(NamedTuple):
    """One figure. `labels` are OpenTelemetry attribute names, each from a closed set."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...]
    unit: str = "1"
    buckets: tuple[float, ...] = ()


OPERATION, PROVIDER, MODEL = "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"

INCIDENTS = Instrument(
    "aegis.incidents", "counter", "Incidents decided.", ("aegis.verdict", "aegis.source", "aegis.mode")
)
INCIDENT_SECONDS = Instrument(
    "aegis.incident.duration", "histogram", "From taking an alert in to its case.", ("aegis.mode",), "s", SECONDS
)
CONFIDENCE = Instrument(
    "aegis.confidence", "histogram", "Calibrated probability of the verdict.", ("aegis.verdict",), "1", SHARES
)
AGENT_SECONDS = Instrument("aegis.agent.duration", "histogram", "One agent's step.", ("aegis.agent",), "s", SECONDS)
DECISIONS = Instrument(
    "aegis.decisions",
    "counter",
    "What the gate answered to proposed actions.",
    ("aegis.verb", "aegis.rule", "aegis.mode"),
)
ACTIONS = Instrument("aegis.actions", "counter", "What became of actions.", ("aegis.action", "aegis.outcome"))
ACTION_SECONDS = Instrument(
    "aegis.action.duration",
    "histogram",
    "One action in the system that does it, read back.",
    ("aegis.action",),
    "s",
    SECONDS,
)
MODEL_TIME = Instrument(
    "gen_ai.client.operation.duration", "histogram", "One question to a model.",
    (OPERATION, PROVIDER, MODEL, "error.type"), "s", MODEL_SECONDS,
)  # fmt: skip
TOKEN_USAGE = Instrument(
    "gen_ai.client.token.usage", "histogram", "Tokens of one question to a language model.",
    (OPERATION, PROVIDER, MODEL, "gen_ai.token.type"), "{token}", TOKENS,
)  # fmt: skip
ERRORS = Instrument("aegis.errors", "counter", "Errors, by where and by kind.", ("aegis.where", "error.type"))
DROPPED = Instrument(
    "aegis.telemetry.dropped", "counter", "Spans and messages that never left.", ("aegis.signal", "aegis.reason")
)

INSTRUMENTS = (
    INCIDENTS, INCIDENT_SECONDS, CONFIDENCE, AGENT_SECONDS, DECISIONS, ACTIONS, ACTION_SECONDS, MODEL_TIME, TOKEN_USAGE,
    ERRORS, DROPPED,
)  # fmt: skip


def prometheus_name(instrument: Instrument) -> str:
    """Its name for Prometheus, without the "_total" that counters get by themselves."""
    name = instrument.name.replace(".", "_")
    return f"{name}_seconds" if instrument.unit == "s" else name


def prometheus_label(label: str) -> str:
    """An attribute's name as Prometheus has it; our own lose the prefix."""
    return label.removeprefix("aegis.").replace(".", "_")
