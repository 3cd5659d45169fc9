"""What `investigate` takes: a dict, JSON text, a path or an Incident, to an Incident and the text that intake keeps."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

from aegis_agents.errors import InputError
from aegis_agents.records import Entity, Incident

Alert = dict[str, Any] | str | bytes | Path | Incident


def read_alert(alert: Alert, *, format: str | None, tenant: str) -> tuple[Incident, str]:
    """The incident, and the alert's own text. Raises InputError for what is no alert or can't be read."""
    from aegis_agents.sources import parse
    from aegis_agents.sources.reading import decode

    if isinstance(alert, Incident):
        incident = checked(alert)
        return incident, incident.model_dump_json()
    if isinstance(alert, str) and not alert.lstrip().startswith(("{", "[")):
        alert = Path(alert)
    if isinstance(alert, Path):
        try:
            alert = alert.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            shown = str(alert)[:200]
            raise InputError(f"can't be read: {error}"[:300], field=shown, fix="give a path, or JSON text") from error
    incident = parse(alert, format=format, tenant=tenant)
    return incident, decode(alert) if isinstance(alert, str | bytes) else json.dumps(alert, default=str)


def checked(incident: Incident) -> Incident:
    """An Incident that a caller built, with the alert among its entities; `sources` makes none that fails this.

    Raises InputError, naming the field: ids that two facts share or that no fact has (a citation would say
    something else than it seems), text with characters that can't be seen, an address that is none.
    """
    from aegis_agents.sources.text import visible

    def fail(field: str, message: str, fix: str) -> InputError:
        return InputError(
            message, field=f"incident.{field}"[:200].encode("utf-8", "backslashreplace").decode(), fix=fix
        )

    if not incident.id.strip():
        raise fail("id", "is empty", "derive it from source, native id and content, as sources do")
    ids = [fact.id for fact in incident.facts]
    if len(known := set(ids)) != len(ids):
        raise fail("facts", "two of them have one id", "number them f1, f2, ...")
    texts = [
        ("id", incident.id),
        ("source", incident.source),
        ("native_id", incident.native_id),
        ("tenant", incident.tenant),
    ]
    texts += [("title", incident.title), *((f"notes[{i}]", note) for i, note in enumerate(incident.notes))]
    texts += [
        (f"facts[{i}]", part) for i, fact in enumerate(incident.facts) for part in (fact.id, fact.path, fact.value)
    ]
    texts += [(f"entities[{i}].value", entity.value) for i, entity in enumerate(incident.entities)]
    for field, text in texts:
        plain = text.replace("\u27e6", "")  # the bracket of what was made visible already
        if visible(plain) != plain:
            raise fail(
                field, "has characters that can't be seen", "give the alert itself, or sources.text.visible(...)"
            )
    for i, entity in enumerate(incident.entities):
        if not known.issuperset(entity.facts):
            raise fail(f"entities[{i}].facts", "names a fact that is not there", "give ids of the incident's own facts")
        if entity.kind == "ip" and not _is_address(entity.value):
            raise fail(f"entities[{i}].value", "is no IP address", "give one address, without port or mask")
    for i, fact in enumerate(incident.facts):
        if not known.issuperset(fact.inputs):
            raise fail(f"facts[{i}].inputs", "names a fact that is not there", "give ids of the incident's own facts")
    if any(entity.kind == "alert" for entity in incident.entities):
        return incident
    alert = Entity(kind="alert", value=incident.native_id or incident.id, role="subject")
    return incident.model_copy(update={"entities": (alert, *incident.entities)})


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
