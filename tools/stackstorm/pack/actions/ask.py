"""aegis.ask"""

from __future__ import annotations

from typing import Any

from aegis_action import AegisAction


class Ask(AegisAction):
    """Asks in plain language; the answer cites, and never acts."""

    def call(self, client: Any, question: str, incident_id: str | None = None) -> dict[str, Any]:
        """The answer."""
        return dict(client.ask(question, incident_id or None))
