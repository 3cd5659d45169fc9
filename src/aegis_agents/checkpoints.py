"""The embedded checkpointer: where a graph waits for a person, across processes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from aegis_agents import records

_ALLOWED = tuple(
    (getattr(records, name).__module__, name)
    for name in (
        "Assessment", "Claim", "Conclusion", "Decision", "Entity", "Fact", "FactEvidence", "FactWeight", "Incident",
        "Passage", "PassageEvidence", "ProposedAction", "Receipt", "Sentence", "Target", "TechniqueScore",
    )
)  # fmt: skip


def record_serializer() -> JsonPlusSerializer:
    """Only our own records are rebuilt from a checkpoint: the default would rebuild anything (CVE-2026-28277)."""
    return JsonPlusSerializer(allowed_msgpack_modules=_ALLOWED)


def open_checkpointer(file: Path) -> SqliteSaver:
    """A SQLite checkpointer; losing the file loses nothing that the journal does not have."""
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    # The journal is what must survive a power cut; a checkpoint may be rebuilt from it.
    connection.execute("PRAGMA synchronous=NORMAL")
    saver = SqliteSaver(connection, serde=record_serializer())
    saver.setup()
    return saver
