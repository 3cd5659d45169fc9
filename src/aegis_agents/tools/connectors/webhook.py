"""Tickets and notices by webhook: one signed POST to an address from the settings.

A receiver that checks these three takes nothing forged, changed or sent again by somebody who listened:
the signature (HMAC-SHA256 of the whole body, compared in constant time), `at` in the body (UTC; no older than a few
minutes), and `key` in the body (not seen before; as long as `at` allows, so that it need not be kept for ever).
Time and key stand in the body because that is what is signed; the headers repeat the key for receivers that
know Idempotency-Key. Aegis repeats a message with the same key and a new time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import CATALOGUE, ActionName, Target
from aegis_agents.tools.connectors.answers import clean, raise_for

if TYPE_CHECKING:
    import httpx

SIGNATURE_HEADER = "X-Aegis-Signature"
_LONGEST_ANSWER = 64 * 1024


class WebhookConnector:
    """POSTs JSON to `url`, with an Idempotency-Key and, given a `secret`, an HMAC-SHA256 of the body.

    The body: action, target (kind, value), note, key, at. The address comes from the settings alone, never
    from an alert; redirects are not followed. What was sent can't be read back: the answer's `id` confirms it.
    """

    kind: ClassVar[str] = "webhook"
    extra: ClassVar[str] = ""
    secrets: ClassVar[frozenset[str]] = frozenset({"secret"})
    name = "webhook"
    actions: frozenset[ActionName] = frozenset({"open_ticket", "notify_owner"})

    def __init__(self, url: str, secret: str | None = None, *, timeout_s: float = 10.0) -> None:
        where = urlsplit(url)
        local = where.scheme == "http" and where.hostname in ("127.0.0.1", "localhost", "::1")
        if not (where.hostname and (where.scheme == "https" or local)):
            raise SettingsError(f"webhook_url: {url!r} is neither https nor on this machine")
        if secret is not None and not secret.strip():
            raise SettingsError("secret is empty: leave it out, or give one")
        self._url, self._secret, self._timeout = url, secret, timeout_s

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Send it; the receiver drops a second one with the same key."""
        self._check(action, target)
        return self._send({"action": action, "target": _told(target), "note": note, "key": key}, key)

    def read(self, action: ActionName, target: Target) -> None:
        """Not known: a webhook only takes."""
        return None

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Ask for the ticket to be closed."""
        self._check(action, target)
        if not CATALOGUE[action].reversible:
            raise ConnectorError(f"{action} can't be taken back")
        return self._send({"action": f"undo_{action}", "target": _told(target), "key": key}, key)

    def _check(self, action: ActionName, target: Target) -> None:
        if action not in self.actions:
            raise ConnectorError(f"{self.name} can't {action}")
        if target.kind not in CATALOGUE[action].targets:
            raise ConnectorError(f"{action} takes no target of the kind {target.kind}")

    def _send(self, message: dict[str, Any], key: str) -> str:
        """Send a message; the answer's id, "" if it gave none."""
        import httpx

        body = json.dumps(message | {"at": datetime.now(UTC).isoformat(timespec="seconds")}, sort_keys=True).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._secret:
            headers[SIGNATURE_HEADER] = "sha256=" + hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        try:
            response = httpx.post(
                self._url, content=body, headers=headers, timeout=self._timeout, follow_redirects=False, trust_env=False
            )
        except httpx.TransportError as error:
            hidden = (self._secret or "", self._url)
            raise TransientConnectorError(
                f"the webhook did not answer: {type(error).__name__}: {clean(error, hidden)}"
            ) from error
        return self._read_answer(response)

    def _read_answer(self, response: httpx.Response) -> str:
        """The id; a receiver that says no is not quoted where it might quote the secret."""
        hidden = (self._secret or "", self._url)
        if response.status_code in (404, 410):
            raise ConnectorError(f"the webhook answered {response.status_code}: nothing is at its address")
        raise_for(response.status_code, response.text[:_LONGEST_ANSWER], "the webhook", secrets=hidden)
        try:
            answer = response.json()
        except ValueError:
            return ""
        identity = answer.get("id") if isinstance(answer, dict) else None
        return clean(identity, hidden) if isinstance(identity, str | int) and not isinstance(identity, bool) else ""


def _told(target: Target) -> dict[str, str]:
    return {"kind": target.kind, "value": target.value}
