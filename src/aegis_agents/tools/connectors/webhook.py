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
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import CATALOGUE, ActionName, Target
from aegis_agents.tools.connectors.answers import clean, raise_for
from aegis_agents.tools.connectors.bounded import Answered, send

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
            # Its path may be a secret.
            shown = clean(f"{where.scheme or 'no scheme'}://{where.hostname or ''}")
            raise SettingsError(f"url (webhook_url): the webhook at {shown} is neither https nor on this machine")
        if where.username or where.password:
            raise SettingsError(
                "url (webhook_url): no name or password in the address, please: give a secret, which signs"
            )
        if timeout_s <= 0:
            raise SettingsError("timeout_s is in seconds, and more than 0")
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
            answer = send(
                "POST", self._url, content=body, headers=headers, timeout_s=self._timeout, longest=_LONGEST_ANSWER
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = f"{type(error).__name__}: {clean(error, self._hidden())}"
            raise TransientConnectorError(f"the webhook did not answer: {said}") from None
        return self._read_answer(answer)

    def _hidden(self) -> tuple[str, ...]:
        """The secret and the address, whole and its parts that may be one."""
        where = urlsplit(self._url)
        return (self._secret or "", self._url, *(part for part in (where.path, where.query) if len(part) > 1))

    def _read_answer(self, response: Answered) -> str:
        """The id; a receiver that says no is not quoted where it might quote the secret."""
        hidden = self._hidden()
        if response.status in (404, 410):
            raise ConnectorError(f"the webhook answered {response.status}: nothing is at its address")
        raise_for(response.status, response.text, "the webhook", secrets=hidden)
        try:
            answer = json.loads(response.content)
        except (ValueError, RecursionError):
            return ""
        identity = answer.get("id") if isinstance(answer, dict) else None
        return clean(identity, hidden) if isinstance(identity, str | int) and not isinstance(identity, bool) else ""


def _told(target: Target) -> dict[str, str]:
    return {"kind": target.kind, "value": target.value}
