"""Retention: old bodies go, the chain stays, and an entry says what went and by whose order.

What is removed: the body and salt of entries from before a date, what a server answered before it, and alert, facts and case of incidents
that were finished before it and left nothing open: no action waits, is under way or will lift itself, and nothing that
limits somebody is held in effect (a ticket that was opened, or an alert that was closed, holds nothing). What stays: the kinds of `removed.KEPT`, every hash, and the journal (what was done to which target).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from aegis_agents.errors import InputError
from aegis_agents.ledger.archive import entry_line, intake_line, write_archive
from aegis_agents.ledger.database import Row
from aegis_agents.ledger.removed import KEPT, PRUNED, as_ranges, digest
from aegis_agents.ledger.rows import Pruned
from aegis_agents.ledger.served import Served
from aegis_agents.ledger.timers import TimerTable
from aegis_agents.records import Incident, Principal

_BATCH = 2000
"""Entries, and incidents, of one transaction: others wait no longer than that takes."""

_CLOSED = (
    "SELECT i.incident_id FROM intake i WHERE i.finished_at < ? AND NOT EXISTS (SELECT 1 FROM journal j"
    " WHERE j.incident_id = i.incident_id AND (j.updated_at >= ?"
    " OR j.state IN ('proposed', 'awaiting', 'approved', 'intent', 'undoing')"
    " OR (j.expires_at IS NOT NULL AND j.state IN ('executed', 'unconfirmed'))"
    " OR EXISTS (SELECT 1 FROM leases l WHERE l.action_id = j.action_id AND j.effect <> 'record')))"
)
_ENTRIES = (
    "SELECT e.seq, e.at, e.kind, e.incident_id, e.body, e.salt, e.body_sha256 FROM ledger_entries e"  # noqa: S608 - of constants
    " WHERE e.seq > ? AND e.at < ? AND e.body IS NOT NULL AND (e.incident_id IS NULL"
    f" OR e.incident_id IN ({_CLOSED})"
    " OR NOT EXISTS (SELECT 1 FROM intake t WHERE t.incident_id = e.incident_id))"
    " ORDER BY e.seq LIMIT ?"
)
_ALERTS = (
    "SELECT incident_id, incident, native, case_json FROM intake WHERE incident_id > ? AND case_json IS NOT NULL"  # noqa: S608
    f" AND incident_id IN ({_CLOSED}) ORDER BY incident_id LIMIT ?"
)


class RetentionTable(TimerTable):
    """The retention's part of the store."""

    def prune(self, before: datetime, by: Principal, archive: Path | None = None) -> Pruned:
        """Remove what is older than a time; see Store.prune."""
        if before.tzinfo is None:
            raise InputError("has no time zone", field="before", fix="as in 2026-01-31T00:00:00+00:00")
        if before > self._clock():
            raise InputError("lies in the future", field="before", fix="what is new stays")
        until = before.astimezone(UTC).isoformat(timespec="microseconds")
        self.verify()
        if self._signer is not None:
            self._usable_key(self._signer, self._meta())  # what can't be signed afterwards is not removed
        kept = archived = None
        if archive is not None:
            archived = _Archived()
            kept = write_archive(archive, self._meta()["origin"], self._archived(until, archived))
        entries, incidents = 0, list[str]()
        with self._erasing():
            Served(self).forget_before(before)  # a server's answers repeat what alerts said
            while True:
                with self.transaction():
                    seqs = self._remove_bodies(until, archived)
                    alerts = self._remove_alerts(until, archived)
                    if not seqs and not alerts:
                        break
                    said = {
                        "before": until, "removed": as_ranges(seq for seq, _ in seqs), "entries": len(seqs),
                        "digest": digest(seqs), "incidents": len(alerts), "archive_sha256": kept,
                    }  # fmt: skip
                    self._enter(PRUNED, None, said | {"principal": by.entry()})
                entries, incidents = entries + len(seqs), incidents + alerts
        if self._signer is not None and entries + len(incidents):
            self.checkpoint()
        return Pruned(before=until, entries=entries, incidents=tuple(incidents))

    def forgotten(self) -> list[str]:
        """Incidents whose alert and case were removed; see Store.forgotten."""
        rows = self._rows(
            "SELECT incident_id FROM intake WHERE finished_at IS NOT NULL AND case_json IS NULL ORDER BY incident_id"
        )
        return [row["incident_id"] for row in rows]

    def _archived(self, until: str, into: _Archived) -> Iterator[str]:
        """What is to go, as lines; noted in `into`, since no more than that may go."""
        for row in self._old_entries(until):
            into.entries.add(row["seq"])
            yield entry_line(row)
        for row in self._old_alerts(until):
            into.incidents.add(row["incident_id"])
            yield intake_line(*row)

    def _remove_bodies(self, until: str, archived: _Archived | None) -> list[tuple[int, str]]:
        removed: list[tuple[int, str]] = []
        for row in self._old_entries(until, None if archived is None else archived.entries):
            self._run("UPDATE ledger_entries SET body = NULL, salt = NULL WHERE seq = ?", (row["seq"],))
            removed.append((row["seq"], row["body_sha256"]))
            if len(removed) == _BATCH:
                break
        return removed

    def _remove_alerts(self, until: str, archived: _Archived | None) -> list[str]:
        removed: list[str] = []
        for row in self._old_alerts(until, None if archived is None else archived.incidents):
            bare = Incident.model_validate_json(row["incident"]).model_copy(
                update={"title": "", "facts": (), "entities": (), "notes": ("removed by retention",)}
            )
            self._run(
                "UPDATE intake SET incident = ?, native = ?, case_json = NULL, verdict = NULL WHERE incident_id = ?",
                (bare.model_dump_json(), b"", row["incident_id"]),
            )
            removed.append(row["incident_id"])
            if len(removed) == _BATCH:
                break
        return removed

    def _old_entries(self, until: str, only: Collection[int] | None = None) -> Iterator[Row]:
        after = 0
        while rows := self._rows(_ENTRIES, (after, until, until, until, _BATCH)):
            after = rows[-1]["seq"]
            yield from (
                row for row in rows if not row["kind"].startswith(KEPT) and (only is None or row["seq"] in only)
            )

    def _old_alerts(self, until: str, only: Collection[str] | None = None) -> Iterator[Row]:
        after = ""
        while rows := self._rows(_ALERTS, (after, until, until, _BATCH)):
            after = rows[-1]["incident_id"]
            yield from (row for row in rows if only is None or row["incident_id"] in only)


class _Archived:
    """What is in the archive: only that may be removed."""

    def __init__(self) -> None:
        self.entries: set[int] = set()
        self.incidents: set[str] = set()
