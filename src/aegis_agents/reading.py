"""What `investigate` takes: a dict, JSON text, a path or an Incident, to an Incident and the text that intake keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aegis_agents.errors import InputError
from aegis_agents.records import Incident

Alert = dict[str, Any] | str | bytes | Path | Incident


def read_alert(alert: Alert, *, format: str | None, tenant: str) -> tuple[Incident, str]:
    """The incident, and the alert's own text. Raises InputError for what is no alert or can't be read."""
    from aegis_agents.sources import parse
    from aegis_agents.sources.reading import decode

    if isinstance(alert, Incident):
        return alert, alert.model_dump_json()
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
