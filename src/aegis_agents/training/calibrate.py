"""Calibration: a temperature, thresholds, and bounds on being wrong, from families that were not trained on.

Bounds: for each tolerated error rate the least share at which the error among alerts called
attacks (or harmless) is controlled, by Learn then Test (Angelopoulos et al. 2021; MAPIE).
Alerts of one family are alike, so a family counts once: one of its alerts is drawn.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from aegis_agents.model.calibration import UNFITTED, Bound, Calibration
from aegis_agents.model.fast import FastModel
from aegis_agents.records import VERDICTS, Verdict
from aegis_agents.training.corpus import Example
from aegis_agents.training.manifest import write_manifest

Floats = NDArray[np.float64]
TOLERATED = (0.25, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01)
CONFIDENCE = 0.9
COVERAGE = 0.85
"""Least share of decided alerts that thresholds may leave."""


class Scored(NamedTuple):
    """Log-probabilities before calibration (n, 4), labels (n,) as indices into VERDICTS, and families."""

    logits: Floats
    labels: NDArray[np.int64]
    families: list[str]


def score(model: FastModel, examples: Sequence[Example]) -> Scored:
    """What the model says of examples, as log-probabilities (the model's own temperature is still in them)."""
    found = model.assess_many([e.incident for e in examples])
    shares = np.array([[a.probabilities[v] for v in VERDICTS] for a in found])
    return Scored(
        np.log(np.maximum(shares, 1e-12)),
        np.array([VERDICTS.index(e.verdict) for e in examples]),
        [e.family for e in examples],
    )


def _log_loss(logits: Floats, labels: NDArray[np.int64], temperature: float) -> float:
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    log_p = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())


def fit_temperature(scored: Scored) -> float:
    """The temperature of least log loss (Guo et al. 2017), by a search over 0.5 to 6."""
    grid = np.exp(np.linspace(np.log(0.5), np.log(6.0), 80))
    return float(grid[int(np.argmin([_log_loss(scored.logits, scored.labels, t) for t in grid]))])


class Counted(NamedTuple):
    """Shares of attacks, of harmless and of undetermined alerts that are called so, and of all that are decided.

    Each 0 to 1, NaN where there are none.
    """

    detection: float
    rejection: float
    undetermined: float
    coverage: float


def count(calibration: Calibration, scored: Scored) -> Counted:
    """How a calibration would have judged (docs/model.md says how verdicts are counted)."""
    return _counted([calibration.decide(row).verdict for row in scored.logits], scored.labels)


def judged(model: FastModel, examples: Sequence[Example]) -> Counted:
    """How a model judges, with the thresholds that it has."""
    labels = np.array([VERDICTS.index(e.verdict) for e in examples])
    return _counted([a.verdict for a in model.assess_many([e.incident for e in examples])], labels)


def _counted(verdicts: Sequence[Verdict], labels: NDArray[np.int64]) -> Counted:
    said = np.array([VERDICTS.index(verdict) for verdict in verdicts])
    attack, harmless, open_ = labels == 0, (labels == 1) | (labels == 2), labels == 3
    return Counted(
        _share(said[attack] == 0), _share((said[harmless] == 1) | (said[harmless] == 2)), _share(said[open_] == 3),
        _share(said != 3),
    )  # fmt: skip


def _share(hit: NDArray[np.bool_]) -> float:
    return float(hit.mean()) if hit.size else float("nan")


def _mean(counted: Sequence[Counted]) -> Counted:
    """Each share over those that have one."""
    columns = [[share for share in column if not math.isnan(share)] for column in zip(*counted, strict=True)]
    return Counted(*(sum(known) / len(known) if known else float("nan") for known in columns))


class Aim(NamedTuple):
    """What thresholds aim at: shares of attacks found, of harmless alerts rejected and of undetermined ones called so."""

    detection: float = 0.9
    rejection: float = 0.75
    undetermined: float = 0.3

    def distance(self, found: Counted) -> float:
        """How far `found` falls short of all three, as the root of the sum of squares. What was not counted lacks nothing."""
        return math.hypot(
            *(max(0.0, aim - share) for share, aim in zip(found[:3], self, strict=True) if not math.isnan(share))
        )


STANDARD_AIM = Aim()


def fit(
    scored: Scored, *, aim: Aim = STANDARD_AIM, choose_on: Scored | None = None, at_least: Counted | None = None,
    fitted_on: str = "",
) -> Calibration:  # fmt: skip
    """Temperature and bounds on `scored`; then the thresholds that come nearest to `aim`.

    Where `choose_on` is given both count alike: some dozens of alerts alone are steps too coarse to
    choose by. `at_least` is what another model reaches on `scored`: what falls behind it there, on any side, is chosen
    only where all do. At least COVERAGE of the alerts stay decided; where no pair of thresholds keeps it, equal costs
    and the highest bound are taken.
    """
    temperature = round(fit_temperature(scored), 4)
    chosen = [scored] if choose_on is None else [scored, choose_on]
    best: tuple[tuple[float, ...], Calibration] | None = None
    for above in (0.3, 0.35, 0.375, 0.4, 0.425, 0.45, 0.475, 0.5, 0.55, 0.6):
        for cost in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.7, 2.0, 2.2, 2.4, 2.6, 2.8, 3.1, 3.4, 3.7, 4.0):
            tried = Calibration(
                temperature=temperature, undetermined_above=above, missed_attack_cost=cost, fitted_on=fitted_on
            )
            here, *others = [count(tried, s) for s in chosen]
            found = _mean([here, *others])
            behind = 0.0 if at_least is None else -Aim(*at_least[:3]).distance(here)
            rank = (behind, -aim.distance(found), found.rejection)
            if found.coverage >= COVERAGE and (best is None or rank > best[0]):
                best = (rank, tried)
    taken = best[1] if best else Calibration(temperature=temperature, undetermined_above=0.6, fitted_on=fitted_on)
    return taken.model_copy(update=_bounds(taken, scored))


def _one_a_family(scored: Scored, rng: random.Random) -> list[int]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, family in enumerate(scored.families):
        if scored.labels[row] != VERDICTS.index("undetermined"):
            rows[family].append(row)
    return [rng.choice(rows[family]) for family in sorted(rows)]


def _bounds(calibration: Calibration, scored: Scored) -> dict[str, object]:
    """Bounds over what `calibration` calls an attack, and over what it calls harmless, of alerts whose facts settle something."""
    rows = _one_a_family(scored, random.Random(7))
    said = [calibration.decide(row) for row in scored.logits[rows]]
    shares = np.array([[one.probabilities[v] for v in VERDICTS[:3]] for one in said])
    attack = shares[:, 0] / np.maximum(shares.sum(axis=1), 1e-12)
    called = np.array([VERDICTS.index(one.verdict) for one in said])
    truth = (scored.labels[rows] == 0).astype(np.int64)
    # What is called something else reaches no share at all, and so counts for no bound.
    attacks, harmless = np.where(called == 0, attack, 0.0), np.where((called == 1) | (called == 2), 1 - attack, 0.0)
    found = tuple(Bound(t, _least_share(attacks, truth, t), _least_share(harmless, 1 - truth, t)) for t in TOLERATED)
    return {"bounds": found, "bounds_confidence": CONFIDENCE, "bounds_families": len(rows)}


def _enough(tolerated: float) -> int:
    """The fewest alerts on which half the tolerated error is evidence against more than the tolerated one."""
    from scipy.stats import binom

    return next(n for n in range(5, 100_000) if binom.cdf(int(n * tolerated / 2), n, tolerated) <= 1 - CONFIDENCE)


def _least_share(share: Floats, right: NDArray[np.int64], tolerated: float) -> float | None:
    """The least share from which those at or above it are right at least 1 - `tolerated` of the time."""
    import warnings

    from mapie.risk_control import BinaryClassificationController

    def predict(x: Floats) -> Floats:
        return np.stack([1 - np.asarray(x)[:, 0], np.asarray(x)[:, 0]], axis=1)

    # From strict to loose: each step is only tested if the one before held, so no correction is paid.
    # It starts where twice the alerts are left that would just show it of a model that errs half as often: with fewer, one
    # unlucky alert ends the sequence at its first step. That looks at shares and not at labels.
    enough = 2 * _enough(tolerated)
    steps = [s for s in np.round(np.linspace(0.98, 0.5, 25), 3) if (share >= s).sum() >= enough]
    if not steps:
        return None
    controller = BinaryClassificationController(
        predict, risk="precision", target_level=1 - tolerated, confidence_level=CONFIDENCE,
        list_predict_params=np.array(steps), fwer_method="fixed_sequence",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that none holds is an answer here
        controller.calibrate(share[:, None], right)
    valid = np.asarray(controller.valid_predict_params, np.float64).ravel()
    return float(valid.min()) if len(valid) else None


def calibrate_folder(
    out: Path, name: str, about: dict[str, Any], develop: Sequence[Example], *, aim: Aim | None = None,
    choose_on: Sequence[Example] = (), beside: FastModel | None = None, console: Console,
) -> dict[str, Any]:  # fmt: skip
    """Calibrate the model whose other files lie in `out` as they are, quantised and all; write its manifest.

    `beside` is a model that thresholds should not let this one fall behind, on either side. Without an `aim` they aim at
    what it reaches, or at STANDARD_AIM where there is none. Returns `about` with the figures on `develop` and the manifest's SHA-256.
    """
    _write(out, Calibration(temperature=1.0, undetermined_above=1.0, fitted_on=UNFITTED))
    digest = write_manifest(out, name, about)
    model = FastModel(out, manifest_sha256=digest, threads=2)
    scored, others = score(model, develop), score(model, choose_on) if choose_on else None
    said = ", ".join(f"{n} {k}" for k, n in sorted(Counter(e.source for e in develop).items()))
    if choose_on:
        said += f"; thresholds on these and, counted alike, {len(choose_on)} {choose_on[0].source}"
    at_least = None if beside is None else judged(beside, develop)
    aim = aim or (STANDARD_AIM if at_least is None else Aim(*at_least[:3]))
    fitted = fit(scored, aim=aim, choose_on=others, at_least=at_least, fitted_on=said)
    _write(out, fitted)
    figures = {k: round(v, 4) for k, v in count(fitted, scored)._asdict().items() if not math.isnan(v)}
    console.print(f"held-out families and situations: {figures}, temperature {fitted.temperature}", highlight=False)
    found = about | {"develop": figures}
    return found | {"manifest_sha256": write_manifest(out, name, found)}


def _write(out: Path, calibration: Calibration) -> None:
    (out / "calibration.json").write_text(calibration.model_dump_json(), "utf-8")
