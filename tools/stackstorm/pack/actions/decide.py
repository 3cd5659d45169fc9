"""aegis.approve, aegis.deny, aegis.undo, aegis.keep"""

from __future__ import annotations

from typing import Any

from aegis_action import AegisAction, action_id_of


class Decide(AegisAction):
    """Says one thing of an action."""

    def call(
        self,
        client: Any,
        decision: str,
        action_id: str,
        reason: str = "",
        incident_id: str | None = None,
        user: str = "",
    ) -> dict[str, Any]:
        """What became of it. With `incident_id`, an action of another incident is refused before anything is said."""
        if decision not in ("approve", "deny", "undo", "keep"):
            raise ValueError(f"decision: {decision!r} is none")
        action_id = action_id_of(action_id)
        if incident_id and client.action(action_id)["incident_id"] != incident_id:
            raise ValueError(f"{action_id} is no action of {incident_id}")
        # StackStorm's user is told, not proven: who decides is the token.
        told = f"{reason} (StackStorm: {user or 'unknown'})".strip()[:2_000]
        return dict(getattr(client, decision)(action_id, told))
