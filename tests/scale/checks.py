"""What must hold after any number of kills on many machines. Each answers what is wrong, nothing where all is well."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from aegis_agents.errors import AegisError
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.ledger import JournalRow
from tests.crash.checks import (
    answers_stand,
    journal,
    nothing_half_recorded,
    nothing_twice,
    unreadable_is_told_truly,
    world_is_journal,
)
from tests.crash.worker import Spec, alert
from tests.crash.world import World
from tests.scale.roles import NO_ALERT, Load

# How far each entry of an action may come: what is undone was settled, what is settled was begun ...
_RANK = {"action.decided": 0, "action.answered": 1, "action.begun": 2, "action.settled": 3, "action.undoing": 4}


def breaches(spec: Spec, load: Load, store: Any, inbox: Inbox) -> list[str]:
    """Everything that is wrong once the last process has finished."""
    rows, world = journal(store), World(spec.file("world.sqlite"))
    calls = [call for call in world.calls() if call.key]
    found = [line for name in ("breaches", "errors") for line in _lines(spec, name)]
    found += [
        *one_case_each(load, store), *copies_add_up(load, store, inbox), *nothing_twice(rows, calls),
        *nothing_half_recorded(store, rows), *world_is_journal(rows, world.in_effect()),
        *unreadable_is_told_truly(rows, calls), *answers_stand(spec, rows), *answers_were_carried_out_once(spec, rows, store),
        *in_order(store, calls),
    ]  # fmt: skip
    if not spec.file("finished").exists():
        found.append("the last process did not finish")
    try:
        store.verify()
    except AegisError as error:
        found.append(f"the ledger does not verify: {error}")
    return found


def _lines(spec: Spec, file: str) -> list[str]:
    path = spec.file(file)
    return path.read_text("utf-8").splitlines() if path.exists() else []


def one_case_each(load: Load, store: Any) -> Iterator[str]:
    """Every alert of the stream has one case and one only, and nothing else has one."""
    cases = Counter(store.intake(row[0]).incident.native_id for row in store._rows("SELECT incident_id FROM intake"))
    expected = {str(alert(load.seed, number)["event_id"]) for number in range(load.incidents)}
    if lost := expected - cases.keys():
        yield f"{len(lost)} alerts have no case: {sorted(lost)[:5]}"
    if invented := cases.keys() - expected:
        yield f"{len(invented)} cases have no alert: {sorted(map(str, invented))[:5]}"
    if twice := [name for name, times in cases.items() if times > 1]:
        yield f"{len(twice)} alerts have more than one case: {twice[:5]}"
    if undecided := store.unfinished():
        yield f"{len(undecided)} incidents were never decided"


def copies_add_up(load: Load, store: Any, inbox: Inbox) -> Iterator[str]:
    """Each message was counted once, whatever was put again; nothing waits, is held, or was set aside without need."""
    messages, counts = load.messages(), inbox.counts()
    wrong = [m for m in messages if m.native.startswith(NO_ALERT)]
    if (counts.waiting, counts.held) != (0, 0):
        yield f"{counts.waiting} messages wait and {counts.held} are held in the end"
    if counts.done != load.incidents:
        yield f"{counts.done} messages are done, of {load.incidents} incidents"
    dead = inbox.dead(limit=10_000)
    if {letter.message.native for letter in dead} != {m.native for m in wrong}:
        yield f"set aside: {[(letter.message.native[:40], letter.why) for letter in dead][:3]}, of {len(wrong)} that are no alert"
    expected = Counter(m.native for m in messages if not m.native.startswith(NO_ALERT))
    ids = {store.intake(row[0]).incident.native_id: row[0] for row in store._rows("SELECT incident_id FROM intake")}
    for native, times in expected.items():
        name = json.loads(native)["event_id"]
        if name in ids and (told := inbox.copies(ids[name])) != times:
            yield f"{name} came {times} times and was counted {told}"


def answers_were_carried_out_once(spec: Spec, rows: list[JournalRow], store: Any) -> Iterator[str]:
    """What was approved was begun once at most, what waits was not begun, and each answer is in the ledger once."""
    answered = Counter(e["action_id"] for e in entries(store) if e["kind"] == "action.answered")
    for row in rows:
        if answered[row.action_id] > 1:
            yield f"{row.action_id} has {answered[row.action_id]} answers"
        if row.state == "awaiting" and row.begun_at is not None:
            yield f"{row.action_id} waits, and was begun"
        if row.state in ("awaiting", "denied") and row.connector:
            yield f"{row.action_id} is {row.state}, and {row.connector} was asked"
    # Entries of the ledger alone count: a process that was killed could not say what it had been answered.
    for line in _lines(spec, "last-answers"):
        if "AlreadyDecided" not in line and "ActionError" not in line and "ConnectorError" not in line:
            yield f"what waited could not be answered: {line}"


def entries(store: Any) -> Iterator[dict[str, Any]]:
    """Every entry about an action, in the chain's order."""
    after = 0
    while batch := store.entries(after=after):
        for entry in batch:
            body = entry.body or {}
            name = body.get("action_id") or (body.get("proposal") or {}).get("action_id")
            if name:
                yield {"seq": entry.seq, "kind": entry.kind, "action_id": name, "body": body}
        after = batch[-1].seq


def in_order(store: Any, calls: list[Any]) -> Iterator[str]:
    """Decided, then begun, then settled, then undone; in the world as in the chain, and one at a time on each target."""
    reached: dict[str, int] = defaultdict(lambda: -1)
    for entry in entries(store):
        rank = _RANK.get(entry["kind"])
        if rank is None:
            continue
        name = entry["action_id"]
        # A settlement comes again after an undo; nothing else goes back.
        if rank < reached[name] and not (rank == 3 and reached[name] == 4):
            yield f"{name}: {entry['kind']} came after what follows it (entry {entry['seq']})"
        if rank in (3, 4) and reached[name] < 2:
            yield f"{name}: {entry['kind']} without having been begun (entry {entry['seq']})"
        reached[name] = max(reached[name], rank)
    # An action may hold what another began: then that one's call came first.
    applied: set[tuple[str, str]] = set()
    for call in calls:
        if call.verb == "apply":
            applied.add((call.action, call.target))
        elif (call.action, call.target) not in applied:
            yield f"{call} took back what nobody had done"
