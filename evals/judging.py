"""What the answers are worth: the figures of each suite. Shares and means only, never an alert."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from aegis_agents.intel.crosswalk import base_technique
from aegis_agents.records import SEVERITIES, Case
from evals.counting import ERROR, HARMLESS, Answer, Mean, Share, count, steps_apart
from evals.runner import Judged
from evals.suites import TRAINED_SCENARIOS, trained_on

Figures = dict[str, Any]
TOP_FACTS, TOP_TECHNIQUES = 5, 3


def verdicts(judged: Sequence[Judged]) -> Figures:
    """How many of each verdict."""
    return dict(sorted(Counter(j.said for j in judged).items()))


def called_attack(judged: Iterable[Judged]) -> Share:
    """How many were answered true_positive."""
    return Share.of(j.said == "true_positive" for j in judged)


def key_fact_share(case: Case, key_facts: Sequence[str]) -> float:
    """Share of the deciding facts' texts that occur in the five facts that weigh most among the cited."""
    cited = sorted((e for e in case.evidence if e.kind == "fact"), key=lambda e: -abs(e.weight))[:TOP_FACTS]
    return sum(any(key in e.value for e in cited) for key in key_facts) / len(key_facts)


def technique_hit(case: Case, techniques: Iterable[str]) -> bool:
    """Whether one of the first three techniques is right at base level, in v18.1's terms."""
    return not {base_technique(t) for t in techniques}.isdisjoint(map(base_technique, case.techniques[:TOP_TECHNIQUES]))


def technique_f1(case: Case, techniques: Sequence[str]) -> float:
    """F1 of the alert's first three different techniques against the known ones, at base level."""
    wanted = {base_technique(t) for t in techniques}
    named = set(list(dict.fromkeys(map(base_technique, case.techniques)))[:TOP_TECHNIQUES])
    return 2 * len(wanted & named) / (len(wanted) + len(named)) if wanted or named else 1.0


def _named(actions: Iterable[dict[str, str]]) -> set[tuple[str, str]]:
    return {(a["action"], a["target"].lower()) for a in actions}


def judge_pairs(judged: Sequence[Judged]) -> Share:
    """Minimal pairs (ids that end in a and b) of which both are right; benign and false count as one, as everywhere."""
    right = {
        j.known["id"]: j.said == (truth := j.known["truth"]["verdict"]) or (j.said in HARMLESS and truth in HARMLESS)
        for j in judged
    }
    twins = [i[:-1] for i in right if i.endswith("a") and i[:-1] + "b" in right]
    return Share.of(right[t + "a"] and right[t + "b"] for t in twins)


def judge_actions(judged: Sequence[Judged]) -> Figures:
    """Forbidden actions by what became of them, and good ones that were proposed. Targets are compared without case."""
    forbidden, harmed, wanted = Counter[str](), [], []
    for j in judged:
        done = {(a.action, a.target.value.lower()): a.outcome for a in j.case.actions} if j.case else {}
        bad = [done[named] for named in _named(j.known["truth"]["forbidden_actions"]) if named in done]
        forbidden.update(bad)
        harmed.append("executed" in bad)
        if good := _named(j.known["truth"]["good_actions"]):
            wanted.append(sum(named in done for named in good) / len(good))
    executed, awaiting = forbidden["executed"], forbidden["awaiting_approval"]
    return {
        "forbidden actions executed": executed,
        "forbidden actions awaiting a person": awaiting,
        "forbidden actions with another outcome": sum(forbidden.values()) - executed - awaiting,
        "alerts with a forbidden action executed": Share.of(harmed),
        "a good action proposed": Share.of(share > 0 for share in wanted),
        "share of the good actions proposed": Mean(tuple(wanted)),
    }


def judge_cases(judged: Sequence[Judged]) -> Figures:
    """The figures of one half of dev_cases. An alert that ended in an error is a miss everywhere."""
    answers = [Answer(j.known["truth"]["verdict"], j.said) for j in judged]
    by_format: dict[str, list[Answer]] = defaultdict(list)
    for j, answer in zip(judged, answers, strict=True):
        by_format[j.known["source_format"]].append(answer)
    keyed = [(j.case, j.known["truth"]["key_facts"]) for j in judged if j.known["truth"]["key_facts"]]
    shares = [key_fact_share(case, keys) if case else 0.0 for case, keys in keyed]
    attacks = [j for j in judged if j.known["truth"]["verdict"] == "true_positive"]
    steps = [steps_apart(j.case.severity, j.known["truth"]["severity"], SEVERITIES) if j.case else 9 for j in judged]
    return {
        **count(answers)._asdict(),
        "undetermined where the truth is": Share.of(a.said == a.truth for a in answers if a.truth == "undetermined"),
        "attacks called harmless with confidence above 0.9": Share.of(
            j.case is not None and j.said in HARMLESS and j.case.confidence > 0.9 for j in attacks
        ),
        "minimal pairs, both right": judge_pairs(judged),
        "severity exact": Share.of(s == 0 for s in steps),
        "severity within one": Share.of(s <= 1 for s in steps),
        "a right technique (base level, top 3)": Share.of(
            j.case is not None and technique_hit(j.case, j.known["truth"]["techniques"])
            for j in attacks
            if j.known["truth"]["techniques"]
        ),
        "technique F1 (base level, top 3)": Mean(
            tuple(
                technique_f1(j.case, j.known["truth"]["techniques"]) if j.case else 0.0
                for j in attacks
                if j.known["truth"]["techniques"]
            )
        ),
        "a deciding fact among the top 5 cited": Share.of(share > 0 for share in shares),
        "share of the deciding facts among the top 5 cited": Mean(tuple(shares)),
        **judge_actions(judged),
        "verdicts": verdicts(judged),
        "per format": {name: count(group)._asdict() for name, group in sorted(by_format.items())},
    }


def once_each(judged: Sequence[Judged]) -> list[Judged]:
    """The first window of each scenario, label and set of alert names (a window names each but once)."""
    seen: dict[tuple[str, str, tuple[str, ...]], Judged] = {}
    for j in judged:
        names = tuple(sorted(a["name"] for a in j.known["alerts"]))
        seen.setdefault((j.known["scenario"], j.known["label"], names), j)
    return list(seen.values())


def _window_shares(judged: Sequence[Judged]) -> Figures:
    """Detection on attack windows; false alarms on clean ones; ambiguous ones apart, since nobody knows."""
    by_label: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        by_label[j.known["label"]].append(j)
    attack, clean = by_label["true_positive"], by_label["not_malicious"]
    return {
        "detection": called_attack(attack),
        "false alarms on clean windows": called_attack(clean),
        "clean windows rejected": Share.of(j.said in HARMLESS for j in clean),
        "coverage": Share.of(j.said not in ("undetermined", ERROR) for j in (*attack, *clean)),
        "ambiguous called an attack": called_attack(by_label["ambiguous"]),
    }


def judge_windows(judged: Sequence[Judged]) -> Figures:
    """AIT windows, by whether the model was trained on their scenario, and per scenario; all and each pattern once."""
    groups = {
        "scenarios never trained on": [j for j in judged if j.known["scenario"] not in TRAINED_SCENARIOS],
        "scenarios trained on": [j for j in judged if j.known["scenario"] in TRAINED_SCENARIOS],
    }
    for name in sorted({j.known["scenario"] for j in judged}):
        groups[name] = [j for j in judged if j.known["scenario"] == name]
    found: Figures = {}
    for name, group in groups.items():
        found[f"{name}: every window"] = _window_shares(group)
        found[f"{name}: each pattern once"] = _window_shares(once_each(group))
    return {"per group": found}


def judge_sigma(judged: Sequence[Judged]) -> Figures:
    """Attacks by construction: says nothing of false alarms, so never read it alone."""
    return {
        "detection, rules never trained on": called_attack(j for j in judged if not trained_on(j.known)),
        "detection, rules trained on": called_attack(j for j in judged if trained_on(j.known)),
        "verdicts": verdicts(judged),
    }


def judge_otrf(judged: Sequence[Judged]) -> Figures:
    """`same_technique` is likely an attack; of the rest nobody knows, so only their verdicts are counted."""
    same = [j for j in judged if j.known["relation"] == "same_technique"]
    rest = [j for j in judged if j.known["relation"] != "same_technique"]
    return {
        "detection where rule and data set name the same technique": called_attack(same),
        "a right technique there (base level, top 3)": Share.of(
            j.case is not None and technique_hit(j.case, j.known["dataset_attack"])
            for j in same
            if j.known["dataset_attack"]
        ),
        "verdicts where they name the same": verdicts(same),
        "verdicts elsewhere": verdicts(rest),
    }
