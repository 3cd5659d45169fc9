"""A small service around the real gate, journal and write path, whose world notes what reaches it and judges it.

Nothing in the judging reads the gate's own answers: what a target is, who approved, and what was done in the last
hour are kept apart, by the test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from langgraph.runtime import Runtime

from aegis_agents import answering
from aegis_agents.agents import approval as approval_agent
from aegis_agents.agents.planning import propose
from aegis_agents.answering import Answering
from aegis_agents.cases import build_case
from aegis_agents.context import Context
from aegis_agents.errors import ActionError, ConnectorError
from aegis_agents.gate import Gate
from aegis_agents.ledger import SqliteStore, action_id
from aegis_agents.ledger.rows import Usage as UsageRow
from aegis_agents.records import (
    CATALOGUE,
    ROLES,
    ActionName,
    Assessment,
    Claim,
    Conclusion,
    Entity,
    Fact,
    FactEvidence,
    Incident,
    ProposedAction,
    Sentence,
    Target,
    Verdict,
)
from aegis_agents.settings import Settings
from aegis_agents.state import IncidentState
from aegis_agents.tools import WritePath
from aegis_agents.tools import write_path as write_path_module
from tests.people import AEGIS, YEAR

START = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTS = ("web-01", "web-02", "web-03", "dc-01", "hr-07", "pay-03")
USERS = ("ann.lee", "bo.ek", "ceo", "bg-admin")
ADDRESSES = ("203.0.113.7", "203.0.113.8", "198.51.100.9", "10.4.4.4")
PROTECTED = {"dc-01", "pay-03", "ceo", "bg-admin"}
"""dc-01, ceo and bg-admin by their names, pay-03 by the asset list: what the machine holds to be protected."""
ASSETS = {"groups": {"payments": {"hosts": ["pay-*"]}, "hr": {"tier": "important", "hosts": ["hr-*"]}}}
PEOPLE = ("ada", "ben", "cyd")


class Told(NamedTuple):
    """What one alert is to the test: its verdict, how sure, whom it names."""

    verdict: Verdict
    confidence: float
    host: str
    user: str
    address: str
    external: bool
    """Whether the names stand in text that anybody could write."""
    flips: bool
    """Whether the verdict hangs on such text."""


class Broken(AssertionError):
    """Something reached the world that must not. It is kept as well: the write path survives what a system raises."""


class World:
    """The systems that actions change. It raises Broken for what must never reach it."""

    name = "world"
    actions = frozenset(CATALOGUE)

    def __init__(self, house: House) -> None:
        self.house, self.fails_next = house, False
        self.in_effect: set[tuple[str, str]] = set()
        self.acted: list[datetime] = []
        """When contain and destroy actions took effect."""
        self.closed: list[datetime] = []
        self.broken: list[str] = []

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        if self.fails_next:
            self.fails_next = False
            raise ConnectorError("not today")
        try:
            self.house.judge(action, target, key)
        except Broken as broken:
            self.broken.append(str(broken))
            raise
        self.in_effect.add((action, target.value))
        return "done"

    def read(self, action: ActionName, target: Target) -> bool | None:
        return (action, target.value) in self.in_effect

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        self.in_effect.discard((action, target.value))
        return "lifted"


class Model:
    """Says what the alert's own test case says."""

    version = "told@1"

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        told = self.told[incident.id]
        verdict: Verdict = "undetermined" if masked and told.flips else told.verdict
        rest: Verdict = "false_positive" if verdict != "false_positive" else "benign_positive"
        return Assessment(
            verdict=verdict, confidence=told.confidence, probabilities={verdict: told.confidence, rest: 1 - told.confidence},
            severity="high", weights=(), techniques=(), model=self.version, facts_read=3, facts_skipped=0,
        )  # fmt: skip

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        return [self.assess(i) for i in incidents]

    def embed(self, texts: Sequence[str]) -> Any:
        raise AssertionError("not needed here")

    def embed_incident(self, incident: Incident) -> Any:
        raise AssertionError("not needed here")


class _NoGraph:
    """The checkpoint is lost: everything stands on intake and journal."""

    def get_state(self, config: Any) -> Any:
        return SimpleNamespace(values={}, tasks=())


class House(Answering):
    """Store, gate and write path in one home, with a clock that the test sets."""

    def __init__(self, home: Path, gate_settings: dict[str, Any]) -> None:
        super().__init__()
        self.home, self.gate_settings, self.now, self.number = home, gate_settings, START, 0
        self.settings = Settings(home=home, require_token=True)
        self.model, self.world = Model(), World(self)
        self.said_yes: dict[str, set[str]] = {}
        self.incidents: dict[str, Incident] = {}
        self.verdicts: dict[str, Verdict] = {}
        self._open()
        self.tokens = {name: self.store.add_token(name, ROLES, AEGIS, valid_for=YEAR) for name in PEOPLE}

    def _open(self) -> None:
        self._store = SqliteStore(self.home / "aegis.sqlite", clock=lambda: self.now)
        self.gate = Gate(assets=ASSETS, kill_switch=self.settings.kill_switch_file, **self.gate_settings)
        self._path = WritePath(self._store, dict.fromkeys(CATALOGUE, self.world), attempts=1)
        self._context = Context(
            model=self.model, intel=None, gate=self.gate, store=self._store, write_path=self._path, mode="live"
        )

    store = property(lambda self: self._store)
    context = property(lambda self: self._context)
    graph = property(lambda self: _NoGraph())
    _write_path = property(lambda self: self._path)

    def case(self, incident_id: str) -> Any:
        """What was decided."""
        return self.store.case(incident_id)

    def _mistaken(self, action_id: str, source: Any, who: Any, note: str = "") -> None:
        """Nothing is earned here."""

    def _heed_failures(self, incident_id: str) -> list[int]:
        """Nor lost."""
        return []

    def _drive(self, incident: Incident, native: str) -> Iterator[Any]:
        """Decide what was taken in before a crash."""
        self._decide(incident, extra=())
        yield "approval", {}

    @property
    def switch(self) -> Path:
        return self.settings.kill_switch_file

    def restart(self) -> None:
        """As after a crash: everything anew from disk, then what recovery does."""
        self.store.close()
        self._open()
        self.recover()

    @contextmanager
    def clock(self) -> Iterator[None]:
        """The house's time in every module that asks for it."""
        house = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return house.now

        with ExitStack() as stack:
            for module in (approval_agent, answering, write_path_module):
                stack.enter_context(mock.patch.object(module, "datetime", Clock))
            yield

    # alerts

    def incident(self, told: Told) -> Incident:
        self.number += 1
        trust: Any = "external" if told.external else "product"
        named = (("host", told.host, "subject"), ("user", told.user, "actor"), ("ip", told.address, "peer"))
        facts = tuple(
            Fact(id=f"f{n}", path=f"named.{kind}", value=value, trust=trust) for n, (kind, value, _) in enumerate(named)
        )
        entities: list[Entity] = [
            Entity.model_validate({"kind": kind, "value": value, "role": role, "facts": (f"f{n}",)})
            for n, (kind, value, role) in enumerate(named)
        ]
        native = f"alert-{self.number}"
        entities.append(Entity(kind="alert", value=native, role="subject"))
        digest = hashlib.sha256(native.encode()).hexdigest()
        return Incident(
            id=f"inc-{digest[:12]}", source="test", native_id=native, title="t", observed_at=self.now, claim=Claim(),
            facts=facts, entities=tuple(entities), digest=digest,
        )  # fmt: skip

    def take_in(self, told: Told, extra: Sequence[tuple[ActionName, Target]], *, crash: str) -> None:
        """Judge an alert and do what may be done. `crash`: "", "decided" (nothing done yet), "admitted" (nothing decided)."""
        incident = self.incident(told)
        self.model.told[incident.id], self.incidents[incident.id] = told, incident
        self.verdicts[incident.id] = told.verdict
        self.store.admit(incident, "{}", self.context.versions)
        if crash != "admitted":
            self._decide(incident, extra, stop=crash == "decided")

    def _decide(self, incident: Incident, extra: Sequence[tuple[ActionName, Target]], *, stop: bool = False) -> None:
        assessment = self.model.assess(incident)
        evidence = tuple(
            FactEvidence(id=f.id, path=f.path, value=f.value, weight=0.4, trust=f.trust) for f in incident.facts
        )
        conclusion = Conclusion(
            verdict=assessment.verdict, confidence=assessment.confidence, severity="high", techniques=(), evidence=evidence,
            sentences=(Sentence(text="It says so.", cites=("f0",)),),
        )  # fmt: skip
        pricer = self.gate.pricer(incident, assessment, self.now)
        # A reasoning agent that was taken over may propose anything.
        wild = [
            ProposedAction(action_id=action_id(incident.id, a, t), action=a, target=t, reason="told to", cites=("f0",))
            for a, t in extra
        ]
        found = {p.action_id: p for p in (*propose(incident, conclusion, pricer), *wild)}
        state = IncidentState(
            incident=incident, assessment=assessment, conclusion=conclusion, proposals=tuple(found.values())
        )
        decisions = approval_agent.approval(state, Runtime(context=self.context))["decisions"]
        case = build_case(
            {**state, "decisions": decisions}, self.store.actions(incident.id), self.context.versions, 1.0
        )
        self.store.finish(incident.id, case)
        if stop:
            return
        for decision in decisions:
            if self.store.action(decision.action_id).state == "approved":
                self._path.execute(decision.action_id)

    def say_yes(self, which: str, person: str) -> None:
        """A person approves; what the gate will not do then is an error that is looked for elsewhere."""
        before = self.said_yes.get(which, set())
        self.said_yes[which] = before | {person}
        try:
            self.approve(which, token=self.tokens[person])
        except ActionError:
            self.said_yes[which] = before

    # judging

    def judge(self, action: ActionName, target: Target, key: str) -> None:
        row = next(r for i in self.incidents for r in self.store.actions(i) if r.key == key)
        incident, who = self.incidents[row.incident_id], self.said_yes.get(row.action_id, set())
        verdict, effect = self.verdicts[row.incident_id], CATALOGUE[action].effect
        if not incident.has_entity(target.kind, target.value):
            raise Broken(f"(b) {action} on {target.value}, which the incident does not name")
        if action == "close_alert" and verdict not in ("benign_positive", "false_positive"):
            raise Broken(f"(f) an alert closed that is {verdict}")
        if (effect != "record" or action == "close_alert") and self.switch.exists():
            raise Broken(f"(e) {action} while the kill switch is engaged")
        if action == "close_alert" and "closed" in UsageRow.model_fields:
            self._within(self.world.closed, "closings_per_hour", who)
        if effect == "record":
            return
        if verdict != "true_positive":
            raise Broken(f"(c) {action} on what is {verdict}")
        if effect == "destroy" and not who:
            raise Broken(f"(a) {action} without a person")
        if target.value in PROTECTED and len(who) < (2 if effect == "destroy" else 1):
            raise Broken(f"(a) {action} on protected {target.value} with {len(who)} approvals")
        self._within(self.world.acted, "actions_per_hour", who)
        if self._lately(self.world.acted) > self.gate.settings.budgets.most_per_hour:
            raise Broken("(d) more than the ceiling that holds against approvals")

    def _lately(self, times: list[datetime]) -> int:
        return sum(at > self.now - HOUR for at in times)

    def _within(self, times: list[datetime], limit: str, who: set[str]) -> None:
        most = getattr(self.gate.settings.budgets, limit)
        if not who and self._lately(times) >= most:
            raise Broken(f"(d) more than {most} {limit} without a person")
        times.append(self.now)
