"""A storm leaves one entry in the ledger for each power of ten that its copies pass."""

from __future__ import annotations

from aegis_agents.ledger import Store

COPIES = "incident.copies"
"""Ledger entry: how many alerts of one incident there were, when a power of ten was passed."""
FEWEST = 10


def note_copies(store: Store, incident_id: str, copies: int) -> bool:
    """Write how many copies there are, if they passed a power of ten that no entry tells of yet. Raises StoreError.

    Nothing is written for an incident that was not taken in: an entry belongs to a case.
    """
    if copies < FEWEST or store.intake(incident_id) is None:
        return False
    with store.transaction():  # two workers may come with the same
        noted = [int((entry.body or {}).get("copies", 0)) for entry in store.entries(incident_id, kind=COPIES)]
        if len(str(max(noted, default=0))) >= len(str(copies)):
            return False
        store.append(COPIES, incident_id, {"copies": copies})
    return True
