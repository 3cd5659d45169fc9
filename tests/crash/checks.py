"""What must hold after any number of kills. Each answers what is wrong, nothing where all is well."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from aegis_agents.errors import AegisError
from aegis_agents.ledger import JournalRow, idempotency_key
from aegis_agents.records import CATALOGUE
from tests.crash.worker import FOREIGN, Spec, alert
from tests.crash.world import UNREADABLE, Call, World

_DONE = ("executed", "unconfirmed")
_AFTER_YES = frozenset({"executed", "failed", "unconfirmed", "recommended", "undone", "expired"})


def _lines(spec: Spec, file: str) -> list[str]:
    path = spec.file(file)
    return path.read_text("utf-8").splitlines() if path.exists() else []


def journal(store: Any) -> list[JournalRow]:
    """Every row."""
    from aegis_agents.ledger.journal import journal_row

    return [journal_row(row) for row in store._rows("SELECT * FROM journal ORDER BY ord")]


def breaches(spec: Spec, store: Any) -> list[str]:
    """Everything that is wrong once the last process has finished."""
    rows, world = journal(store), World(spec.file("world.sqlite"))
    calls, effects = [call for call in world.calls() if call.key], world.in_effect()
    found = [*_lines(spec, "breaches"), *_lines(spec, "errors")]
    found += [
        *no_incident_lost(spec, store), *nothing_twice(rows, calls), *nothing_half_recorded(store, rows),
        *world_is_journal(rows, effects), *unreadable_is_told_truly(rows, calls),
        *answers_stand(spec, rows), *nothing_waits_in_vain(spec, rows),
    ]  # fmt: skip
    try:
        store.verify()
    except AegisError as error:
        found.append(f"the ledger does not verify: {error}")
    return found


def in_between(spec: Spec, store: Any) -> list[str]:
    """What must hold whenever nobody is at work and everything was recovered, timers still running."""
    rows = journal(store)
    effects = World(spec.file("world.sqlite")).in_effect()
    return [*nothing_half_recorded(store, rows), *world_is_journal(rows, effects)]


def no_incident_lost(spec: Spec, store: Any) -> Iterator[str]:
    """Every alert that was handed over has a case, and one only."""
    kept = {row[0] for row in store._rows("SELECT incident_id FROM intake WHERE case_json IS NOT NULL")}
    by_native = {store.intake(incident_id).incident.native_id: incident_id for incident_id in kept}
    for number in sorted({int(line) for line in _lines(spec, "handed")}):
        if alert(spec.seed, number)["event_id"] not in by_native:
            yield f"alert {number} was handed over and has no case"
    if len(by_native) != len(kept):
        yield f"{len(kept) - len(by_native)} alerts have more than one case"
    for line in _lines(spec, "acknowledged"):
        if line.split()[1] not in kept:
            yield f"{line} was acknowledged and has no case"
    if undecided := store.unfinished():
        yield f"{len(undecided)} incidents were never decided"


def nothing_twice(rows: list[JournalRow], calls: list[Call]) -> Iterator[str]:
    """One effective call for each generation; what can't be read back is sent by one process alone."""
    effective = Counter(call.key for call in calls if call.verb == "apply" and call.effective)
    for key, times in effective.items():
        if times > 1:
            yield f"{key} took effect {times} times"
    senders = defaultdict(set)
    for call in calls:
        if call.action in UNREADABLE:
            senders[call.key, call.verb].add(call.pid)
    for (key, verb), pids in senders.items():
        if len(pids) > 1 and verb == "apply":
            yield f"{key} can't be read back and was sent by {len(pids)} processes"
    for call in calls:
        if call.verb == "undo" and call.action not in UNREADABLE and not call.effective:
            yield f"{call} took back what was not in effect: the journal had said it was"
    known = {row.key for row in rows}
    for call in calls:
        if call.key.removesuffix("-undo") not in known:
            yield f"{call} belongs to no action of the journal"


def nothing_half_recorded(store: Any, rows: list[JournalRow]) -> Iterator[str]:
    """No state that is passed through; leases of what is done and of nothing else; a case that says what the journal says."""
    for row in rows:
        if row.state in ("proposed", "approved", "intent", "undoing"):
            yield f"{row.action_id} was left {row.state}: {row.owner}"
        expected = idempotency_key(row.incident_id, row.proposal.action, row.target, row.proposal.generation)
        if row.key != expected:
            yield f"{row.action_id} has another key than it should"
    leased = {row[0] for row in store._rows("SELECT action_id FROM leases")}
    held = {row.action_id for row in rows if row.state in _DONE and CATALOGUE[row.proposal.action].reversible}
    if leased != held:
        yield f"leases without an action in effect: {leased - held}; actions in effect without one: {held - leased}"
    by_incident = defaultdict(list)
    for row in rows:
        by_incident[row.incident_id].append(row)
    for incident_id, own in by_incident.items():
        case = store.case(incident_id)
        if case is not None and {a.action_id: a.outcome for a in case.actions} != {r.action_id: r.outcome for r in own}:
            yield f"the case {incident_id} says something else than the journal"
    kinds = Counter((e["kind"], e["action_id"]) for e in _entries(store))
    for row in rows:
        if kinds["action.decided", row.action_id] != 1:
            yield f"{row.action_id} has {kinds['action.decided', row.action_id]} decisions in the ledger"
        if kinds["action.begun", row.action_id] > 1:
            yield f"{row.action_id} was begun {kinds['action.begun', row.action_id]} times"


def _entries(store: Any) -> Iterator[dict[str, Any]]:
    after = 0
    while batch := store.entries(after=after):
        for entry in batch:
            body = entry.body or {}
            yield {"kind": entry.kind, "action_id": body.get("action_id") or body.get("proposal", {}).get("action_id")}
        after = batch[-1].seq


def world_is_journal(rows: list[JournalRow], effects: set[tuple[str, str]]) -> Iterator[str]:
    """What is in effect is what the journal says; what others had done stays, whatever was undone."""
    doubtful = {(row.proposal.action, row.target.value) for row in rows if row.state == "unconfirmed"}
    said = {
        (row.proposal.action, row.target.value)
        for row in rows
        if row.state == "executed" and row.proposal.action not in UNREADABLE
    }
    foreign = {("block_ip", address) for address in FOREIGN}
    for what in sorted((effects ^ said) - foreign - doubtful):
        yield f"{what} is {'' if what in effects else 'not '}in effect, and the journal says otherwise"
    if lifted := foreign - effects:
        yield f"{lifted} was there before Aegis acted, and was lifted"


def unreadable_is_told_truly(rows: list[JournalRow], calls: list[Call]) -> Iterator[str]:
    """What took effect is executed, unconfirmed, or was taken back; and only that."""
    sent = {call.key for call in calls if call.verb == "apply" and call.effective}
    for row in rows:
        if row.proposal.action in UNREADABLE:
            if row.key in sent and row.state not in (*_DONE, "undone", "expired"):
                yield f"{row.action_id} happened, and the journal says {row.state}"
            if row.key not in sent and row.state == "executed":
                yield f"{row.action_id} never happened, and the journal says executed"


def answers_stand(spec: Spec, rows: list[JournalRow]) -> Iterator[str]:
    """What a person was told is still so."""
    states = {row.action_id: row.state for row in rows}
    for line in _lines(spec, "answers"):
        what, action_id = line.split()
        if what == "denied" and states[action_id] != "denied":
            yield f"{action_id} was denied, and is {states[action_id]}"
        if what == "approved" and states[action_id] not in _AFTER_YES:
            yield f"{action_id} was approved, and is {states[action_id]}"


def nothing_waits_in_vain(spec: Spec, rows: list[JournalRow]) -> Iterator[str]:
    """In the end every timer went off, and everything that waited could be answered."""
    if not spec.file("finished").exists():
        yield "the last process did not finish"
    if waiting := [row.action_id for row in rows if row.state == "awaiting"]:
        yield f"{len(waiting)} actions wait and could not be answered: {_lines(spec, 'last-answers')[:3]}"
    for row in rows:
        if row.state == "executed" and row.expires_at is not None:
            yield f"{row.action_id} was to lift itself and did not"
