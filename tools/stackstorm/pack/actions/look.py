"""aegis.list_approvals, aegis.get_case"""

from __future__ import annotations

from typing import Any

from aegis_action import AegisAction


class Look(AegisAction):
    """Reads, and changes nothing."""

    def call(self, client: Any, what: str, incident_id: str = "", include_facts: bool = False) -> Any:
        """The approvals, or one case."""
        if what == "approvals":
            return client.approvals()["items"]
        return dict(client.incident(incident_id, include_facts=include_facts))
