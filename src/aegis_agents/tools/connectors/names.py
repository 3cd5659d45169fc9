"""Hosts, accounts, hashes and messages as targets: of the shape that systems know, or refused.

A name that passes here has no character that a filter, a path or a header gives a meaning to,
but for the apostrophe of O'Brien. Callers still escape: this is the first of two locks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from aegis_agents.errors import ConnectorError
from aegis_agents.records import Target
from aegis_agents.tools.connectors.addresses import shown, value_of

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ACCOUNT: Final = re.compile(rf"[a-z0-9'._!#^~+-]{{1,64}}@(?:{_LABEL}\.)*{_LABEL}", re.IGNORECASE)
_MESSAGE_ID: Final = re.compile(r"[\x21-\x3b\x3d\x3f-\x7e]{1,250}@[\x21-\x3b\x3d\x3f-\x7e]{1,250}")
_HEX: Final = re.compile(r"[0-9a-f]+")


def host_name(target: Target) -> str:
    """A host's name, in small letters. Raises ConnectorError, for an address too."""
    if target.kind == "ip" or (target.kind == "host" and _is_address(target.value)):
        raise ConnectorError(f"{shown(target.value)} is an address, and addresses move: isolate the host by its name")
    name = _small(value_of(target, "host")).removesuffix(".")
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise ConnectorError(f"{shown(target.value)} is no host name")
    return name


def same_host(name: str, known_as: str, domain: str = "") -> bool:
    """Whether `name` is the host that a system calls `known_as` (in `domain`): a short name fits any domain."""
    known = known_as.lower().removesuffix(".")
    full = known if not domain or known.endswith(f".{domain.lower()}") else f"{known}.{domain.lower()}"
    return bool(known) and name in (known, full, full.partition(".")[0])


def file_hash(target: Target, kinds: Mapping[int, str]) -> tuple[str, str]:
    """(what the system calls this sort of hash, the digest in small letters).

    `kinds` are the system's names by the number of hex digits. Raises ConnectorError.
    """
    digest = _small(value_of(target, "hash"))
    if len(digest) not in kinds or not _HEX.fullmatch(digest):
        raise ConnectorError(
            f"{shown(target.value)} is no hash that is blocked here: {', '.join(kinds.values())}, in hex"
        )
    return kinds[len(digest)], digest


def account_name(target: Target) -> str:
    """A sign-in name of the form of an e-mail address. Raises ConnectorError."""
    name = value_of(target, "user", "email")
    if not name.isascii() or len(name) > 320 or not _ACCOUNT.fullmatch(name):
        raise ConnectorError(f"{shown(name)} is no sign-in name like ann@example.com")
    return name


def message_id(target: Target) -> str:
    """An e-mail's Message-ID (RFC 5322), with its angle brackets. Raises ConnectorError."""
    inner = value_of(target, "message").removeprefix("<").removesuffix(">")
    if not _MESSAGE_ID.fullmatch(inner):
        raise ConnectorError(f"{shown(target.value)} is no Message-ID like <id@example.com>")
    return f"<{inner}>"


def _small(text: str) -> str:
    """In small letters if it is ASCII, else nothing: the Kelvin sign is no k."""
    return text.lower() if text.isascii() else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
