"""The base of every action: the server of the pack's configuration, and its errors as failed executions."""

from __future__ import annotations

import re
import ssl
from typing import Any

from aegis_client import AegisClientError, Client
from inert import inert
from st2common.runners.base_action import Action

_ID = re.compile(r"act-[0-9a-f]{16,64}")


def open_client(config: Any) -> Client:
    """A client of the server that is configured. Raises AegisClientError or OSError if a setting is not usable."""
    authority = config.get("ca_file")
    verify = ssl.create_default_context(cafile=authority) if authority else True
    return Client(config["url"], config["token"], timeout=float(config.get("timeout") or 60), verify=verify)


class AegisAction(Action):  # type: ignore[misc]
    """An action is one call: `call(client, **parameters)` answers what it found."""

    def run(self, **parameters: Any) -> tuple[bool, Any]:
        """(succeeded, result). A failure is a result that a workflow can branch on: kind, message, code, retry_after."""
        try:
            with open_client(self.config) as client:
                return True, inert(self.call(client, **parameters))
        except AegisClientError as error:
            told = {
                "kind": type(error).__name__,
                "message": str(error),
                "code": error.code,
                "retry_after": error.retry_after,
            }
            return False, inert(told)
        except (KeyError, ValueError, OSError) as error:
            return False, inert({"kind": "InvalidInput", "message": str(error), "code": None, "retry_after": None})

    def call(self, client: Client, **parameters: Any) -> Any:
        """What the action does."""
        raise NotImplementedError


def action_id_of(given: str) -> str:
    """An action's id as Aegis writes them. Raises ValueError for anything else: it becomes a part of an address."""
    if not _ID.fullmatch(given):
        raise ValueError("action_id: is no action's id (act-...)")
    return given
