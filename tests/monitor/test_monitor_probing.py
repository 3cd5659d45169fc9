"""Searches for the boundary are told from honest storms."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from aegis_agents.gate.likeness import sketch
from aegis_agents.monitor.probing import LASTS, LEAST_STEPS, MOST_GROUPS, Cluster, Probing, searching
from aegis_agents.monitor.signs import Signs
from tests.monitor.watched import signs

BASE = frozenset(range(1000, 1030))


def variant(number: int, *, change: int | None = None, **more: Any) -> Signs:
    """One alert, or a copy with one word changed."""
    words = BASE if change is None else (BASE - {1000}) | {5000 + change}
    return signs(number, words=words, sketch=sketch(words), variant=f"{change}", **more)


def fed(run: list[Signs], share: float = 0.3) -> Cluster:
    probing = Probing()
    found = [probing.add(one, share) for one in run][-1]
    assert found is not None
    return found


def climbing(rng: random.Random, n: int = 40) -> list[Signs]:
    """Each change lowers the probability of an attack a little, until the verdict flips to and fro."""
    run, attack = [], 0.95
    for number in range(n):
        attack = max(0.4, attack - rng.uniform(0.0, 0.06)) if attack > 0.5 else rng.uniform(0.4, 0.6)
        verdict: Any = "true_positive" if attack > 0.5 else "benign_positive"
        run.append(variant(number, change=number, attack=attack, verdict=verdict))
    return run


def test_a_search_is_found_within_fifty_tries() -> None:
    assert all(searching(fed(climbing(random.Random(seed), 50)), 0.001) for seed in range(10))


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_an_honest_storm_is_none_however_long(noise: float) -> None:
    rng = random.Random(1)
    run = [variant(n, change=n, attack=0.9 + rng.uniform(-noise, noise), verdict="true_positive") for n in range(1000)]
    assert not searching(fed(run), 0.001)
    middle = [variant(n, change=n, attack=0.5, verdict="undetermined") for n in range(1000)]
    assert not searching(fed(middle), 0.001)


def test_exact_copies_are_no_steps_in_either_direction() -> None:
    run = climbing(random.Random(2))
    mixed = [one for pair in zip(run, [run[0]] * len(run), strict=True) for one in pair]
    assert fed(mixed).steps == fed(run).steps
    assert searching(fed(mixed), 0.001)


def test_few_tries_are_no_search_and_the_bound_and_the_doubt_matter() -> None:
    run = climbing(random.Random(3))
    assert not searching(fed(run[:LEAST_STEPS]), 0.5)
    assert searching(fed(run), 0.001)
    assert not searching(fed(run, share=0.95), 0.001)
    assert not searching(fed(run[:12]), 1e-9)


def test_other_words_and_other_sources_are_other_groups() -> None:
    probing = Probing()
    one = probing.add(variant(0), 0.3)
    other = frozenset(range(9000, 9030))
    assert probing.add(signs(1, words=other, sketch=sketch(other)), 0.3) is not one
    assert probing.add(variant(2, source="falco"), 0.3) is not one
    assert probing.add(signs(3), 0.3) is None  # no words at all


def test_groups_are_bounded_in_number_and_time() -> None:
    probing = Probing()
    for number in range(MOST_GROUPS + 20):
        words = frozenset(range(number * 100, number * 100 + 30))
        probing.add(signs(number, words=words, sketch=sketch(words)), 0.3)
    assert len(probing.clusters) == MOST_GROUPS
    late = signs(0).at + LASTS + timedelta(days=1)
    probing.add(variant(0, at=late), 0.3)
    assert len(probing.clusters) == 1
    assert Probing.model_validate_json(probing.model_dump_json()) == probing
