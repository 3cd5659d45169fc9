"""Label leaks and poisoning: what would let a model be right, or wrong, for a reason that has nothing to do with the alert.

Label leak: a classifier that sees title and vendor severity alone must be near chance.
Poisoning: text that speaks to a machine reader, words that stand with one verdict far more
often than chance allows (Fisher's exact test, Bonferroni), and labels that what was learnt
from all other families contradicts with confidence (confident learning: Northcutt et al.
2021, by cleanlab).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.gate import find_signs
from aegis_agents.training.prepare.dataset import LabelledAlert

NEAR_CHANCE = 0.6
"""The area under the curve, at its interval's lower end, that title and severity may reach."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{3,24}")


class Leak(NamedTuple):
    """Area under the curve of attack against harmless, its 95 % interval, and the alerts counted."""

    auc: float
    low: float
    high: float
    alerts: int

    @property
    def leaks(self) -> bool:
        """Whether it tells more than chance would."""
        return self.low > NEAR_CHANCE


def _folds(families: Sequence[str], n: int = 5) -> NDArray[np.int64]:
    from sklearn.model_selection import GroupKFold

    fold = np.zeros(len(families), np.int64)
    for number, (_, test) in enumerate(GroupKFold(n_splits=n).split(np.zeros(len(families)), groups=list(families))):
        fold[test] = number
    return fold


def _predicted(texts: Sequence[str], labels: NDArray[np.int64], families: Sequence[str]) -> NDArray[np.float64]:
    """The probability of each class, by a bag of words that never saw the alert's family: shape (n, classes)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    classes = int(labels.max()) + 1
    found = np.full((len(texts), classes), 1.0 / classes)
    fold = _folds(families)
    for number in sorted(set(fold.tolist())):
        train, test = fold != number, fold == number
        if len(set(labels[train].tolist())) < 2:
            continue
        model = make_pipeline(
            TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, max_features=60_000),
            LogisticRegression(max_iter=400, class_weight="balanced"),
        )
        model.fit([t for t, yes in zip(texts, train, strict=True) if yes], labels[train])
        columns = [int(c) for c in model.classes_]
        found[np.ix_(test, columns)] = model.predict_proba([t for t, yes in zip(texts, test, strict=True) if yes])
    return found


def label_leak(alerts: Sequence[LabelledAlert], *, what: str = "title and severity", draws: int = 300) -> Leak:
    """How well `what` alone tells attacks from what is harmless, families apart; undetermined ones don't count.

    `what` is "title and severity" or "format and length". The interval is a bootstrap over families.
    """
    from sklearn.metrics import roc_auc_score

    told = [a for a in alerts if a.verdict != "undetermined"]
    incidents = [a.example().incident for a in told]
    if what == "title and severity":
        texts = [f"{i.title} | severity_{i.claim.severity}" for i in incidents]
    else:
        texts = [f"{a.format} length_{len(i.facts) // 5}" for a, i in zip(told, incidents, strict=True)]
    attack = np.array([a.verdict == "true_positive" for a in told], np.int64)
    families = [a.family for a in told]
    if len(set(families)) < 10 or len(set(attack.tolist())) < 2:
        return Leak(0.5, 0.0, 1.0, len(told))
    score = _predicted(texts, attack, families)[:, 1]
    rows: dict[str, list[int]] = defaultdict(list)
    for row, family in enumerate(families):
        rows[family].append(row)
    rng, names, found = np.random.default_rng(7), sorted(rows), []
    for _ in range(draws):
        drawn = np.concatenate([rows[names[i]] for i in rng.integers(0, len(names), len(names))])
        if len(set(attack[drawn].tolist())) == 2:
            found.append(float(roc_auc_score(attack[drawn], score[drawn])))
    low, high = np.percentile(found, [2.5, 97.5])
    return Leak(float(roc_auc_score(attack, score)), float(low), float(high), len(told))


class Suspect(NamedTuple):
    """An alert that is not learnt from, and why."""

    alert: LabelledAlert
    why: str


def speaks_to_machines(alert: LabelledAlert) -> bool:
    """Whether a field addresses a reader that follows instructions."""
    return any(find_signs(f.value) for f in alert.example().incident.facts)


def triggers(alerts: Sequence[LabelledAlert], *, least: int = 12, alpha: float = 0.01) -> dict[str, str]:
    """Words of outside alerts that stand with one verdict far more often than chance: word → that verdict.

    Reported; a person decides.
    """
    from scipy.stats import fisher_exact

    by_verdict: dict[str, Counter[str]] = defaultdict(Counter)
    voices: Counter[str] = Counter()
    # One vote for each alert text that is different: a campaign repeats itself.
    different = {
        (a.verdict, frozenset(w.lower() for f in a.example().incident.facts for w in _WORD.findall(f.value)))
        for a in alerts if a.outside
    }  # fmt: skip
    for told, said in different:
        voices[told] += 1
        by_verdict[told].update(said)
    words = sorted({w for counted in by_verdict.values() for w, n in counted.items() if n >= least})
    found: dict[str, str] = {}
    for word in words:
        for verdict in list(voices):
            inside = by_verdict[verdict][word]
            others = sum(counted[word] for v, counted in by_verdict.items() if v != verdict)
            rest = sum(n for v, n in voices.items() if v != verdict)
            table = [[inside, voices[verdict] - inside], [others, rest - others]]
            if fisher_exact(table, alternative="greater")[1] < alpha / (len(words) * len(voices)):
                found[word] = verdict
    return found


def contradicted(alerts: Sequence[LabelledAlert]) -> list[Suspect]:
    """Outside alerts whose label the rest contradicts with confidence. Our own are written, and reviewed, by people."""
    from cleanlab.filter import find_label_issues

    told = [a for a in alerts if a.verdict != "undetermined"]
    attack = np.array([a.verdict == "true_positive" for a in told], np.int64)
    if len({a.family for a in told}) < 10 or len(set(attack.tolist())) < 2:
        return []
    texts = [" ".join(f.value for f in a.example().incident.facts)[:4000] for a in told]
    issues = find_label_issues(attack, _predicted(texts, attack, [a.family for a in told]), filter_by="both", n_jobs=1)
    return [
        Suspect(a, f"label {a.verdict} contradicted by all other families")
        for a, wrong in zip(told, issues, strict=True) if wrong and a.outside
    ]  # fmt: skip


def summary(leak: Leak) -> dict[str, Any]:
    """A leak as the manifest keeps it."""
    return {"auc": round(leak.auc, 4), "low": round(leak.low, 4), "high": round(leak.high, 4), "alerts": leak.alerts}
