"""What receivers are told: some of the ledger's entries, in words of their own.

The ledger is the outbox. What was decided and what is told about it can't come apart, since they are one entry,
and whoever decided (this server, another, the command line) is told about all the same.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from aegis_agents.ledger import JournalRow, LedgerEntry, Store
from aegis_agents.recovering import is_shadow
from aegis_agents.settings_server import Event

KINDS = ("case.finished", "action.decided", "action.settled", "action.answered", "action.undoing")
"""Kinds of entries that can be news."""


class News(NamedTuple):
    """One message: `id` is the same whenever it is sent, so that a receiver can drop what comes again."""

    id: str
    event: Event
    body: dict[str, Any]


def news_of(entry: LedgerEntry, store: Store, origin: str) -> News | None:
    """The message of an entry; None for one that is none, that retention emptied, or of a shadow run.

    What an alert says is left out: ids, verdicts and targets are enough to come and look.
    """
    if entry.body is None or entry.incident_id is None or is_shadow(entry.incident_id):
        return None
    found = _told(entry, entry.body, store)
    if found is None:
        return None
    event, data = found
    message_id = "msg_" + hashlib.sha256(f"{origin}\n{entry.seq}".encode()).hexdigest()[:32]
    return News(
        message_id, event, {"type": event, "timestamp": entry.at, "data": {"incident_id": entry.incident_id} | data}
    )


def _told(entry: LedgerEntry, body: dict[str, Any], store: Store) -> tuple[Event, dict[str, Any]] | None:
    if entry.kind == "case.finished":
        # Every change of outcome keeps the case anew: only the first is a decision.
        first = store.entries(incident_id=entry.incident_id, kind="case.finished", limit=1)
        if first and first[0].seq != entry.seq:
            return None
        kept = ("verdict", "confidence", "severity", "techniques", "actions")
        return "case.decided", {name: body.get(name) for name in kept}
    if entry.kind == "action.decided" and body.get("state") == "awaiting":
        return "action.waiting", _about(store.action(body["proposal"]["action_id"])) | {
            "rule": body["decision"]["rule"], "why_waiting": body["decision"]["reason"],
        }  # fmt: skip
    if entry.kind == "action.settled":
        row = store.action(body["action_id"])
        return "action.done", _about(row) | {"outcome": body.get("outcome"), "connector": body.get("connector")}
    if entry.kind == "action.answered" and body.get("state") == "denied":
        return "action.done", _about(store.action(body["action_id"])) | {"outcome": "denied", "connector": None}
    if entry.kind == "action.undoing" and body.get("still_held_by"):
        # Taken back without touching anything: others hold it too, and no settling follows.
        return "action.done", _about(store.action(body["action_id"])) | {
            "outcome": body.get("state"),
            "connector": None,
        }
    return None


def _about(row: JournalRow) -> dict[str, Any]:
    return {"action_id": row.action_id, "action": row.proposal.action, "target": row.target.model_dump()}
