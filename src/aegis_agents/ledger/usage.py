"""What was used up of the budgets, counted from the journal.

What it costs follows what was begun and what ended since then, not how long the journal is.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from aegis_agents.errors import InputError
from aegis_agents.ledger.leases import LeaseTable
from aegis_agents.ledger.rows import Usage
from aegis_agents.ledger.schema import ENDED_BADLY
from aegis_agents.records import Target


class UsageTable(LeaseTable):
    """The usage's part of the store."""

    def usage(self, since: datetime) -> Usage:
        """What contain and destroy actions have used up since `since`; see Usage."""
        if since.tzinfo is None:
            raise InputError("has no time zone", field="since", fix="use datetime.now(UTC) - timedelta(...)")
        start = since.astimezone(UTC).isoformat(timespec="microseconds")
        begun = self._rows(
            "SELECT state, target_kind, target_value, tier, groups, count(*) AS n FROM journal"
            " WHERE effect IN ('contain', 'destroy') AND begun_at >= ?"
            " GROUP BY state, target_kind, target_value, tier, groups",
            (start,),
        )
        records, closed = self._rows(
            "SELECT count(*), count(CASE WHEN action = 'close_alert' THEN 1 END) FROM journal"
            " WHERE effect = 'record' AND begun_at >= ?",
            (start,),
        )[0]
        # What was undone counts when it was undone, whenever it was begun, up to a day before. What was begun is a
        # value here and no condition: a day of it would be read to find an hour's few.
        ended = self._rows(
            "SELECT state, CASE WHEN effect IN ('contain', 'destroy') AND begun_at >= ? THEN 1 ELSE 0 END AS n"  # noqa: S608
            f" FROM journal WHERE {ENDED_BADLY} AND updated_at >= ?",
            ((since.astimezone(UTC) - timedelta(days=1)).isoformat(timespec="microseconds"), start),
        )
        broken = Counter[str]()
        for row in ended:
            broken[row["state"]] += row["n"]
        waiting = self._rows(
            "SELECT action, effect, target_kind, target_value, tier, groups, count(*) AS n FROM journal"
            " WHERE state = 'approved' GROUP BY action, effect, target_kind, target_value, tier, groups"
        )
        done = [row for row in begun if row["state"] != "failed"]
        committed = [row for row in waiting if row["effect"] in ("contain", "destroy")]
        by_tier, by_group = Counter[str](), Counter[str]()
        for row in (*done, *committed):
            by_tier[row["tier"]] += row["n"]
            by_group.update(dict.fromkeys(row["groups"].split(), row["n"]))
        targets = dict.fromkeys((row["target_kind"], row["target_value"]) for row in (*done, *committed))
        told = [row for row in waiting if row["effect"] == "record"]
        return Usage(
            since=since,
            actions=sum(row["n"] for row in done),
            committed=sum(row["n"] for row in committed),
            targets=tuple(Target(kind=kind, value=value) for kind, value in targets),
            failed=broken["failed"],
            undone=broken["undone"],
            records=records + sum(row["n"] for row in told),
            closed=closed + sum(row["n"] for row in told if row["action"] == "close_alert"),
            by_tier=dict(by_tier),
            by_group=dict(by_group),
        )
