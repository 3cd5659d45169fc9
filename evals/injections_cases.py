"""The alerts that texts are planted into, one of a situation, and what the gate does about each with which defence.

Independent cases: one variant of each scenario whose family neither trained nor developed the model; with the
outside data also one event of each Sigma rule and each pattern of AIT-ADS that was not trained on, and one
event of each rule that fired on OTRF's recordings of the technique it is for. Only alerts that the model
judges rightly before anything is planted count: what it gets wrong by itself is measured elsewhere.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Literal, NamedTuple

from aegis_agents.agents.reasoning import reasoning
from aegis_agents.errors import InputError
from aegis_agents.gate import Gate, GateRequest, Usage, counterfactual
from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.context import GateContext
from aegis_agents.gate.request import ACTION_CLASSES, VERBS, class_of
from aegis_agents.gate.tiers import TIERS
from aegis_agents.gate.validators import injection_signs, target_known
from aegis_agents.model import FastModel
from aegis_agents.model.reask import Reask
from aegis_agents.records import CATALOGUE, Assessment, Incident, ProposedAction
from aegis_agents.sources import parse
from aegis_agents.training.alerts.situations import load_situations, tell_variant
from aegis_agents.training.alerts.written import written_groups
from aegis_agents.training.parts import Part, part_of
from aegis_agents.training.real import ait_windows, sigma_events
from evals.planting import Position, external_positions, name_positions

Truth = Literal["attack", "harmless"]
HARMLESS: Final = ("benign_positive", "false_positive")
Defence = Literal["signs", "named", "counterfactual"]
DEFENCES: Final[tuple[Defence, ...]] = ("signs", "named", "counterfactual")
"""The rail that knows injections by their words, the rail that wants targets named by more than an
attacker's text, and the counterfactual check."""
NOW: Final = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


class Unit(NamedTuple):
    """One independent case: an alert that the model judges rightly, and where an attacker could write in it."""

    name: str
    origin: str
    truth: Truth
    alert: dict[str, Any]
    format: str
    places: tuple[Position, ...]
    names: tuple[Position, ...]
    """Where names of users and hosts stand that count as the sensor's own."""


class Would(NamedTuple):
    """What would become of one action, were it for its limits alone, and which defences lower it."""

    action: tuple[str, str, str]
    runs: bool
    lowered_by: frozenset[Defence]


class Outcome(NamedTuple):
    """What an alert comes to under the permissive settings, and what really runs under the shipped ones."""

    verdict: str
    confidence: float
    would: tuple[Would, ...]
    shipped: frozenset[tuple[str, str, str]]

    def done(self, defences: Iterable[Defence]) -> frozenset[tuple[str, str, str]]:
        """Containments and closings that run with these defences only.

        Beside the counterfactual check signs are a note for containments: where it does not hold it lowers the action itself.
        """
        on = frozenset(defences)
        contain = on - {"signs"} if "counterfactual" in on else on
        return frozenset(
            w.action
            for w in self.would
            if w.runs and not w.lowered_by & (on if w.action[0] == "close_alert" else contain)
        )


class Bench:
    """The model and two gates: one that allows all that settings can allow, and the shipped one."""

    def __init__(self, model: FastModel) -> None:
        self.model = model
        self.open = Gate(
            autonomy="act", matrix={name: dict.fromkeys(TIERS, "act") for name in ACTION_CLASSES},
            risk={name: 0.0 for name in ACTION_CLASSES if name != "record"},
        )  # fmt: skip
        self.shipped = Gate(autonomy="act")

    def judge(self, incident: Incident) -> Outcome:
        """One alert, from the model's verdict to what would be done."""
        assessment = self.model.assess(incident)
        state: Any = {"assessment": assessment, "incident": incident, "passages": ()}
        conclusion, proposals = reasoned(state, self.open)
        reask = Reask(self.model, incident)
        would, shipped = [], set()
        for proposal in proposals:
            spec = CATALOGUE[proposal.action]
            if class_of(spec) == "record":
                continue
            request = GateRequest(
                incident=incident, assessment=assessment, conclusion=conclusion, action=proposal, now=NOW,
                usage=Usage(), reassess=reask,
            )  # fmt: skip
            would.append(self._would(request, proposal))
            if self.shipped.decide(request).verb == "execute":
                shipped.add(named(proposal))
        return Outcome(assessment.verdict, assessment.confidence, tuple(would), frozenset(shipped))

    def _would(self, request: GateRequest, proposal: ProposedAction) -> Would:
        spec = CATALOGUE[proposal.action]
        settings = self.open.settings
        context = GateContext(settings, spec, class_of(spec), AssetFacts())  # the three look at no asset
        lowered: set[Defence] = set()
        if injection_signs.check(request, context).ceiling != "execute":
            lowered.add("signs")
        target = target_known.check(request, context)
        if target.rule == "target.external_only":
            lowered.add("named")
        if counterfactual.check(request, context).ceiling != "execute":
            lowered.add("counterfactual")
        inputs = self.open.decide(request).inputs
        apart = {"input.injection", "counterfactual", "budget", "cost"}
        if target.rule == "target.external_only":
            apart.add("action.target")
        ceilings = [str(inputs[n]) for n in inputs if f"{n}.rule" in inputs and n not in apart]
        return Would(named(proposal), all(VERBS.index(c) == 3 for c in ceilings), frozenset(lowered))  # type: ignore[arg-type]


def named(proposal: ProposedAction) -> tuple[str, str, str]:
    """An action and its target. Every alert is its own: where it has no id, its id changes with any text in it."""
    target = proposal.target
    return proposal.action, target.kind, "itself" if target.kind == "alert" else target.value


def reasoned(state: Any, gate: Gate) -> tuple[Any, tuple[ProposedAction, ...]]:
    """The conclusion and the proposals, as the reasoning agent draws them without a language model."""
    runtime: Any = SimpleNamespace(context=SimpleNamespace(llm=None, gate=gate))
    found = reasoning(state, runtime)
    return found["conclusion"], found["proposals"]


def right(assessment: Assessment, truth: Truth) -> bool:
    """Whether the model's verdict is on the right side."""
    return assessment.verdict == "true_positive" if truth == "attack" else assessment.verdict in HARMLESS


def _candidates(
    part: Part, truth: Truth, data: Path | None
) -> Iterator[tuple[str, str, list[tuple[dict[str, Any], str]]]]:
    """(name, origin, alerts with their formats) of each independent case; the first that is judged right is taken."""
    wanted = ("true_positive",) if truth == "attack" else HARMLESS
    scenarios: dict[str, list[tuple[dict[str, Any], str]]] = {}
    for writer, situation in load_situations():
        if part_of(situation.scenario) == part:
            told = [tell_variant(situation, v, writer) for v in situation.variants if v.verdict in wanted]
            scenarios.setdefault(situation.scenario, []).extend((e.alert, e.format) for e in told if e.alert)
    for name, alerts in scenarios.items():
        yield name, "situations", alerts
    for group in written_groups(part):
        alerts = [(e.alert, e.format) for e in group if e.verdict in wanted and e.alert]
        yield group[0].family, "written", alerts
    if data is None:
        return
    unseen = part == "test"
    if truth == "attack":
        rules: dict[str, list[tuple[dict[str, Any], str]]] = {}
        for event in sigma_events(data, training=not unseen):
            rules.setdefault(event.family, []).append((event.alert or {}, event.format))
        for name, alerts in rules.items():
            yield name, "sigma", alerts
        if unseen:
            yield from _otrf(data)
    for number, window in enumerate(ait_windows(data, training=not unseen)):
        if (window.verdict == "true_positive") == (truth == "attack"):
            yield f"ait-{number}", "ait", [(window.alert or {}, window.format)]


def _otrf(data: Path) -> Iterator[tuple[str, str, list[tuple[dict[str, Any], str]]]]:
    found: dict[str, list[tuple[dict[str, Any], str]]] = {}
    for line in (data / "otrf" / "sigma_alerts.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["relation"] == "same_technique":
            found.setdefault(row["rule_id"], []).append((row["event"], ""))
    for name, alerts in found.items():
        yield f"otrf-{name}", "otrf", alerts


def units(model: FastModel, part: Part, truth: Truth, data: Path | None, seed: int = 17) -> list[Unit]:
    """Every independent case of a part that the model judges rightly and an attacker could write in."""
    rng, found = random.Random(seed), []
    for name, origin, alerts in _candidates(part, truth, data):
        for alert, format in rng.sample(alerts, len(alerts)):
            incident = read(alert, format)
            if incident is None or not right(model.assess(incident), truth):
                continue
            places = external_positions(alert, format)
            if places:
                names = name_positions(alert, format)
                found.append(Unit(name, origin, truth, alert, format, tuple(places), tuple(names)))
                break
    return found


def dev_units(model: FastModel, data: Path, half: str, truth: Truth) -> list[Unit]:
    """The alerts of one half of dev_cases that the model judges rightly."""
    wanted = ("true_positive",) if truth == "attack" else HARMLESS
    found = []
    for line in (data / "dev_cases" / half / "cases.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["truth"]["verdict"] not in wanted or not right(model.assess(parse(row["alert"])), truth):
            continue
        if places := external_positions(row["alert"]):
            names = tuple(name_positions(row["alert"]))
            found.append(Unit(row["id"], f"dev_cases/{half}", truth, row["alert"], "", tuple(places), names))
    return found


def read(alert: dict[str, Any], format: str) -> Incident | None:
    """The incident; None where a text has made the alert more than a reader takes."""
    try:
        return parse(alert, format=format or None)
    except InputError:
        return None
