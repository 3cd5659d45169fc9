"""What happened: intake, action journal and the hash-chained ledger, in one transaction domain.

Read in this order: rows, store (the Protocol that everything else relies on), ids, then the SQLite
side, each module adding its part of the store: schema, database, anchor, chain, principals, intake,
leases, usage, journal, timers, sqlite.
"""

from aegis_agents.ledger.chain import check_export, export_jsonl
from aegis_agents.ledger.ids import action_id, canonical_json, idempotency_key
from aegis_agents.ledger.rows import (
    Begun,
    IntakeRow,
    JournalRow,
    JournalState,
    LedgerEntry,
    TokenRow,
    Undoing,
    Usage,
    Verification,
)
from aegis_agents.ledger.sqlite import SqliteStore
from aegis_agents.ledger.store import Settled, Store

__all__ = [
    "Begun", "IntakeRow", "JournalRow", "JournalState", "LedgerEntry", "Settled", "SqliteStore", "Store",
    "TokenRow", "Undoing", "Usage", "Verification",
    "action_id", "canonical_json", "check_export", "export_jsonl", "idempotency_key",
]  # fmt: skip
