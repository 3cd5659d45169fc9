"""What evals/monitor feeds the monitor: alerts as the shipped model judges them, searches for its boundary, honest storms."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents.model import FastModel
from aegis_agents.monitor.signs import Signs, seen
from aegis_agents.records import Assessment, Incident, Verdict
from aegis_agents.sources import parse
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.corpus import Example
from evals.suites import ait_windows as windows_of

START = datetime(2026, 11, 1, tzinfo=UTC)
SEARCHES, TRIES, STORMS, COPIES = 20, 60, 20, 60


class Judged(NamedTuple):
    """A case and what it really was."""

    signs: Signs
    truth: Verdict


@cache
def model() -> FastModel:
    """The shipped one."""
    return FastModel(cache=60_000)


def signs(incident: Incident, found: Assessment, at: datetime = START) -> Signs:
    """What the monitor sees of an incident."""
    return seen(incident, at, found.model, found.verdict, found.confidence, found.probabilities["true_positive"])


@cache
def examples() -> tuple[Example, ...]:
    """Every second situation of the develop split, whole."""
    groups = list(situation_groups("develop"))[::2]
    return tuple(example for group in groups for example in group)


@cache
def pool() -> list[Judged]:
    """All of them, judged."""
    found = model().assess_many([e.incident for e in examples()])
    return [Judged(signs(e.incident, a), e.verdict) for e, a in zip(examples(), found, strict=True)]


def ait_signs(data: Path) -> dict[str, list[Signs]]:
    """AIT-ADS windows by recording, in the order of their times."""
    by: dict[str, list[dict[str, Any]]] = {}
    for item in windows_of(data):
        by.setdefault(item.known["scenario"], []).append(item.alert)
    found = {}
    for name, alerts in sorted(by.items()):
        alerts.sort(key=lambda alert: alert["end"])
        incidents = [parse(alert, format="generic") for alert in alerts]
        judged = model().assess_many(incidents)
        times = [datetime.fromtimestamp(alert["end"], UTC) for alert in alerts]
        found[name] = [signs(i, a, t) for i, a, t in zip(incidents, judged, times, strict=True)]
    return found


# searches


def _chosen(example: Example, alert: dict[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """Texts of an alert that an attacker could have written."""
    theirs = {f.value for f in parse(alert, format=example.format).facts if f.trust == "external"}
    return [(path, text) for path, text in _leaves(alert) if text in theirs]


def _leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Texts of an alert with two words or more."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        if isinstance(value, str) and len(value.split()) > 1:
            yield (*path, key), value
        else:
            yield from _leaves(value, (*path, key))


def _put(alert: dict[str, Any], path: Sequence[Any], value: str) -> dict[str, Any]:
    changed = copy.deepcopy(alert)
    node: Any = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return changed


def _edit(rng: random.Random, text: str, spare: list[str]) -> str:
    """One word away, one more, or one in another's place."""
    words = text.split()
    at = rng.randrange(len(words))
    way = rng.randrange(3)
    if way == 0 and len(words) > 1:
        del words[at]
    elif way == 1:
        words.insert(at, rng.choice(spare))
    else:
        words[at] = rng.choice(spare)
    return " ".join(words)


def _asked(example: Example, alert: dict[str, Any], number: int) -> Signs:
    incident = parse(alert, format=example.format)
    return signs(incident, model().assess(incident), START + timedelta(minutes=number))


def _climb(example: Example, rng: random.Random, spare: list[str]) -> list[Signs]:
    """Keep what lowers the probability of an attack: the search of who sees an answer."""
    alert = example.alert
    run = [_asked(example, alert, 0)]
    best = run[0].attack
    for number in range(1, TRIES):
        path, text = rng.choice(_chosen(example, alert) or _chosen(example, alert := example.alert))
        tried = _put(alert, path, _edit(rng, text, spare))
        run.append(_asked(example, tried, number))
        if run[-1].attack < best:
            best, alert = run[-1].attack, tried
    return run


def _halve(example: Example, harmless: Example, rng: random.Random) -> list[Signs]:
    """More or fewer of the harmless twin's words in what the attacker writes: ever closer to where the answer changes."""
    own, twin = dict(_chosen(example, example.alert)), dict(_leaves(harmless.alert))
    changed = list(own)
    words = [(rng.choice(changed), w) for path, text in twin.items() if text not in own.values() for w in text.split()]
    run, taken = [_asked(example, example.alert, 0)], 0.5
    width = 0.5
    for number in range(1, TRIES):
        alert = example.alert
        kept = [w for w in words if rng.random() < taken]
        for path in changed:
            alert = _put(alert, path, " ".join([own[path], *(w for p, w in kept if p == path)]))
        run.append(_asked(example, alert, number))
        width = max(0.05, width * 0.8)
        taken = min(1.0, max(0.0, taken + (width if run[-1].attack > 0.5 else -width) / 2))
    return run


@cache
def probe_runs() -> dict[str, list[list[Signs]]]:
    """Two ways to search, by name."""
    rng = random.Random(11)
    attacks = [
        e for e, j in zip(examples(), pool(), strict=True) if e.verdict == "true_positive" and j.signs.attack > 0.6
    ]
    spare = [w for e in examples() if e.verdict != "true_positive" for _, t in _leaves(e.alert) for w in t.split()]
    twins = {e.family: e for e in examples() if e.verdict == "benign_positive"}
    chosen = rng.sample([e for e in attacks if e.family in twins and _chosen(e, e.alert)], SEARCHES)
    return {
        "search by small changes (keeps what lowers the probability)": [_climb(e, rng, spare) for e in chosen],
        "search between an attack and its harmless twin": [_halve(e, twins[e.family], rng) for e in chosen],
    }


# honest storms


def _again(example: Example, rng: random.Random, number: int) -> dict[str, Any]:
    """The same alert of another host, at another time, with other counters."""
    text = json.dumps(example.alert)
    for digit_run in sorted({"".join(rng.sample("0123456789", 2)) for _ in range(3)}):
        text = text.replace(digit_run, f"{rng.randrange(10, 100)}")
    alert: dict[str, Any] = json.loads(text)
    return alert | {"observed_host": f"{rng.choice(('ws', 'lt', 'srv', 'vdi'))}-{rng.choice(('fin', 'hr', 'dev', 'ops', 'lab'))}-{number}"}  # fmt: skip


@cache
def storms() -> dict[str, list[list[Signs]]]:
    """Storms by name: copies of one alert that differ in numbers and host; and a shift's alerts of one rule."""
    rng = random.Random(12)
    chosen = rng.sample(examples(), STORMS)
    copies = [[_asked(e, _again(e, rng, n), n) for n in range(COPIES)] for e in chosen]
    groups = [list(group) for group in situation_groups("develop")]
    rules = [
        [_asked(e := rng.choice(g), _again(e, rng, n), n) for n in range(COPIES)] for g in rng.sample(groups, STORMS)
    ]
    return {"storm: one alert on many hosts": copies, "one rule, its honest variants in turn": rules}
