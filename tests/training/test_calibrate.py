"""Thresholds are chosen where they are asked to be, and hold a model to what another reaches."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mapie", reason="needs the train extra")
pytest.importorskip("scipy", reason="needs the train extra")

from aegis_agents.training.calibrate import Aim, Counted, Scored, count, fit


def scored(shift: float, n: int = 240) -> Scored:
    """Alerts of 60 families, attacks and harmless by turns, whose log-odds of an attack lie `shift` off."""
    rng = np.random.default_rng(1)
    labels = np.arange(n) % 2
    attack = np.where(labels == 0, 1.2, -1.2) + rng.normal(0, 1, n) + shift
    logits = np.stack([attack, np.zeros(n), np.full(n, -1.0), np.full(n, -3.0)], axis=1)
    return Scored(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), labels, [f"f{i % 60}" for i in range(n)])


def test_thresholds_are_chosen_on_what_is_named() -> None:
    here = fit(scored(0.0))
    elsewhere = fit(scored(0.0), choose_on=scored(-1.5))
    assert elsewhere.missed_attack_cost > here.missed_attack_cost, "attacks that look harmless there must count more"
    assert elsewhere.temperature == here.temperature
    assert count(elsewhere, scored(-1.5)).detection > count(here, scored(-1.5)).detection


def test_thresholds_do_not_let_a_model_fall_behind_another_where_that_can_be() -> None:
    chosen = fit(scored(0.0))
    alone = count(chosen, scored(0.0))
    floor = count(chosen.model_copy(update={"missed_attack_cost": 0.6}), scored(0.0))
    beside = count(fit(scored(0.0), at_least=floor), scored(0.0))
    assert alone.rejection < floor.rejection <= beside.rejection
    assert alone.detection > beside.detection >= floor.detection
    out_of_reach = count(fit(scored(0.0), at_least=Counted(1.0, 1.0, 0.0, 0.0)), scored(0.0))
    assert min(out_of_reach.detection, out_of_reach.rejection) > 0.8, "nearest to it, both sides alike"


def test_thresholds_call_as_many_undetermined_as_is_asked_for() -> None:
    rng = np.random.default_rng(2)
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 3])[np.arange(540) % 9]
    logits = np.stack([np.where(labels == k, 1.5, 0.0) + rng.normal(0, 1, 540) for k in range(4)], axis=1)
    logits[:, 2:] -= [3.0, 1.5]
    told = Scored(
        logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), labels, [f"f{i % 60}" for i in range(540)]
    )
    never = count(fit(told, aim=Aim(0.99, 0.99, 0.0)), told)
    some = count(fit(told, aim=Aim(0.99, 0.99, 0.9)), told)
    assert some.undetermined > never.undetermined
    assert (some.detection, some.coverage) < (never.detection, never.coverage), "which has its price"
    held = count(fit(told, aim=Aim(0.99, 0.99, 0.0), at_least=Counted(0.0, 0.0, some.undetermined, 0.0)), told)
    assert held.undetermined >= some.undetermined, "a model is held to what another reaches on this side too"


def test_bounds_are_over_what_is_called_so() -> None:
    """Alerts that the model calls undetermined count for no bound, however wrong it would have been on them."""
    sure = scored(0.0, 2400)
    families = [f"f{i}" for i in range(2400)]
    doubtful = sure.logits.copy()
    wrong = np.arange(2400) % 4 == 0
    doubtful[wrong, 0] = -6.0  # attacks that look harmless
    doubtful[wrong, 3] = 9.0  # and called undetermined
    kept = Scored(doubtful, sure.labels, families)
    apart = [bound.harmless for bound in fit(kept).bounds]
    assert apart[0] is not None
    doubtful[wrong, 3] = -9.0  # called harmless now
    counted = [bound.harmless for bound in fit(Scored(doubtful, sure.labels, families)).bounds]
    assert counted == [None] * len(apart)


def test_bounds_are_there_where_no_thresholds_keep_enough_decided() -> None:
    open_ = scored(0.0)
    open_.logits[:, 3] = 20.0
    found = fit(open_)
    assert found.undetermined_above == 0.6
    assert found.bounds
    assert all(b.attack is None and b.harmless is None for b in found.bounds), "everything is undetermined under them"
    assert found.bound(0.2).attack is None
