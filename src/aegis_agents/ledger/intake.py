"""Intake: the incident as it came in, before anything is decided; later its case."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import NamedTuple

from aegis_agents.errors import StoreError
from aegis_agents.ledger.database import Row
from aegis_agents.ledger.ids import canonical_json, record_json
from aegis_agents.ledger.principals import PrincipalTable
from aegis_agents.ledger.rows import IntakeRow
from aegis_agents.records import Case, Incident

_AT_ONCE, _ENTRIES = 200, 5000
"""Ids, and ledger entries, of one statement."""


class _End(NamedTuple):
    """How far the ledger went."""

    seq: int
    hash: str


class _Compared(NamedTuple):
    """How far the ledger went when cases were last held against the journal, and which said less then."""

    end: _End
    late: frozenset[str]


class IntakeTable(PrincipalTable):
    """The intake's part of the store."""

    _compared: _Compared | None = None

    def admit(self, incident: Incident, native: str, pins: dict[str, str], owner: str = "") -> IntakeRow:
        """Take an incident in; the same id again answers the row that is there, with `new=False`. See Store."""
        with self.transaction():
            if there := self.intake(incident.id):
                return there
            at = self._now()
            self._run(
                "INSERT INTO intake (incident_id, at, incident, native, pins, owner) VALUES (?, ?, ?, ?, ?, ?)",
                (incident.id, at, record_json(incident, "incident"), native.encode("utf-8", "surrogatepass"),
                 canonical_json(pins), owner or None),
            )  # fmt: skip
            body = {"source": incident.source, "native_id": incident.native_id, "digest": incident.digest}
            self._enter("intake.admitted", incident.id, body | {"tenant": incident.tenant, "pins": pins})
        return IntakeRow(
            incident_id=incident.id, at=datetime.fromisoformat(at), new=True, finished=False,
            incident=incident, native=native, pins=pins, owner=owner or None,
        )  # fmt: skip

    def claim(self, incident_id: str, owner: str, held_by: str | None) -> bool:
        """Take over an undecided incident from `held_by`, who began it: compare-and-set, one wins."""
        with self.transaction():
            won = self._run(
                "UPDATE intake SET owner = ? WHERE incident_id = ? AND finished_at IS NULL AND coalesce(owner, '') = ?",
                (owner, incident_id, held_by or ""),
            )
            if won.rowcount == 1 and owner != held_by:
                self._enter("intake.taken_over", incident_id, {"owner": owner, "held_by": held_by})
            return bool(won.rowcount == 1)

    def finish(self, incident_id: str, case: Case) -> None:
        """Keep the case; a later one replaces it, and the ledger keeps what each said."""
        text = record_json(case, "case", exclude={"incident"})
        with self.transaction():
            done = self._run(
                "UPDATE intake SET case_json = ?, verdict = ?, finished_at = ? WHERE incident_id = ?",
                (text, case.verdict, self._now(), incident_id),
            )
            if done.rowcount != 1:
                raise StoreError(f"incident {incident_id} was never taken in: call admit() first")
            body = {
                "verdict": case.verdict, "confidence": case.confidence, "severity": case.severity,
                "techniques": list(case.techniques), "versions": case.versions,
                "evidence": [evidence.id for evidence in case.evidence],
                "actions": {action.action_id: action.outcome for action in case.actions},
                "case_sha256": hashlib.sha256(text.encode()).hexdigest(),
            }  # fmt: skip
            self._enter("case.finished", incident_id, body)

    def case(self, incident_id: str) -> Case | None:
        """The latest case, its incident included; None while there is none."""
        row = self._row("SELECT case_json, incident FROM intake WHERE incident_id = ?", (incident_id,))
        if row is None or row["case_json"] is None:
            return None
        incident = Incident.model_validate_json(row["incident"])
        return Case.model_validate_json(row["case_json"]).model_copy(update={"incident": incident})

    def intake(self, incident_id: str) -> IntakeRow | None:
        """The incident as it was taken in; None if it never was."""
        row = self._row("SELECT * FROM intake WHERE incident_id = ?", (incident_id,))
        return None if row is None else _intake_row(row)

    def unfinished(self) -> list[IntakeRow]:
        """Taken in but without a case, oldest first."""
        return [_intake_row(row) for row in self._rows("SELECT * FROM intake WHERE finished_at IS NULL ORDER BY at")]

    def outdated_cases(self) -> list[str]:
        """Ids of incidents whose kept case says less than the journal: a crash came between the two.

        The first call of a process compares all of them, a later one those that anything was written about since:
        each change of a case or of the journal has its ledger entry, whoever made it and whatever its clock said.
        """
        with self._lock:
            before, now = self._compared, self._end()
            if before is None or not self._still_holds(before.end):
                late = self._late()
            else:
                late = self._late_of(sorted(before.late | self._written_about(before.end.seq, now.seq)))
            self._compared = _Compared(now, frozenset(late))
            return late

    def _late(self) -> list[str]:
        rows = self._rows(
            "SELECT DISTINCT i.incident_id FROM intake i JOIN journal j ON j.incident_id = i.incident_id"
            " WHERE i.finished_at < j.updated_at AND i.case_json IS NOT NULL ORDER BY i.incident_id"
        )
        return [row["incident_id"] for row in rows]

    def _written_about(self, after: int, until: int) -> set[str]:
        """Incidents that entries after the one and up to the other are about."""
        found: set[str] = set()
        for start in range(after, until, _ENTRIES):
            rows = self._rows(
                "SELECT incident_id FROM ledger_entries WHERE seq > ? AND seq <= ? ORDER BY seq",
                (start, min(start + _ENTRIES, until)),
            )
            found.update(row["incident_id"] for row in rows)
        return found - {None}

    def _late_of(self, ids: list[str]) -> list[str]:
        """Those of these ids; in the order that they are given."""
        late: list[str] = []
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            rows = self._rows(
                f"SELECT i.incident_id FROM intake i WHERE i.incident_id IN ({', '.join('?' * len(some))})"  # noqa: S608 - marks
                " AND i.case_json IS NOT NULL AND i.finished_at <"
                " (SELECT max(j.updated_at) FROM journal j WHERE j.incident_id = i.incident_id)",
                some,
            )
            late += sorted(row["incident_id"] for row in rows)
        return late

    def _end(self) -> _End:
        """The ledger's last entry."""
        row = self._row("SELECT count, head FROM ledger_meta")
        return _End(0, "") if row is None else _End(int(row["count"]), row["head"])

    def _still_holds(self, end: _End) -> bool:
        """Whether the ledger goes on from there.

        It does not where it was set back beneath us, nor where our own transaction was that far and was taken back:
        the hash is of entries that are not there.
        """
        row = self._row("SELECT hash FROM ledger_entries WHERE seq = ?", (end.seq,))
        return row is not None and row["hash"] == end.hash


def _intake_row(row: Row) -> IntakeRow:
    return IntakeRow(
        incident_id=row["incident_id"], at=datetime.fromisoformat(row["at"]), new=False,
        finished=row["finished_at"] is not None, incident=Incident.model_validate_json(row["incident"]),
        native=row["native"].decode("utf-8", "surrogatepass"), pins=json.loads(row["pins"]), owner=row["owner"],
    )  # fmt: skip
