"""Made-up cases for the monitor, and an Aegis whose decisions ask what fell back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aegis_agents import Aegis
from aegis_agents.agents.caution import Cautious
from aegis_agents.monitor.signs import Signs
from aegis_agents.records import Verdict
from tests.graph.reviewed import alert

START = datetime(2026, 11, 1, tzinfo=UTC)
OPEN = {
    "matrix": {"block_ip": {"standard": "act"}, "close_alert": {"standard": "act"}},
    "risk": {"contain": 0.5, "close_alert": 0.5},
}


def cautious(aegis: Aegis) -> Aegis:
    """The same, asking the ledger what fell back (as assembly does)."""
    aegis.__dict__["context"] = replace(aegis.context, caution=Cautious(aegis.store).now)
    return aegis


def signs(number: int, **changes: Any) -> Signs:
    """A campaign of its own: twenty usual words, one source, an ordinary answer."""
    words = frozenset(range(20))
    verdict: Verdict = "benign_positive"
    plain = Signs(
        f"inc-{number}", START + timedelta(minutes=number), "okta", "m@1", verdict, 0.8, 0.1, words, "", f"{number}",
        (f"link-{number}",),
    )  # fmt: skip
    return plain._replace(**changes)


def harmless(number: int, **more: Any) -> dict[str, Any]:
    """An alert that the fake model calls allowed."""
    return alert(number, answer="benign_positive") | more
