"""Does the monitor find what changes, and leave alone what does not? `python -m evals.monitor`. Writes evals/reports/monitor.*.

The tests are the product's own. Streams of campaigns are drawn from situations of the develop split as the shipped model
judges them; AIT-ADS windows come in their real order. Nothing is fitted here. Needs AEGIS_DEV_DATA for the AIT part, which
is left out, and said to be, without it.
"""

from __future__ import annotations

import json
import os
import random
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents.gate.caution import ALIKE
from aegis_agents.monitor.agreement import Agreement
from aegis_agents.monitor.calibrated import Calibrated
from aegis_agents.monitor.drift import STREAMS, Drift
from aegis_agents.monitor.probing import Probing, searching
from aegis_agents.monitor.said import Said, same_side
from aegis_agents.monitor.signs import Signs
from aegis_agents.monitor.state import State
from aegis_agents.records import VERDICTS, Verdict
from aegis_agents.settings_monitor import MonitorSettings
from evals.earned_coverage import Share
from evals.monitor_pool import Judged, ait_signs, pool, probe_runs, storms

REPORTS = Path(__file__).parent / "reports"
SEED, RUNS, HORIZON = 7, 120, 1000
CHANGED, BEFORE, AFTER = 30, 400, 600
SETTINGS = MonitorSettings()


def mixed(
    rng: random.Random, cases: list[Judged], attacks: float = 0.1, weights: dict[str, float] | None = None
) -> Iterator[Judged]:
    """Campaigns in no particular order: sources with the weights of one deployment, so many of them attacks."""
    weights = weights or deployment(rng, cases)
    sources = list(weights)
    by: dict[tuple[str, bool], list[Judged]] = {}
    for case in cases:
        by.setdefault((case.signs.source, case.truth == "true_positive"), []).append(case)
    while True:
        source = rng.choices(sources, [weights[s] for s in sources])[0]
        found = by.get((source, rng.random() < attacks))
        if found:
            yield rng.choice(found)


def deployment(rng: random.Random, cases: list[Judged], hidden: str = "") -> dict[str, float]:
    """How often which source comes, in one deployment that has all but the hidden one."""
    return {s: rng.random() ** 2 + 0.01 for s in sorted({c.signs.source for c in cases} - {hidden})}


def renamed(case: Judged, number: int, **changes: Any) -> Signs:
    """The case as another campaign of its kind."""
    return case.signs._replace(incident_id=f"c{number}", **changes)


def hotter(signs: Signs, power: float, rng: random.Random | None = None, noise: float = 0.0) -> dict[str, Any]:
    """The answer made surer (power above 1) or less sure, or replaced at random with probability `noise`."""
    if rng is not None and rng.random() < noise:
        verdict: Verdict = rng.choice(VERDICTS)
        return {"verdict": verdict, "confidence": rng.uniform(0.4, 0.9), "attack": rng.random()}
    odds = (signs.confidence / max(1e-6, 1 - signs.confidence)) ** power
    return {"confidence": odds / (1 + odds)}


def false_alarms(cases: list[Judged]) -> dict[str, Any]:
    """Streams in which nothing changes: how often any test of drift, disagreement or calibration speaks up."""
    fell, single, agreed, sure = 0, dict.fromkeys(STREAMS, 0), 0, 0
    for run in range(RUNS):
        rng = random.Random(f"{SEED}/same/{run}")
        drift, people, calibrated = Drift(), Agreement(), Calibrated()
        stream = mixed(rng, cases, attacks=rng.uniform(0.05, 0.4))
        for number in range(HORIZON):
            drift.add(renamed(next(stream), number), str(run), SETTINGS.reference)
            # people contradict exactly as often as is borne, and confidence lies too high by exactly what is borne
            people.add(Said("confirm", rng.random() >= SETTINGS.most_disagreement, None), "one", (f"{number}",), "m", SETTINGS.most_disagreement)  # fmt: skip
            said = rng.uniform(0.3, 1.0)
            calibrated.add(said, rng.random() < said - SETTINGS.most_overconfidence, "m", SETTINGS.most_overconfidence)
        fell += bool(drift.found(SETTINGS.doubt / 2))
        for name, one in drift.streams.items():
            single[name] += one.wager.shown(0.05)
        agreed += people.groups["all"].wager.shown(0.05)
        sure += calibrated.wager.shown(0.05)
    return {
        "drift, as shipped": Share(fell, RUNS),
        **{f"drift of {name} alone, doubt 0.05": Share(k, RUNS) for name, k in single.items()},
        "disagreement exactly as borne, doubt 0.05": Share(agreed, RUNS),
        "overconfidence exactly as borne, doubt 0.05": Share(sure, RUNS),
    }


class Delay(NamedTuple):
    """A planted change: how often it was found within the horizon, after how many campaigns, and by which tests first."""

    found: Share
    median: float | None
    slowest: float | None
    by: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        return self._asdict() | {"found": self.found.to_json()}


def delay_of(
    after: Callable[[random.Random, list[Judged], str, dict[str, float]], Iterator[Signs]],
    cases: list[Judged],
    name: str,
) -> Delay:
    """Campaigns from the change until the drift tests, as shipped, speak up; alarms before it don't count as found."""
    delays, by = [], dict[str, int]()
    for run in range(CHANGED):
        rng = random.Random(f"{SEED}/{name}/{run}")
        hidden = rng.choice(sorted({c.signs.source for c in cases}))
        weights = deployment(rng, cases, hidden)
        drift, stream = Drift(), mixed(rng, cases, weights=weights)
        for number in range(BEFORE):
            drift.add(renamed(next(stream), number), f"{run}", SETTINGS.reference)
        if drift.found(SETTINGS.doubt / 2):
            continue
        changed = after(rng, cases, hidden, weights)
        for number in range(AFTER):
            drift.add(next(changed), f"{run}", SETTINGS.reference)
            if found := drift.found(SETTINGS.doubt / 2):
                delays.append(number + 1)
                by[found[0]] = by.get(found[0], 0) + 1
                break
    return _delay(delays, by)


def _delay(delays: list[int], by: dict[str, int]) -> Delay:
    middle = statistics.median(delays) if delays else None
    return Delay(Share(len(delays), CHANGED), middle, max(delays, default=None), by)


def new_source(
    rng: random.Random, cases: list[Judged], hidden: str, weights: dict[str, float], share: float = 0.2
) -> Iterator[Signs]:
    """A product that was never connected here brings a fifth of the campaigns."""
    known, own = mixed(rng, cases, weights=weights), [c for c in cases if c.signs.source == hidden]
    number = BEFORE
    while True:
        number += 1
        yield renamed(rng.choice(own) if rng.random() < share else next(known), number)


def more_attacks(rng: random.Random, cases: list[Judged], _: str, weights: dict[str, float]) -> Iterator[Signs]:
    """Attacks are 40 % instead of 10 %."""
    for number, case in enumerate(mixed(rng, cases, attacks=0.4, weights=weights)):
        yield renamed(case, BEFORE + number)


def noisy(rng: random.Random, cases: list[Judged], _: str, weights: dict[str, float]) -> Iterator[Signs]:
    """Every fourth answer is drawn at random, by the same version of the model."""
    for number, case in enumerate(mixed(rng, cases, weights=weights)):
        yield renamed(case, BEFORE + number, **hotter(case.signs, 1.0, rng, 0.25))


def surer(rng: random.Random, cases: list[Judged], _: str, weights: dict[str, float]) -> Iterator[Signs]:
    """The odds of each confidence are squared."""
    for number, case in enumerate(mixed(rng, cases, weights=weights)):
        yield renamed(case, BEFORE + number, **hotter(case.signs, 2.0))


def reviewed_delays(cases: list[Judged]) -> dict[str, Delay]:
    """Reviewed campaigns until disagreement or overconfidence is shown, after 200 that were as usual."""
    decided = [c for c in cases if same_side(c.signs.verdict, c.truth) is not None]
    found = {}
    for name, rate in (("analysts contradict 10 %, then 45 %", 0.45), ("analysts contradict 10 %, then 60 %", 0.6)):
        delays = []
        for run in range(CHANGED):
            rng, people = random.Random(f"{SEED}/{name}/{run}"), Agreement()
            for number in range(200 + AFTER):
                agrees = rng.random() >= (0.1 if number < 200 else rate)
                people.add(Said("confirm", agrees, agrees), "one", (f"{number}",), "m", SETTINGS.most_disagreement)
                if number >= 200 and people.found(SETTINGS.doubt / 4):
                    delays.append(number - 199)
                    break
        found[name] = _delay(delays, {})
    for name, power, noise in (("confidence inflated (odds squared)", 2.0, 0.0), ("half of the answers random, said with 0.9", 1.0, 0.5)):  # fmt: skip
        delays = []
        for run in range(CHANGED):
            rng, calibrated = random.Random(f"{SEED}/{name}/{run}"), Calibrated()
            stream = mixed(rng, decided, attacks=0.3)
            for number in range(200 + AFTER):
                case = next(stream)
                right = bool(same_side(case.signs.verdict, case.truth))
                confidence = case.signs.confidence
                if number >= 200:
                    confidence = hotter(case.signs, power)["confidence"]
                    if rng.random() < noise:
                        confidence, right = 0.9, rng.random() < 0.5
                calibrated.add(confidence, right, "m", SETTINGS.most_overconfidence)
                if number >= 200 and calibrated.found(SETTINGS.doubt / 4):
                    delays.append(number - 199)
                    break
        found[name] = _delay(delays, {})
    return found


def in_order(signs: list[Signs]) -> dict[str, Any]:
    """One recording in its real order, as the monitor takes it."""
    state, settings = State(seed="ait"), SETTINGS.model_copy(update={"reference": 60})  # a recording is short
    first: dict[str, int] = {}
    probed = 0
    for number, one in enumerate(signs):
        cluster = state.decided(one, settings)
        for name in state.of(one.model).drift.found(SETTINGS.doubt / 2):
            first.setdefault(name, number + 1)
        if cluster is not None and not cluster.told and searching(cluster, SETTINGS.probe_doubt):
            cluster.told, probed = True, probed + 1
    streams = state.of(signs[0].model).drift.streams
    groups = 30 + max((stream.wager.n for stream in streams.values()), default=0)
    return {"cases": len(signs), "groups": groups, "drift shown after cases": first, "called probing": probed}


def probing_figures() -> dict[str, Any]:
    """Searches found, after how many tries; honest storms that were not."""
    found: dict[str, Any] = {}
    for name, runs in probe_runs().items():
        tries = []
        for run in runs:
            probing = Probing()
            for number, one in enumerate(run):
                cluster = probing.add(one, SETTINGS.probe_share)
                if cluster is not None and searching(cluster, SETTINGS.probe_doubt):
                    tries.append(number + 1)
                    break
        middle = statistics.median(tries) if tries else None
        found[name] = {"found": Share(len(tries), len(runs)), "median tries": middle, "tries": max(map(len, runs))}
    for name, streams in storms().items():
        alarms = 0
        for stream in streams:
            probing = Probing()
            clusters = [probing.add(one, SETTINGS.probe_share) for one in stream]
            alarms += any(c is not None and searching(c, SETTINGS.probe_doubt) for c in clusters)
        found[name] = {"called probing": Share(alarms, len(streams)), "copies": len(streams[0])}
    return found


def measure() -> dict[str, Any]:
    """All figures."""
    cases = pool()
    data = os.environ.get("AEGIS_DEV_DATA")
    changes = {
        "a fifth of the campaigns from a new product": new_source,
        "attacks 10 %, then 40 %": more_attacks,
        "a quarter of the answers random": noisy,
        "confidence inflated (odds squared)": surer,
    }
    ait: Any = "left out: AEGIS_DEV_DATA is not set"
    if data:
        ait = {name: in_order(signs) for name, signs in ait_signs(Path(data)).items()}
    return {
        "model": cases[0].signs.model,
        "pool": len(cases),
        "settings": SETTINGS.model_dump(),
        "likeness of a group": ALIKE,
        "runs": {
            "without change": RUNS,
            "campaigns each": HORIZON,
            "with a change": CHANGED,
            "before": BEFORE,
            "after": AFTER,
        },
        "false alarms": false_alarms(cases),
        "drift": {name: delay_of(after, cases, name) for name, after in changes.items()},
        "reviews": reviewed_delays(cases),
        "probing": probing_figures(),
        "AIT-ADS, in order": ait,
    }


def told(found: dict[str, Any]) -> str:
    """The report."""
    runs = found["runs"]
    lines = [
        "# Watching the model", "", "`python -m evals.monitor` (seeded; shares as share (k/n, exact 95 % interval)).", "",
        f"Model {found['model']}, {found['pool']} alerts of the develop split as it judges them; settings as shipped.", "",
        f"## Nothing changes ({runs['without change']} streams of {runs['campaigns each']} campaigns)", "",
        "| test | streams with an alarm |", "|---|---|",
        *(f"| {name} | {share} |" for name, share in found["false alarms"].items()), "",
        f"## Something changes (after {runs['before']} campaigns; {runs['with a change']} streams; within {runs['after']} more)", "",
        "| change | found | campaigns, median | slowest | by |", "|---|---|---|---|---|",
        *(f"| {n} | {d.found} | {d.median} | {d.slowest} | {', '.join(f'{k} {v}' for k, v in d.by.items())} |" for n, d in found["drift"].items()), "",
        "Of reviewed campaigns (after 200 as usual):", "",
        "| change | found | reviews, median | slowest |", "|---|---|---|---|",
        *(f"| {n} | {d.found} | {d.median} | {d.slowest} |" for n, d in found["reviews"].items()), "",
        "## Probing", "", "| stream | called probing | median tries until then | alerts each |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, row in found["probing"].items():
        share = row.get("found") or row.get("called probing")
        lines.append(f"| {name} | {share} | {row.get('median tries', '')} | {row.get('tries') or row.get('copies')} |")
    lines += ["", "## AIT-ADS windows in their real order (attacks among them), reference 60", ""]
    ait = found["AIT-ADS, in order"]
    if isinstance(ait, str):
        lines.append(ait)
    else:
        lines += ["| recording | cases | groups | drift shown after cases | groups called probing |", "|---|---|---|---|---|"]  # fmt: skip
        for name, row in ait.items():
            shown = ", ".join(f"{k} {v}" for k, v in row["drift shown after cases"].items()) or "none"
            lines.append(f"| {name} | {row['cases']} | {row['groups']} | {shown} | {row['called probing']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write both reports."""
    found = measure()
    REPORTS.mkdir(exist_ok=True)
    plain = found | {part: {n: d.to_json() for n, d in found[part].items()} for part in ("drift", "reviews")}
    text = json.dumps(plain, indent=1, default=lambda s: s.to_json())  # a NamedTuple would be written as a list
    (REPORTS / "monitor.json").write_text(text + "\n", "utf-8")
    (REPORTS / "monitor.md").write_text(told(found), "utf-8")


if __name__ == "__main__":
    main()
