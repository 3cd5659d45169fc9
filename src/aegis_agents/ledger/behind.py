"""Before an effect: a journal that was set back may have forgotten that it was done already."""

from __future__ import annotations

from aegis_agents.errors import LedgerTampered
from aegis_agents.ledger.chain import LedgerTable


def refuse_if_set_back(store: LedgerTable) -> None:
    """Raises LedgerTampered if the ledger does not hold what the anchor names; in a transaction of the only writer.

    The anchor is moved on after the commit, so that it is never ahead by itself. One that is missing or damaged is
    for verify() to report.
    """
    try:
        known = store._anchor.read(mapped=True)
    except LedgerTampered:
        return
    row = store._row("SELECT origin, count FROM ledger_meta")
    if row is None or not isinstance(row["count"], int):
        return  # appending refuses it
    ahead = row["count"] < known.entries
    if ahead or (known != store._anchor_left and not store._holds(known, row["origin"])):
        there = f"has {row['count']} ledger entries" if ahead else "has another entry of that number"
        raise LedgerTampered(
            f"{store.where}: its anchor knows entry {known.entries}, and the ledger {there}: it was set back, and nothing is"
            " done by a journal that may have forgotten what was done (restore a backup, or, if you know why,"
            " `aegis restore --here`)"
        )
