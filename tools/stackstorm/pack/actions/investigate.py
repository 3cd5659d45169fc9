"""aegis.investigate"""

from __future__ import annotations

import json
from typing import Any

from aegis_action import AegisAction


class Investigate(AegisAction):
    """Judges one alert."""

    def call(self, client: Any, alert: Any, format: str | None = None, shadow: bool = False) -> dict[str, Any]:
        """The case, and with it `waiting`: its actions that wait for a person."""
        text = alert if isinstance(alert, str) else json.dumps(alert)
        case = dict(client.investigate(text, format=format or None, shadow=shadow))
        return case | {"waiting": [a for a in case["actions"] if a["outcome"] == "awaiting_approval"]}
