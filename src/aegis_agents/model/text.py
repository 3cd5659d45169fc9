"""How a fact reads to the model: a short field name, then its value.

What carries no meaning by itself (opaque ids, clocks, what the vendor thinks of the
severity) is left out, and the assessment says how many facts that were. Within a value,
addresses, dates, hashes, long numbers and persons are read as what kind they are: which one it is
matters only against another fact, and that is compared exactly elsewhere (derived facts).
A long value is read in several pieces, so that nothing is lost to truncation.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

from aegis_agents.model.names import names_as_kinds
from aegis_agents.records import Fact, Incident
from aegis_agents.records.incident import Trust

PIECE_CHARS = 220
"""About 64 tokens: the encoder's time grows with the longest text of a batch."""
MAX_PIECES = 12
"""Of one fact; a longer value keeps its beginning and its end, where commands hide what they do."""
MAX_CHARS, LEAST_CHARS = 60_000, 60
"""Of a whole alert, some five seconds on two cores; where there is more, each fact's beginning is read, so much at least."""

TRUST_INDEX: dict[Trust, int] = {"external": 0, "product": 1, "organization": 2}
DERIVED_INDEX = 3

_WRAPPERS = frozenset(
    [
        "alert",
        "alerts",
        "event",
        "eventdata",
        "object",
        "properties",
        "additionaldata",
        "custom",
        "details",
        "customdetails",
        "custom_details",
        "evidence",
        "evidences",
        "unmapped",
        "data",
        "fields",
        "finding",
        "sourceproperties",
        "debugcontext",
        "debugdata",
        "threatinfo",
        "output_fields",
        "productfields",
        "userdefinedfields",
        "additionalinfo",
        "service",
        "email_body_sections",
        "value",
        "derived",
        "kibana",
        "attributes",
    ]
)
_CLAIMS = re.compile(
    r"(^|\.)(severity\w*|urgency|priority|risk_?score|confidence\w*|level|detectionpriority|severitylabel|sev)$", re.I
)
_OPAQUE_NAME = re.compile(
    r"(^|[._])(id|uid|uuid|guid|arn|sequenceno|flow_id|digest|schemaversion|class_uid|type_uid|category_uid)$", re.I
)
_OPAQUE_VALUE = re.compile(
    r"^(\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?|[0-9a-f]{24,}|[0-9]{13,}|S-1-5-21-[0-9-]+|arn:aws:(guardduty|securityhub):\S+)$", re.I
)  # fmt: skip
_CLOCK = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?$")
_INDEX = re.compile(r"\[\d+\]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SPLIT = re.compile(r"[._\-\s/@#$:]+")


_KINDS = re.compile(
    r"(?P<guid>\{?\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b\}?)"
    r"|(?P<moment>\b\d{4}-\d\d-\d\d[T ](?P<hour>\d\d:\d\d)(?::\d\d(?:[.,]\d+)?)?(?: ?Z\b|[+-]\d\d:?\d\d\b)?)"
    r"|(?P<date>\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d\b)"
    r"|(?P<ip>(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)(?P<bits>/\d{1,2}\b)?)"
    r"|(?P<hash>\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9A-F]{64}|[0-9A-F]{40}|[0-9A-F]{32})\b)"
    r"|(?P<number>(?<![\w.,-])\d{6,18}(?![\w,-]|\.\d))"
    r"|(?<![\w-])(?!CVE|KB)(?P<prefix>(?-i:[A-Z]{2,6}))[-_]?\d{4,10}(?![\w.-])",
    re.I,
)


def _kind(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if match["hour"]:
        return f"date {match['hour']}"
    if match["ip"]:
        try:
            address = ipaddress.ip_address(match["ip"].partition("/")[0])
        except ValueError:
            return match[0]
        where = "loopback" if address.is_loopback else "internal" if str(address).startswith(_INTERNAL) else "external"
        return f"{where} {'range' if match['bits'] else 'address'}"
    if match["number"]:
        digits = match["number"].lstrip("0")
        size = len(digits) - 1
        unit, zeros = next(((u, z) for u, z in _UNITS if size >= z), ("", 0))
        return f"{digits[:1]}{'0' * (size - zeros)} {unit}" if digits and unit else match[0]
    if match["prefix"]:
        return f"{match['prefix']} number"
    return str(kind)


_UNITS = (("billion", 9), ("million", 6), ("thousand", 3))
_INTERNAL = (
    "10.",
    "192.168.",
    "169.254.",
    *(f"172.{n}." for n in range(16, 32)),
    *(f"100.{n}." for n in range(64, 128)),
)


_CUT = re.compile(r"⟦… \d+ characters cut …⟧")


@lru_cache(maxsize=16384)
def plain_value(value: str) -> str:
    """A value with its addresses, dates, hashes and long numbers named by their kind, and what was cut from it as "…"."""
    return _KINDS.sub(_kind, _CUT.sub("…", value) if "⟦" in value else value)


class Piece(NamedTuple):
    """A text to encode, and the fact and trust that it belongs to. `value` is the text without its field's name."""

    fact: str
    text: str
    trust: int
    value: str


@lru_cache(maxsize=8192)
def field_name(path: str) -> str:
    """The last meaningful parts of a path as lower-case words: "evidence[1].processCommandLine" → "process command line"."""
    parts = [p for p in _INDEX.sub("", path).split(".") if p and p.lower().replace(" ", "") not in _WRAPPERS] or [path]
    words = [w for part in parts[-3:] for w in _SPLIT.split(_CAMEL.sub(" ", part)) if w]
    kept: list[str] = []
    for word in (w.lower() for w in words):
        if not kept or kept[-1] != word:
            kept.append(word)
    return " ".join(kept[-6:])


def is_meaningless(fact: Fact) -> bool:
    """Whether the model can learn nothing from this fact by itself."""
    if fact.derived:
        return False
    path = _INDEX.sub("", fact.path)
    return bool(
        not fact.value.strip()
        or _OPAQUE_VALUE.match(fact.value)
        or _CLOCK.match(fact.value)
        or (_CLAIMS.search(path) and len(fact.value) < 24)
        or (_OPAQUE_NAME.search(path) and " " not in fact.value)
    )


def _pieces(text: str) -> list[str]:
    if len(text) <= PIECE_CHARS:
        return [text]
    cut = [text[i : i + PIECE_CHARS] for i in range(0, len(text), PIECE_CHARS)]
    return cut if len(cut) <= MAX_PIECES else cut[: MAX_PIECES // 2] + cut[-MAX_PIECES // 2 :]


def read(incident: Incident) -> tuple[list[Piece], int]:
    """The pieces that the model reads, in the order of the facts, and how many facts were left out."""
    pieces: list[Piece] = []
    skipped = 0
    said = names_as_kinds(incident)
    for fact in incident.facts:
        if is_meaningless(fact):
            skipped += 1
            continue
        name, trust = field_name(fact.path), DERIVED_INDEX if fact.derived else TRUST_INDEX[fact.trust]
        pieces += [Piece(fact.id, f"{name}: {part}", trust, part) for part in _pieces(plain_value(said(fact)))]
    return _within_bounds(pieces), skipped


def _within_bounds(pieces: list[Piece]) -> list[Piece]:
    """All pieces, or where there is too much to read in seconds the beginning of each fact: none is left out."""
    if sum(len(piece.text) for piece in pieces) <= MAX_CHARS:
        return pieces
    first = {piece.fact: piece for piece in reversed(pieces)}
    room = max(LEAST_CHARS, MAX_CHARS // len(first))
    return [
        piece._replace(text=piece.text[:room], value=piece.value[:room])
        for piece in pieces if first[piece.fact] is piece
    ]  # fmt: skip
