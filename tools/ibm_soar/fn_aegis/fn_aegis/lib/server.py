"""The Aegis server that app.config names, and its errors as results that a playbook can branch on."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

from resilient_lib import IntegrationError, str_to_bool, validate_fields

from fn_aegis.lib.aegis_client import AegisClientError, Client

REQUIRED = [
    {"name": "aegis_url", "placeholder": "https://<aegis.example>"},
    {"name": "aegis_token", "placeholder": "<token of `aegis token add`>"},
]
_ACTION_ID = re.compile(r"act-[0-9a-f]{16,64}")
_LONGEST_REASON = 2_000


def open_client(configs: Mapping[str, Any]) -> Client:
    """A client of the server in app.config. Raises IntegrationError if a setting is missing or not usable."""
    try:
        validate_fields(REQUIRED, configs)
        return Client(
            str(configs["aegis_url"]),
            str(configs["aegis_token"]),
            timeout=float(configs.get("timeout") or 60),
            verify=_verify(str(configs.get("verify") or "true")),
        )
    except (AegisClientError, ValueError, OSError) as error:
        raise IntegrationError(f"[fn_aegis] in app.config: {error}") from error


def _verify(said: str) -> ssl.SSLContext | bool:
    """true, false, or the file of a certificate authority."""
    if said.lower() in ("true", "false", "1", "0", "yes", "no"):
        return str_to_bool(said)
    return ssl.create_default_context(cafile=said)


def failure(error: AegisClientError) -> dict[str, Any]:
    """What a failed function answers: `success` is False, and this says why, for the playbook to branch on."""
    return {
        "error": {
            "kind": type(error).__name__, "code": error.code, "field": error.field, "fix": error.fix,
            "retry_after": error.retry_after,
        }
    }  # fmt: skip


def action_id_of(given: Any) -> str:
    """An action's id as Aegis writes them. Raises ValueError for anything else: it becomes a part of an address."""
    text = str(given or "").strip()
    if not _ACTION_ID.fullmatch(text):
        raise ValueError("aegis_action_id: is no action's id (give one from the investigation's result: act-...)")
    return text


def text_of(given: Any) -> str:
    """A text input, whichever way the platform sends it: plain, or as {"content": ...} or {"name": ...}."""
    if isinstance(given, Mapping):
        given = given.get("content", given.get("name"))
    return str(given).strip() if given is not None else ""


def reason_of(given: Any, message: Mapping[str, Any]) -> str:
    """Why, and which person of IBM SOAR ran the playbook. That name is told, not proven: who decides is the token."""
    who = message.get("principal") or {}
    name = str(who.get("display_name") or who.get("name") or "a playbook")
    return f"{text_of(given)} (IBM SOAR: {name})".strip()[:_LONGEST_REASON]
