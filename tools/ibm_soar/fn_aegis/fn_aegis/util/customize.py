"""What `resilient-circuits customize` imports: a message destination, three functions and their inputs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resilient import ImportDefinition

RES_FILE = "data/export.res"


def codegen_reload_data() -> dict[str, Any]:
    """What `resilient-sdk codegen --reload` brings up to date."""
    return {
        "package": "fn_aegis",
        "message_destinations": ["fn_aegis"],
        "functions": ["fn_aegis_ask", "fn_aegis_decide_action", "fn_aegis_investigate"],
        "workflows": [],
        "actions": [],
        "incident_fields": [],
        "incident_artifact_types": [],
        "incident_types": [],
        "datatables": [],
        "automatic_tasks": [],
        "scripts": [],
        "playbooks": [],
    }


def customization_data(client: Any = None) -> Iterator[Any]:
    """The definitions, as the platform imports them."""
    yield ImportDefinition(base64.b64encode((Path(__file__).parent / RES_FILE).read_bytes()))
