"""From older versions to this one, in the transaction that opens the store (SQLite; PostgreSQL has upkeep/migrations).

Version 4 only lacks a table and indexes, version 3 a column besides. From versions 1 and 2 it is a way to another format of entries:

The old chain is checked first; a broken one is left as it is. Then every table is made anew and filled, the
chain with salts and new hashes, and a last entry names the head that the old chain had: an old export or a head
that somebody wrote down can still be held against it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import LedgerTampered, StoreError
from aegis_agents.ledger.anchor import Anchor
from aegis_agents.ledger.links import Link
from aegis_agents.ledger.schema import INTAKE_INDEXES, JOURNAL_INDEXES, VERSION_TABLE

if TYPE_CHECKING:
    from aegis_agents.ledger.chain import LedgerTable
    from aegis_agents.ledger.database import Row

MIGRATED = "ledger.migrated"
"""Ledger entry: what was before it was brought here from an older format, which had this head."""

_GENESIS = "0" * 64
_BATCH = 1000
_TABLES = ("leases", "journal", "intake", "principals", "ledger_entries", "ledger_meta")
_INDEXES = (
    "intake_open", "journal_incident", "journal_state", "journal_expiry", "journal_begun", "journal_open",
    "leases_what", "ledger_kind", "ledger_incident",
)  # fmt: skip
_QUEUE_INDEXES = (
    "intake_queue", "intake_queue_open", "intake_queue_true_positive", "intake_queue_benign_positive",
    "intake_queue_false_positive", "intake_queue_undetermined",
)  # fmt: skip
_TRIGGERS = ("ledger_no_update", "ledger_no_delete", "ledger_in_order")
_JOURNAL = (
    "ord, action_id, incident_id, key, action, target_kind, target_value, generation, effect, proposal, decision,"
    " state, created_at, updated_at, begun_at, by, answered_at, answer, undo_by, undo_as, owner, connector, detail"
)
_COPIED = {
    "intake": "incident_id, at, incident, native, pins, finished_at, case_json",
    "leases": "ord, action, target_kind, target_value, action_id, foreign_made, held_at",
    "principals": "token_id, secret_sha256, name, roles, created_at, expires_at, revoked_at, created_by",
}


def migrate(store: LedgerTable, found: int, anchor: Anchor) -> None:
    """Bring a store of version `found`, whose anchor is `anchor`, to this one.

    Raises LedgerTampered if the old chain, its count or its anchor don't fit, StoreError for another version.
    """
    if found in (3, 4):
        if found == 3:
            _add_verdicts(store)
        store._run("DROP INDEX IF EXISTS journal_expiry")
        for statement in (*JOURNAL_INDEXES, VERSION_TABLE):
            store._run(statement)
        return
    if found not in (1, 2):
        raise StoreError(f"{store.where}: written by version {found}, which this one does not know")
    count, head = _check_old(store, anchor)
    for name in _TRIGGERS:
        store._run(f"DROP TRIGGER IF EXISTS {name}")
    for name in _INDEXES:
        store._run(f"DROP INDEX IF EXISTS {name}")
    old = [table for table in _TABLES if table != "principals" or found > 1]
    for table in old:
        store._run(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in store._schema():
        store._run(statement)
    _copy(store, "intake", _COPIED["intake"])
    if found == 1:
        _copy_journal(store)
    else:
        _copy(store, "journal", f"{_JOURNAL}, tier, groups, principal, undo_principal, expires_at")
        _copy(store, "principals", _COPIED["principals"])
    _copy(store, "leases", _COPIED["leases"])
    _fill_verdicts(store)
    _rebuild_chain(store)
    for table in old:
        store._run(f"DROP TABLE old_{table}")
    about = {"from_version": found, "entries": count, "head": head, "anchor": [anchor.entries, anchor.head]}
    store.append(MIGRATED, None, about)


def _add_verdicts(store: LedgerTable) -> None:
    """Version 3 had the verdict inside the case alone, and the queue's indexes only where a server had run."""
    for name in ("intake_open", *_QUEUE_INDEXES):
        store._run(f"DROP INDEX IF EXISTS {name}")
    store._run("ALTER TABLE intake ADD COLUMN verdict TEXT")
    _fill_verdicts(store)
    for statement in INTAKE_INDEXES:
        store._run(statement)


def _fill_verdicts(store: LedgerTable) -> None:
    after = ""
    wanted = "SELECT incident_id, case_json FROM intake WHERE incident_id > ? AND case_json IS NOT NULL"
    while rows := store._rows(f"{wanted} ORDER BY incident_id LIMIT ?", (after, _BATCH)):
        for row in rows:
            verdict = json.loads(row["case_json"])["verdict"]
            store._run("UPDATE intake SET verdict = ? WHERE incident_id = ?", (verdict, row["incident_id"]))
        after = rows[-1]["incident_id"]


def old_anchor(link: Link) -> Anchor | None:
    """The anchor that was there when the ledger was brought here, if this entry is the one that says so.

    The new anchor is written after the commit: a crash in between leaves the old one.
    """
    if link.kind != MIGRATED or link.body is None:
        return None
    try:
        entries, head = json.loads(link.body)["anchor"]
        return Anchor(entries, head)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _check_old(store: LedgerTable, anchor: Anchor) -> tuple[int, str]:
    """Count and head of the old chain, found whole."""
    seq, head, anchored = 0, _GENESIS, _GENESIS
    for row in _old_entries(store, "ledger_entries"):
        link_seq, at, kind, incident_id, body, prev, hashed = row
        said = ",".join(
            f'"{name}":{value}' for name, value in (
                ("at", json.dumps(at)), ("body", body), ("incident_id", json.dumps(incident_id)),
                ("kind", json.dumps(kind)), ("seq", link_seq),
            )
        )  # fmt: skip
        now = hashlib.sha256(f"{prev}{{{said}}}".encode("utf-8", "surrogatepass")).hexdigest()
        if (link_seq, prev, hashed) != (seq + 1, head, now):
            raise LedgerTampered(f"{store.where}: entry {seq + 1} was changed or is missing; nothing was migrated")
        seq, head = link_seq, hashed
        anchored = head if seq == anchor.entries else anchored
    meta = store._row("SELECT count, head FROM ledger_meta")
    if meta is None or tuple(meta) != (seq, head):
        raise LedgerTampered(f"{store.where}: the ledger's tail was changed; nothing was migrated")
    if anchor.entries > seq or anchored != anchor.head:
        raise LedgerTampered(f"{store.where}: the ledger is not the one that was anchored; nothing was migrated")
    return seq, head


def _old_entries(store: LedgerTable, table: str) -> Iterator[Row]:
    after: Any = -1
    columns = "seq, at, kind, incident_id, body, prev, hash"
    wanted = f"SELECT {columns} FROM {table} WHERE seq > ? ORDER BY seq LIMIT {_BATCH}"  # noqa: S608 - names of ours
    while rows := store._rows(wanted, (after,)):
        yield from rows
        after = rows[-1]["seq"]


def _copy(store: LedgerTable, table: str, columns: str) -> None:
    store._run(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM old_{table}")  # noqa: S608 - names of ours


def _copy_journal(store: LedgerTable) -> None:
    """Version 1 had the asset's tier and groups in the decision alone."""
    store._run(f"INSERT INTO journal ({_JOURNAL}, tier, groups) SELECT {_JOURNAL}, '', '' FROM old_journal")  # noqa: S608
    for row in store._rows("SELECT ord, decision FROM journal"):
        inputs = json.loads(row["decision"]).get("inputs", {})
        store._run(
            "UPDATE journal SET tier = ?, groups = ? WHERE ord = ?",
            (str(inputs.get("asset.tier", "")), str(inputs.get("asset.groups", "")), row["ord"]),
        )


def _rebuild_chain(store: LedgerTable) -> None:
    """The same entries, in the format of now."""
    store._begin_chain()
    seq, head = 0, store._meta()["head"]
    for row in _old_entries(store, "old_ledger_entries"):
        link = store._add(row["seq"], row["at"], row["kind"], row["incident_id"], row["body"], head)
        seq, head = link.seq, link.hash
    store._run("UPDATE ledger_meta SET count = ?, head = ?", (seq, head))
