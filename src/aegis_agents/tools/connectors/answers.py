"""What a system's answer means: an HTTP status as one of our errors, its text made safe to show."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import urlsplit

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError

MOST_SAID = 200
"""Characters of a system's own words that an error repeats."""
_AGAIN = frozenset({408, 425, 429})


def raise_for(status: int, text: object, system: str, *, secrets: Iterable[str] = ()) -> None:
    """Raise what an HTTP `status` stands for; 2xx raises nothing.

    401 and 403 are NotPermitted, 404 and 410 TargetNotFound; 408, 425, 429 and 5xx (RFC 9110, RFC 6585)
    TransientConnectorError, and so is 0, no answer at all; anything else is ConnectorError. `text`
    is what the system said: it is shortened, and `secrets` are cut out of it.
    """
    if 200 <= status < 300:
        return
    raise_error(status, text, system, secrets=secrets)


def raise_error(status: int, text: object, system: str, *, secrets: Iterable[str] = ()) -> NoReturn:
    """As raise_for(), for an answer that is known to be an error whatever its status.

    The SDK's own error is not shown as the cause: its text holds what was sent and answered.
    """
    said = clean(text, secrets)
    message = f"{system} answered {status or 'nothing'}" + (f": {said}" if said else "")
    if status in (401, 403):
        raise NotPermitted(f"{message} (these credentials may not do that)") from None
    if status in (404, 410):
        raise TargetNotFound(message) from None
    if status == 0 or status in _AGAIN or 500 <= status < 600:
        raise TransientConnectorError(message) from None
    raise ConnectorError(message) from None


def clean(text: object, secrets: Iterable[str] = ()) -> str:
    """A system's words on one line: printable, at most MOST_SAID characters, without `secrets`."""
    said = str(text or "")
    # The longest first: one secret may be part of another.
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        said = said.replace(secret, "[secret]")
    said = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return said if len(said) <= MOST_SAID else said[: MOST_SAID - 3] + "..."


def quiet(*loggers: str) -> None:
    """Keep the debug log of packages that write whole requests to it, credentials included, out of a log of everything.

    A level that somebody set for just this package stays: who does that wants to see them.
    """
    for name in loggers:
        if (logger := logging.getLogger(name)).level == logging.NOTSET:
            logger.setLevel(logging.INFO)


def missing(kind: str, package: str, extra: str) -> SettingsError:
    """The error for an SDK that is not installed: names the extra that brings it."""
    return SettingsError(f"connector {kind}: needs {package}: pip install 'aegis-soc-agents[{extra}]'")


def checked_url(url: str, field: str) -> str:
    """`url` without a slash at its end, if it is https, or http on this machine.

    Raises SettingsError: credentials travel to it.
    """
    where = urlsplit(url)
    local = where.scheme == "http" and where.hostname in ("127.0.0.1", "localhost", "::1")
    if not (where.hostname and (where.scheme == "https" or local)) or where.username or where.query or where.fragment:
        raise SettingsError(f"{field}: {clean(url)!r} is neither plain https nor on this machine")
    return url.rstrip("/")


def needed(value: str, field: str) -> str:
    """`value`, if it says anything. Raises SettingsError naming the field."""
    if not value.strip():
        raise SettingsError(f"{field} is empty")
    return value
