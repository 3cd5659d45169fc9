"""aegis.approval_waiting: each action that waits for a person, once."""

from __future__ import annotations

import json
import ssl
from typing import Any

from aegis_client import AegisClientError, Client
from inert import inert
from st2reactor.sensor.base import PollingSensor

TRIGGER = "aegis.approval_waiting"
_KEY = "aegis.approvals_told"


class ApprovalsSensor(PollingSensor):  # type: ignore[misc]
    """Remembers in the datastore what it told, so that a restart tells nothing again."""

    def setup(self) -> None:
        """Open the client of the pack's configuration."""
        self._logger = self.sensor_service.get_logger(type(self).__name__)
        authority = self.config.get("ca_file")
        verify = ssl.create_default_context(cafile=authority) if authority else True
        timeout = float(self.config.get("timeout") or 60)
        self._client = Client(self.config["url"], self.config["token"], timeout=timeout, verify=verify)
        self.set_poll_interval(int(self.config.get("poll_seconds") or 30))

    def poll(self) -> None:
        """Tell what is new. A server that does not answer is tried again at the next round."""
        try:
            waiting = self._client.approvals()["items"]
        except AegisClientError as error:
            self._logger.warning("Aegis: %s", error)
            return
        told = set(json.loads(self.sensor_service.get_value(_KEY) or "[]"))
        for item in waiting:
            if item["action_id"] not in told:
                self.sensor_service.dispatch(trigger=TRIGGER, payload=inert(_payload(item)))
        # What no longer waits is forgotten, so that this does not grow; told first, remembered then: at least once.
        self.sensor_service.set_value(_KEY, json.dumps(sorted(item["action_id"] for item in waiting)))

    def cleanup(self) -> None:
        """Close the client."""
        self._client.close()

    def add_trigger(self, trigger: Any) -> None:
        """Nothing to do: rules choose."""

    def update_trigger(self, trigger: Any) -> None:
        """Nothing to do."""

    def remove_trigger(self, trigger: Any) -> None:
        """Nothing to do."""


def _payload(item: dict[str, Any]) -> dict[str, Any]:
    same = ("action_id", "incident_id", "action", "why_waiting", "reversible", "verdict", "asked_at")
    return {k: item.get(k) for k in same} | {
        "target_kind": item["target"]["kind"],
        "target_value": item["target"]["value"],
    }
