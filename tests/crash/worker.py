"""The processes that are killed: one that investigates, one at which people answer, and one that finishes at the end."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
import traceback
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aegis_agents import Aegis
from aegis_agents.checkpoints import open_checkpointer
from aegis_agents.errors import ActionError, InputError
from aegis_agents.gate import Gate
from aegis_agents.gate.budget import BudgetLimits
from aegis_agents.intel import Intel
from aegis_agents.ledger.opening import open_store
from aegis_agents.records import AEGIS, Assessment, Incident
from aegis_agents.tools.owners import state_of
from tests.crash.world import Fuse, World, WorldConnector
from tests.graph.conftest import FakeModel

HOSTS, ADDRESSES, USERS = 12, 10, 8
FOREIGN = ("203.0.113.1", "203.0.113.2")
"""Addresses that somebody else blocked before."""
LIFETIMES = {"block_ip": 0.00015, "isolate_host": 24.0}
"""Hours: a block lifts itself within half a second, so that expiries are among what is cut off."""


@dataclass(frozen=True)
class Spec:
    """What a process is told when it starts."""

    home: Path
    intel: Path
    database: str | None
    schema: str
    seed: int
    life: int
    tokens: tuple[str, ...]
    fuse: tuple[str, int] | None = None

    def file(self, name: str) -> Path:
        """A file that the processes of a campaign share."""
        return self.home / name


class SureModel(FakeModel):
    """Its verdict holds whatever is masked, so that the gate lets it act alone."""

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        return super().assess(incident)


def alert(seed: int, number: int) -> dict[str, Any]:
    """The nth alert: targets are few, so that incidents share them."""
    dice = random.Random(f"{seed}-{number}")
    user = f"user{dice.randrange(USERS)}" if dice.random() < 0.8 else f"ceo.{dice.randrange(3)}"
    return {
        "event_id": f"a-{number}", "title": f"Beacon {number}", "source_ip": "10.1.2.3",
        "answer": "true_positive" if dice.random() < 0.85 else "false_positive",
        "hostname": f"wks-{dice.randrange(HOSTS):03}", "user_name": user,
        "destination_ip": f"203.0.113.{1 + dice.randrange(ADDRESSES)}",
    }  # fmt: skip


def open_aegis(spec: Spec, fuse: Fuse) -> Aegis:
    """The real thing, but for the model; with budgets that a stream of alerts does not exhaust."""
    store = open_store(spec.database, spec.home, schema=spec.schema)
    saver = open_checkpointer(spec.home / "checkpoints.sqlite", spec.database, schema=spec.schema)
    _burn_at_commits(store, fuse)
    _burn_at_checkpoints(saver, fuse)
    model = SureModel()
    dice = random.Random(f"{spec.seed}-{spec.life}")
    aegis = Aegis(
        model=model, intel=Intel.open(spec.intel, model), ledger=store, checkpointer=saver, home=spec.home,
        tools=[WorldConnector(World(spec.file("world.sqlite")), fuse, dice)], lifetimes=LIFETIMES, undo_window=0.00015,
    )  # fmt: skip
    gate = Gate(
        autonomy="act", kill_switch=spec.home / "KILL", risk={"contain": 0.5},
        matrix={"block_ip": {"standard": "act_undo"}, "disable_user": {"standard": "act"}},
        budgets=_large_budgets(),
        assets={"groups": {"executives": {"users": ["ceo*"]}}},
    )  # fmt: skip
    aegis.__dict__["context"] = replace(aegis.context, gate=gate)
    return aegis


def _large_budgets() -> dict[str, Any]:
    shipped = BudgetLimits()
    limits: dict[str, Any] = {limit.name: getattr(shipped, limit.name) for limit in fields(shipped)}
    return {
        name: dict.fromkeys(value, 10**6) if isinstance(value, Mapping) else 10**6 for name, value in limits.items()
    }


def _burn_at_commits(store: Any, fuse: Fuse) -> None:
    real = store._execute

    def execute(sql: str, values: Any) -> Any:
        if sql != "COMMIT":
            return real(sql, values)
        fuse.passes("commit.before")
        done = real(sql, values)
        fuse.passes("commit.after")
        return done

    store._execute = execute


def _burn_at_checkpoints(saver: Any, fuse: Fuse) -> None:
    real = saver.put

    def put(*arguments: Any, **named: Any) -> Any:
        fuse.passes("checkpoint.before")
        done = real(*arguments, **named)
        fuse.passes("checkpoint.after")
        return done

    saver.put = put


def note(spec: Spec, file: str, line: str) -> None:
    """Append a line, in one write."""
    handle = os.open(spec.file(file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


def wanted(spec: Spec) -> bool:
    """Whether to go on: not once it was said, nor when who would say so is gone."""
    parent = multiprocessing.parent_process()
    return not spec.file("stop").exists() and (parent is None or parent.is_alive())


def _reported(run: Callable[[Spec, Aegis], None], spec: Spec) -> None:
    """Run one role; what it raises is left where the parent finds it."""
    try:
        fuse = Fuse(*spec.fuse) if spec.fuse else Fuse()
        with open_aegis(spec, fuse) as aegis:
            recover_and_check(spec, aegis)
            note(spec, f"ready-{spec.life}", "")
            run(spec, aegis)
    except BaseException:
        note(spec, "errors", f"life {spec.life}\n{traceback.format_exc()}")
        raise


def recover_and_check(spec: Spec, aegis: Aegis) -> None:
    """What dead processes left is finished, and what a living one is at was left to it."""
    before = {row.incident_id: row.owner for row in aegis.store.unfinished() if state_of(row.owner) == "alive"}
    dead = {(row.incident_id, row.owner) for row in aegis.store.unfinished() if state_of(row.owner) == "dead"}
    at_work = {row.action_id: row.owner for row in aegis.store.open_intents() if state_of(row.owner) == "alive"}
    cases = aegis.recover()
    for action_id, owner in at_work.items():
        row = aegis.store.action(action_id)
        settled = row.state not in ("intent", "undoing") and "crash" in row.detail
        if settled and row.owner == owner and state_of(owner) == "alive":
            note(spec, "breaches", f"life {spec.life} settled {action_id}, which a living process was at")
    for case in cases:
        if case.incident_id in before and state_of(before[case.incident_id]) == "alive":
            note(spec, "breaches", f"life {spec.life} decided {case.incident_id}, which a living process was at")
    left = dead & {(row.incident_id, row.owner) for row in aegis.store.unfinished()}
    if left:
        note(spec, "breaches", f"life {spec.life} left {len(left)} incidents undecided")


def investigate(spec: Spec) -> None:
    """Takes alerts from the stream, from the first that was not acknowledged on."""

    def run(spec: Spec, aegis: Aegis) -> None:
        done = spec.file("acknowledged")
        number = len(done.read_bytes().splitlines()) if done.exists() else 0
        while wanted(spec):
            note(spec, "handed", str(number))
            case = aegis.investigate(alert(spec.seed, number))
            note(spec, "acknowledged", f"{number} {case.incident_id}")
            number += 1

    _reported(run, spec)


def answer(spec: Spec) -> None:
    """People approve, deny, undo and keep, as it comes."""

    def run(spec: Spec, aegis: Aegis) -> None:
        dice = random.Random(f"desk-{spec.seed}-{spec.life}")
        while wanted(spec):
            one_answer(spec, aegis, dice)
            time.sleep(dice.random() * 0.01)

    _reported(run, spec)


def one_answer(spec: Spec, aegis: Aegis, dice: random.Random) -> None:
    """One person does one thing."""
    token = dice.choice(spec.tokens)
    try:
        luck = dice.random()
        if luck < 0.7:
            waiting = aegis.pending()
            if not waiting:
                return
            row = dice.choice(waiting)
            if luck < 0.55:
                outcome = aegis.approve(row.action_id, token=token).outcome
                if outcome != "awaiting_approval":
                    note(spec, "answers", f"approved {row.action_id}")
            else:
                aegis.deny(row.action_id, token=token)
                note(spec, "answers", f"denied {row.action_id}")
        elif luck < 0.9:
            (found,) = aegis.store._rows(  # type: ignore[attr-defined]
                "SELECT count(*) FROM journal WHERE state IN ('executed', 'unconfirmed')"
            )
            if found[0]:
                (row,) = aegis.store._rows(  # type: ignore[attr-defined]
                    "SELECT action_id FROM journal WHERE state IN ('executed', 'unconfirmed') ORDER BY ord"
                    f" LIMIT 1 OFFSET {dice.randrange(found[0])}"
                ) or ({"action_id": ""},)
                aegis.undo(row["action_id"], token=token)
        elif luck < 0.93 and (timers := aegis.timers()):
            aegis.keep(dice.choice(timers).action_id, token=token)
        else:
            aegis.expire_due()
    except (ActionError, InputError) as error:
        # Somebody was first, the gate says no, the system said no, or it is just being decided.
        note(spec, "refusals", f"{type(error).__name__}: {error}")


def finish(spec: Spec) -> None:
    """Recover once more; what was not acknowledged is handed over again; then timers go off, and all is answered."""

    def run(spec: Spec, aegis: Aegis) -> None:
        acknowledged = {line.split()[0] for line in spec.file("acknowledged").read_text("utf-8").splitlines()}
        for line in sorted(set(spec.file("handed").read_text("utf-8").split()) - acknowledged):
            aegis.investigate(alert(spec.seed, int(line)))
        from tests.crash.checks import in_between

        for breach in in_between(spec, aegis.store):
            note(spec, "breaches", f"before the end: {breach}")
        note(spec, "timers-before", str(len(aegis.timers())))
        for _ in range(8):  # what a no of the world kept in effect is due again
            for row in aegis.timers():
                aegis.store.set_expiry(row.action_id, datetime.now(UTC), AEGIS, "the test's end")
            aegis.expire_due()
        for row in aegis.pending():
            for token in spec.tokens:
                try:
                    aegis.approve(row.action_id, token=token)
                except ActionError as error:
                    note(spec, "last-answers", f"{row.action_id} {type(error).__name__}: {error}")
            if (
                aegis.store.action(row.action_id).state == "awaiting"
            ):  # the gate would not: it can be denied all the same
                aegis.deny(row.action_id, token=spec.tokens[0])
        for _ in range(8):
            for row in aegis.timers():
                aegis.store.set_expiry(row.action_id, datetime.now(UTC), AEGIS, "the test's end")
            aegis.expire_due()
        aegis.recover()
        note(spec, "finished", "")

    _reported(run, spec)
