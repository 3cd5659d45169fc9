"""An Incident: one alert of any product, as facts with provenance."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Literal

from aegis_agents.records.base import Record

Trust = Literal["external", "product", "organization"]
"""Who could have written a field.

external      anybody, the attacker included: command lines, subjects, user agents, file names
product       computed by the sensor itself: rule ids, verdicts, hashes, counters, its own clock
organization  the customer's own data: asset tags, tickets, HR, comments of colleagues
"""

EntityKind = Literal[
    "host", "user", "ip", "domain", "url", "hash", "email", "message", "file", "process",
    "access_key", "cloud_account", "resource", "pod", "repository", "alert",
]  # fmt: skip
"""What an entity is. `message` is one e-mail (by its id), `email` an address, `alert` the incident itself."""

EntityRole = Literal["subject", "actor", "peer", "observed"]
"""subject: what the alert is about; actor: who did it; peer: the other side of a connection; observed: merely named."""


class Fact(Record):
    """One field of the alert.

    `id` is unique in the incident ("f12"), `path` is where it stood in the native
    alert ("evidence[1].processCommandLine"), `value` its text with control and
    bidirectional characters made visible.
    """

    id: str
    path: str
    value: str
    trust: Trust
    derived: bool = False
    """True when Aegis computed it from other facts (an address lies in a range, a time in a window)."""
    inputs: tuple[str, ...] = ()
    """Ids of the facts that a derived fact rests on."""


class Entity(Record):
    """Something that can be looked up or acted on, and the facts that name it."""

    kind: EntityKind
    value: str
    role: EntityRole = "observed"
    facts: tuple[str, ...] = ()


class Claim(Record):
    """What the product said. Kept as a claim and never taken as the verdict."""

    severity: str | None = None
    confidence: str | None = None
    verdict: str | None = None
    techniques: tuple[str, ...] = ()


class Incident(Record):
    """One alert in Aegis' own form.

    `id` is derived from source, native id and content, so the same alert always
    has the same id. `digest` is the SHA-256 of the native alert as read.
    `notes` says what was cut or repaired while reading it.
    """

    id: str
    source: str
    native_id: str
    title: str
    observed_at: datetime | None
    claim: Claim
    facts: tuple[Fact, ...]
    entities: tuple[Entity, ...]
    digest: str
    tenant: str = "default"
    notes: tuple[str, ...] = ()

    def fact(self, fact_id: str) -> Fact:
        """The fact with this id; KeyError if the incident has none."""
        for fact in self.facts:
            if fact.id == fact_id:
                return fact
        raise KeyError(fact_id)

    def resting_on(self, facts: Set[str]) -> frozenset[str]:
        """These facts and the derived ones that rest on any of them: who hides one hides the others too."""
        return frozenset(facts) | {f.id for f in self.facts if not facts.isdisjoint(f.inputs)}

    def has_entity(self, kind: str, value: str) -> bool:
        """Whether the incident itself names this entity (targets may come from nowhere else)."""
        return any(e.kind == kind and e.value == value for e in self.entities)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """How notebooks show it: HTML, and text where there is none."""
        from aegis_agents import display

        shown = self.model_dump(mode="json")
        return {"text/html": display.notebook(display.incident_html(shown)), "text/plain": display.incident_text(shown)}
