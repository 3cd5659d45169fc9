"""Standard Webhooks (standardwebhooks.com): a message with an id, a time, and an HMAC-SHA256 over both and the body."""

from __future__ import annotations

import base64
import hashlib
import hmac

from pydantic import SecretStr

from aegis_agents.settings_server import key_of


def signed_headers(secret: SecretStr, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of a message. `at` is Unix time in seconds: receivers refuse what is older than some minutes."""
    signed = f"{message_id}.{at}.".encode() + body
    signature = base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}
