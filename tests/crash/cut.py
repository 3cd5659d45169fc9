"""Cutting a process off at a place, and what must hold once another came after it.

The end is an exception that nothing catches, at the very place; tests with real kills are in test_crash_kills.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.ledger import JournalRow, Store
from aegis_agents.ledger.ids import action_id
from aegis_agents.records import AEGIS, Decision, ProposedAction
from tests.ledger.ledgers import incident
from tests.tools.conftest import ADDRESS

Make = Callable[..., Aegis]
BLOCK = ("block_ip", "203.0.113.9")


class Killed(BaseException):
    """The process ends here."""


def dies(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, *, after: bool = False, nth: int = 1) -> None:
    """The process ends when this method is called the nth time (0: in whichever thread), before or after its work."""
    real, called = getattr(of, name), [0]

    def dying(*arguments: Any, **named: Any) -> Any:
        called[0] += 1
        now = nth in (0, called[0])
        if now and not after:
            raise Killed
        done = real(*arguments, **named)
        if now:
            raise Killed
        return done

    monkeypatch.setattr(of, name, dying)


def approved(store: Store, name: str = "inc-1", *, owner: str | None = None, undoing: bool = False) -> str:
    """An approved block; with an owner begun by that, or being taken back."""
    store.admit(incident(name), "{}", {})
    key = action_id(name, "block_ip", ADDRESS)
    proposal = ProposedAction(action_id=key, action="block_ip", target=ADDRESS, reason="r", cites=("f1",))
    decision = Decision(action_id=key, verb="execute", rule="t", reason="t")
    store.record_decision(name, proposal, decision, "approved")
    if owner is not None:
        store.begin(key, owner=owner)
    if undoing:
        store.settle(key, "executed", None, "")
        store.begin_undo(key, AEGIS, owner=owner or "")
    return key


def admitted(aegis: Aegis, alert: dict[str, Any], owner: str = "") -> str:
    """An incident that was taken in and not decided."""
    given, native = aegis._read(alert, None)
    return aegis.store.admit(given, native, aegis.context.versions, owner=owner).incident_id


def row_of(aegis: Aegis, action: str) -> JournalRow:
    (found,) = (
        row for entry in aegis.store.entries(kind="intake.admitted") if entry.incident_id
        for row in aegis.store.actions(entry.incident_id) if row.proposal.action == action
    )  # fmt: skip
    return found


def autonomous(tmp_path: Path) -> dict[str, Any]:
    """Settings under which a block is done at once, and lifts itself after an hour."""
    file = tmp_path / "matrix.toml"
    file.write_text('[block_ip]\nstandard = "act"\n')
    return {"matrix": file, "risk": {"contain": 0.5}, "lifetimes": {"block_ip": 1.0}}


def settled_and_told(aegis: Aegis) -> None:
    """Nothing is left half-done, and each case says what the journal says."""
    assert aegis.store.unfinished() == []
    assert aegis.store.open_intents() == []
    assert aegis.store.approved() == []
    assert aegis.store.outdated_cases() == []
    for entry in aegis.store.entries(kind="intake.admitted"):
        assert entry.incident_id is not None
        said = {a.action_id: a.outcome for a in aegis.case(entry.incident_id).actions}
        assert said == {row.action_id: row.outcome for row in aegis.store.actions(entry.incident_id)}
    aegis.store.verify()
