"""Tickets and notices by webhook: one signed POST to an address from the settings."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target

if TYPE_CHECKING:
    import httpx

SIGNATURE_HEADER = "X-Aegis-Signature"
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class WebhookConnector:
    """POSTs JSON to `url`, with an Idempotency-Key and, given a `secret`, an HMAC-SHA256 of the body.

    The address comes from the settings alone, never from an alert; redirects are not
    followed. What was sent can't be read back: the answer's `id` confirms it.
    """

    name = "webhook"
    actions: frozenset[ActionName] = frozenset({"open_ticket", "notify_owner"})

    def __init__(self, url: str, secret: str | None = None, *, timeout_s: float = 10.0) -> None:
        where = urlsplit(url)
        local = where.scheme == "http" and where.hostname in ("127.0.0.1", "localhost", "::1")
        if not (where.hostname and (where.scheme == "https" or local)):
            raise SettingsError(f"webhook_url: {url!r} is neither https nor on this machine")
        self._url, self._secret, self._timeout = url, secret, timeout_s

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Send it; the receiver drops a second one with the same key."""
        answer = self._send({"action": action, "target": target.model_dump(), "note": note, "key": key}, key)
        return str(answer.get("id", ""))[:200]

    def read(self, action: ActionName, target: Target) -> None:
        """Not known: a webhook only takes."""
        return None

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Ask for the ticket to be closed."""
        answer = self._send({"action": f"undo_{action}", "target": target.model_dump(), "key": key}, key)
        return str(answer.get("id", ""))[:200]

    def _send(self, message: dict[str, Any], key: str) -> dict[str, Any]:
        import httpx

        body = json.dumps(message, sort_keys=True).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._secret:
            headers[SIGNATURE_HEADER] = "sha256=" + hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        try:
            response = httpx.post(
                self._url, content=body, headers=headers, timeout=self._timeout, follow_redirects=False, trust_env=False
            )
        except (httpx.TimeoutException, httpx.TransportError) as error:
            raise TransientConnectorError(f"webhook: {type(error).__name__}: {error}") from error
        return self._read_answer(response)

    @staticmethod
    def _read_answer(response: httpx.Response) -> dict[str, Any]:
        if response.status_code in _AGAIN:
            raise TransientConnectorError(f"webhook answered {response.status_code}")
        if not response.is_success:
            raise ConnectorError(f"webhook answered {response.status_code}")
        try:
            answer = response.json()
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}
