"""Native alert → Incident."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aegis_agents.errors import InputError
from aegis_agents.records import Claim, Fact, Incident
from aegis_agents.sources.entities import extract
from aegis_agents.sources.flatten import Leaf, flatten
from aegis_agents.sources.format import unwrap
from aegis_agents.sources.reading import Alert, Limits, Notes, read_json, read_values
from aegis_agents.sources.registry import detect_format, format_named
from aegis_agents.sources.relations import derive
from aegis_agents.sources.trust import trust_of


def parse(
    alert: Mapping[str, Any] | str | bytes | Incident,
    *,
    format: str | None = None,
    tenant: str = "default",
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Incident:
    """One alert of any product as an Incident; an Incident is answered as it is.

    `alert` is a dict, or JSON text or bytes. `format` is one of FORMATS or "webhook" (the
    same as "generic"); without it the format is detected. The same alert has the same id,
    whatever the order of its fields. Raises InputError (LimitExceeded for what is too big).
    """
    if isinstance(alert, Incident):
        return alert
    if isinstance(alert, str | bytes | bytearray | memoryview):
        read = read_json(alert if isinstance(alert, str | bytes) else bytes(alert), limits=limits)
    elif isinstance(alert, Mapping):
        read = read_values(alert, limits=limits)
    else:
        raise InputError(f"an alert can't be a {type(alert).__name__}", fix="give a dict, JSON text or an Incident")
    if not read:
        raise InputError("the alert has no fields", fix="give the alert's JSON object")
    notes = Notes()
    for note in (*(alert.notes if isinstance(alert, Alert) else ()), *read.notes):
        notes.add(note)

    known = format_named(format or detect_format(read))
    head = known.head(unwrap(read))
    digest = digest_of(read)
    native_id = head.native_id or f"digest-{digest[:16]}"

    leaves = flatten(read, limits=limits, notes=notes)
    trusts = [trust_of(leaf, known.trust) for leaf in leaves]
    if len(leaves) > limits.max_facts:
        # What others could have written goes first: padding must not push out the sensor's own facts.
        order = sorted(range(len(leaves)), key=lambda index: (trusts[index] == "external", index))
        kept = sorted(order[: limits.max_facts])
        notes.add(f"{len(leaves) - len(kept)} of {len(leaves)} values are beyond the limit of facts and were left out")
        leaves, trusts = [leaves[index] for index in kept], [trusts[index] for index in kept]
    facts = [
        # Built here from checked parts, a thousand at a time: validating them again would double the cost of an alert.
        Fact.model_construct(id=f"f{number}", path=leaf.path, value=leaf.value, trust=trust, derived=False)
        for number, (leaf, trust) in enumerate(zip(leaves, trusts, strict=True), 1)
    ]
    entities, left_out = extract(leaves, [fact.id for fact in facts], native_id, known.hints)
    if left_out:
        notes.add(f"{left_out} mentions of further entities were left out")
    derived = derive(facts, [leaf.keys for leaf in leaves], entities, head.observed_at)
    return Incident(
        id=_incident_id(tenant, known.name, native_id, digest),
        source=known.name,
        native_id=native_id,
        title=head.title or _first_text(leaves) or known.name,
        observed_at=head.observed_at,
        claim=Claim(
            severity=head.severity, confidence=head.confidence, verdict=head.verdict, techniques=head.techniques
        ),
        facts=(*facts, *derived),
        entities=entities,
        digest=digest,
        tenant=tenant,
        notes=notes.result(),
    )


def digest_of(alert: Mapping[str, Any]) -> str:
    """SHA-256 of the alert's canonical JSON: sorted keys, no spaces, ASCII."""
    canonical = json.dumps(alert, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _incident_id(tenant: str, source: str, native_id: str, digest: str) -> str:
    # As JSON, so that no choice of values can be read in two ways.
    named = json.dumps([tenant, source, native_id, digest])
    return "inc-" + hashlib.sha256(named.encode("ascii")).hexdigest()[:20]


def _first_text(leaves: list[Leaf]) -> str | None:
    return next((leaf.value[:120] for leaf in leaves if not leaf.plain and " " in leaf.value), None)
