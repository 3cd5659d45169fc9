"""Stores with every kind of row in them, and what must be the same after they were moved or restored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aegis_agents.inbox.schema import statements
from aegis_agents.inbox.sqlite import SqliteDatabase as InboxFile
from aegis_agents.ledger import Signer, SqliteStore, action_id
from aegis_agents.ledger.journal import journal_row
from aegis_agents.ledger.served import Answered, Served
from aegis_agents.records import AEGIS, Decision, ProposedAction, Target
from tests.ledger.ledgers import case_of, incident
from tests.people import person

NATIVE = '{"text": "é \\u0000 \x00 \ud800"}'


def signer_of(home: Path, copies: Path | None = None) -> Signer:
    return Signer(home / "ledger.key", every=100, copies=copies)


def open_home(home: Path, copies: Path | None = None) -> SqliteStore:
    return SqliteStore(home / "aegis.sqlite", signer=signer_of(home, copies))


def decide(store: SqliteStore, name: str, action: str = "block_ip", state: str = "approved", value: str = "") -> str:
    """One decided action of an incident; answers its id."""
    target = Target(kind="ip", value=value or f"203.0.113.{abs(hash(name)) % 250}")
    key = action_id(name, action, target)  # type: ignore[arg-type]
    proposal = ProposedAction(action_id=key, action=action, target=target, reason="r", cites=("f1",))  # type: ignore[arg-type]
    verb = {"approved": "execute", "awaiting": "ask", "refused": "refuse", "would_execute": "recommend"}[state]
    store.record_decision(name, proposal, Decision(action_id=key, verb=verb, rule="t", reason="t"), state)  # type: ignore[arg-type]
    return key


def fill(store: SqliteStore, incidents: int = 30) -> None:
    """Incidents in every state that there is."""
    by = person("alice")
    with store.transaction():
        for number in range(incidents):
            name = f"inc-{number}"
            store.admit(incident(name), NATIVE, {"model": "m@1"}, owner="gone:1:x")
            if number % 10 == 9:
                continue  # never decided
            step = number % 9
            if step == 0:
                decide(store, name, state="awaiting")
            elif step == 1:
                store.answer(decide(store, name, state="awaiting"), False, by, "n\x00")
            elif step in (2, 3, 4, 5, 6):
                key = decide(store, name, value="198.51.100.7" if step == 2 else f"10.0.{number // 250}.{number % 250}")
                store.begin(key, owner="gone:1:x")
                if step != 3:
                    until = datetime.now(UTC) + timedelta(days=1) if step == 4 else None
                    outcome = "unconfirmed" if step == 5 else "executed"
                    store.settle(key, outcome, "fake-firewall", "d\x1a\x00", foreign=number == 2, until=until)  # type: ignore[arg-type]
                if step == 6:
                    store.begin_undo(key, by, owner="gone:1:x")
            elif step == 7:
                decide(store, name, state="approved")
            else:
                decide(store, name, state="would_execute")
            store.finish(name, case_of(name))
    store.add_token("alice", ["approver"], AEGIS, valid_for=timedelta(days=1))
    served = Served(store)
    served.keep("digest", Answered("r", 200, '{"a": 1}'))
    served.told("hook", 3)


def fill_inbox(home: Path, messages: int = 20) -> None:
    """An inbox in a file, with rows in every table."""
    db = InboxFile(home / "inbox.sqlite")
    assert list(statements("sqlite"))
    with db.transaction():
        for number in range(messages):
            db.run(
                "INSERT INTO inbox_messages (number, stream, position, native, incident_id, digest, rank, fair, turn, state,"
                " attempts, copies, received_at) VALUES (?, 's', ?, ?, ?, 'd', 1, 0.5, 0.25, ?, 0, 1, 1.5)",
                (number * 3 + 1, str(number), b"n\x00\xff", f"inc-{number}", ("waiting", "done", "dead")[number % 3]),
            )
        db.run("INSERT INTO inbox_folded VALUES ('inc-x', 1)")
        db.run("INSERT INTO inbox_seen VALUES ('s', 'p', 1.5)")
        db.run("INSERT INTO inbox_marks VALUES ('s', '', '77')")
        db.run("INSERT INTO inbox_totals VALUES ('copies', 12)")
    db.close()


def told(store: Any) -> dict[str, Any]:
    """All that a store says of itself."""
    rows = store._rows("SELECT * FROM journal ORDER BY ord")
    natives = store._rows("SELECT incident_id, native, incident, case_json, owner, at FROM intake ORDER BY incident_id")
    return {
        "ledger": [tuple(r) for r in store._rows("SELECT * FROM ledger_entries ORDER BY seq")],
        "notes": [tuple(r) for r in store._rows("SELECT number, note FROM ledger_checkpoints ORDER BY number")],
        "journal": [(r["ord"], journal_row(r)) for r in rows],
        "intake": [(r[0], bytes(r[1]), *list(r)[2:]) for r in natives],
        "leases": [tuple(r) for r in store._rows("SELECT * FROM leases ORDER BY ord")],
        "tokens": store.tokens(),
        "meta": [tuple(r) for r in store._rows("SELECT * FROM ledger_meta")],
        "pending": [row.action_id for row in store.pending()],
        "open": [row.action_id for row in store.open_intents()],
        "timers": [row.action_id for row in store.timers()],
        "served": [tuple(r) for r in store._rows("SELECT * FROM served_answers")],
        "hooks": [tuple(r) for r in store._rows("SELECT * FROM served_hooks")],
    }
