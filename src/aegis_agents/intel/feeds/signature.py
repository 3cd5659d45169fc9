"""Detached Ed25519 signatures: that a file is what the holder of a key made (RFC 8032).

A signature says nothing about age: who can alter the server's answers can still offer an older signed file.
"""

from __future__ import annotations

import base64
import binascii
import re

from aegis_agents.errors import IntelError, IntelTampered

MAX_SIGNATURE = 4096
"""Bytes of a signature file; the signature itself has 64."""

_HEX = re.compile(rb"[0-9a-fA-F]{128}")


def verify_signature(name: str, content: bytes, signature: bytes | None, public_key: str) -> str:
    """Who signed: "ed25519:" and the first 16 digits of the key.

    `signature` is what the file beside the content says (64 bytes as they are, in base64 or in hexadecimal
    digits), None if there is none. Raises IntelTampered unless it is the key's signature of this content.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise IntelError(f"feed {name}: public_key: install aegis-soc-agents[feeds] to check signatures") from error
    fix = "ask its publisher; the last good snapshot stays in use"
    if signature is None:
        raise IntelTampered(f"feed {name}: public_key: the signature is missing ({fix})")
    raw = _raw(signature)
    if raw is None:
        raise IntelTampered(f"feed {name}: public_key: the .sig file holds no Ed25519 signature ({fix})")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(raw, content)
    except (InvalidSignature, ValueError) as error:
        raise IntelTampered(f"feed {name}: public_key: the content is not what this key signed ({fix})") from error
    return f"ed25519:{public_key[:16]}"


def _raw(signature: bytes) -> bytes | None:
    if len(signature) == 64:
        return signature
    text = signature.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.decode("ascii"))
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == 64 else None
