"""Coherent scenarios: one situation told as an attack, as allowed, as misread, and as unclear.

Where families mix facts freely, here the facts of a variant belong together, and are
telemetry that does not say what it means. `coherent.yaml` holds them; whole alerts in their
native shape come from `written`, `situations` and `dials`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from importlib import resources

import yaml

from aegis_agents.records import Severity, Verdict
from aegis_agents.records.base import Record
from aegis_agents.sources import parse
from aegis_agents.training.alerts.dials import dial_groups
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.alerts.written import written_groups
from aegis_agents.training.corpus import FACT_CLASSES, NOISE, Example, stances_of
from aegis_agents.training.parts import Part, part_of
from aegis_agents.training.render import Draft, render
from aegis_agents.training.values import Values

_VARIANTS: tuple[tuple[str, Verdict, int], ...] = (
    ("tp", "true_positive", FACT_CLASSES.index("attack")),
    ("bp", "benign_positive", FACT_CLASSES.index("authorised")),
    ("fp", "false_positive", FACT_CLASSES.index("wrong")),
    ("un", "undetermined", -1),
)


class Scenario(Record):
    """One situation: formats, titles, techniques and severity if an attack, fields, and its four variants."""

    s: str
    f: tuple[str, ...]
    t: tuple[str, ...]
    k: tuple[str, ...]
    sev: Severity
    base: dict[str, str]
    tp: dict[str, str]
    bp: dict[str, str]
    fp: dict[str, str]
    un: dict[str, str]


@cache
def load_scenarios() -> tuple[Scenario, ...]:
    """All scenarios. Raises ValueError on one that is malformed."""
    text = (resources.files("aegis_agents.training.alerts") / "coherent.yaml").read_text("utf-8")
    return tuple(Scenario.model_validate(row) for row in yaml.safe_load(text))


def tell(scenario: Scenario, variant: tuple[str, Verdict, int], seed: int) -> Example:
    """One alert of a variant; the same seed keeps names, product, title and noise."""
    short, verdict, stance = variant
    rng = random.Random(f"{scenario.s}/{seed}")
    values = Values(rng)
    product, title, severity = rng.choice(scenario.f), rng.choice(scenario.t), rng.randrange(5)
    noise = [(rng.choice(names), make(values)) for names, make in rng.sample(NOISE, rng.randrange(6))]
    told: dict[str, str] = getattr(scenario, short)
    chosen = {name: values.fill(text) for name, text in (scenario.base | told).items()}
    fields: list[tuple[str, object]] = [*noise, *chosen.items()]
    rng.shuffle(fields)
    alert = render(product, Draft(title, severity, fields), values)
    incident = parse(alert, format=product)
    labels = {chosen[name]: stance for name in told}
    stances = stances_of(
        incident.facts,
        lambda f: next((c for text, c in labels.items() if f.value == text or f.value.endswith(f": {text}")), 0),
    )
    severities: dict[Verdict, Severity] = {"true_positive": scenario.sev, "undetermined": "medium"}
    techniques = scenario.k if verdict == "true_positive" else ()
    return Example(
        incident, verdict, severities.get(verdict, "informational"), techniques, stances, scenario.s, "coherent", alert, product
    )  # fmt: skip


def coherent_groups(part: Part, *, tellings: int = 6) -> Iterator[list[Example]]:
    """The four variants of each scenario of a part, told `tellings` times."""
    for seed in range(tellings):
        for scenario in load_scenarios():
            if part_of(scenario.s) == part:
                yield [tell(scenario, variant, seed) for variant in _VARIANTS]


def whole_alerts(part: Part) -> Iterator[Example]:
    """Every alert of a part that was written as a whole."""
    for groups in (situation_groups, dial_groups, written_groups, coherent_groups):
        for group in groups(part):
            yield from group
