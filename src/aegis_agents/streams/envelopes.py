"""What AWS puts around an alert on its way into a queue: SNS's notification. EventBridge's is read with the alert."""

from __future__ import annotations

import json

from aegis_agents.errors import InputError
from aegis_agents.streams.documents import is_object

_SNS = ("Type", "MessageId", "TopicArn", "Message", "Timestamp")
_DEEPEST = 3
"""Topics that hand on to topics."""


def without_envelope(body: str) -> str:
    """The text inside an SNS notification, as it was published; any other text as it is.

    An EventBridge event stays whole: what `sources.unwrap` reads of it is its `detail`, and the rest are facts too.
    """
    for _ in range(_DEEPEST):
        inside = _inside(body)
        if inside is None:
            break
        body = inside
    return body


def _inside(body: str) -> str | None:
    if '"TopicArn"' not in body[:5_000_000]:
        return None
    try:
        found = json.loads(body, parse_int=str, parse_float=str) if is_object(body) else None
    except (InputError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("Type") != "Notification" or not all(name in found for name in _SNS):
        return None
    message = found["Message"]
    return message if isinstance(message, str) and message.strip() else None
