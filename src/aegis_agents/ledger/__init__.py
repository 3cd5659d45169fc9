"""What happened: intake, action journal and the hash-chained ledger, in one transaction domain.

Read in this order: rows, store (the Protocol that everything else relies on), ids, schema, database. Then the
ledger: links (what is hashed), files, notes and signing (checkpoints), checking (is it whole), export, removed and
archive (what retention leaves), migrate. Then the store, each module adding its part: checkpoints, chain,
principals, intake, leases, usage, journal, timers, retention, queue, sqlite; for several machines postgres_connection,
postgres_text, postgres_guards, postgres. Last opening, which chooses between the two, and served, what an HTTP server keeps beside it.
"""

from aegis_agents.ledger.export import check_export
from aegis_agents.ledger.ids import action_id, canonical_json, idempotency_key
from aegis_agents.ledger.notes import read_keys
from aegis_agents.ledger.rows import (
    Begun,
    IntakeRow,
    JournalRow,
    JournalState,
    LedgerEntry,
    Pruned,
    TokenRow,
    Undoing,
    Usage,
    Verification,
)
from aegis_agents.ledger.signing import Signer
from aegis_agents.ledger.sqlite import SqliteStore
from aegis_agents.ledger.store import Settled, Store

__all__ = [
    "Begun", "IntakeRow", "JournalRow", "JournalState", "LedgerEntry", "Pruned", "Settled", "Signer",
    "SqliteStore", "Store", "TokenRow", "Undoing", "Usage", "Verification",
    "action_id", "canonical_json", "check_export", "idempotency_key", "read_keys",
]  # fmt: skip
