"""One link of the chain: what is hashed, and how (entry format 2).

The chain holds a commitment to each body and not the body itself: `body_sha256` is the SHA-256 of 16 random
bytes, the salt, followed by the body's canonical text. So a body can be removed and the chain still
verifies; and without its salt, which goes with it, a body of few possible values can't be guessed from the hash.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from aegis_agents.errors import LedgerTampered
from aegis_agents.ledger.rows import LedgerEntry

FORMAT = "aegis-ledger/2"
"""The name of this format; tools/verify_ledger/README.md describes it."""

SELECT = "SELECT seq, at, kind, incident_id, body, salt, body_sha256, prev, hash FROM ledger_entries"


class Link(NamedTuple):
    """An entry as it is stored: the body still canonical text, so that checking needs no parsing."""

    seq: int
    at: str
    kind: str
    incident_id: str | None
    body: str | None
    salt: str | None
    body_sha256: str
    prev: str
    hash: str

    def entry(self) -> LedgerEntry:
        """As it is shown."""
        body = None if self.body is None else json.loads(self.body)
        return LedgerEntry.model_construct(**(self._asdict() | {"body": body}))

    def check_types(self) -> None:
        """Raises LedgerTampered where a value is not of the kind that was written: databases let anything in."""
        texts = (self.at, self.kind, self.body_sha256, self.prev, self.hash)
        maybe = (self.incident_id, self.body, self.salt)
        if type(self.seq) is not int or not all(isinstance(text, str) for text in texts):
            raise LedgerTampered(f"entry {self.seq} was changed: a column has another type")
        if not all(text is None or isinstance(text, str) for text in maybe):
            raise LedgerTampered(f"entry {self.seq} was changed: a column has another type")


def genesis(origin: str) -> str:
    """What the first entry names as the one before it: no two ledgers can share a link."""
    return hashlib.sha256(f"{FORMAT}\n{origin}\n".encode()).hexdigest()


def commitment(salt: str, body: str) -> str:
    """SHA-256 (hex) over the salt's 16 bytes followed by the body. Raises ValueError for any other salt."""
    raw = bytes.fromhex(salt)
    if len(raw) != 16 or raw.hex() != salt:
        raise ValueError("a salt is 32 hex digits, a to f in small letters")
    return hashlib.sha256(raw + body.encode("utf-8", "surrogatepass")).hexdigest()


def link_hash(link: Link) -> str:
    """SHA-256 (hex) over `prev` followed by the canonical JSON of at, body_sha256, incident_id, kind and seq."""
    at, committed, incident, kind = (
        json.dumps(part) for part in (link.at, link.body_sha256, link.incident_id, link.kind)
    )
    said = f'{{"at":{at},"body_sha256":{committed},"incident_id":{incident},"kind":{kind},"seq":{link.seq}}}'
    return hashlib.sha256((link.prev + said).encode("utf-8", "surrogatepass")).hexdigest()
