"""Dials: what is drawn from a board is decided by the values that decide, whatever leans the other way."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_agents.training.alerts import dials
from aegis_agents.training.alerts.dials import Board, dial_groups, load_boards, situation_of
from aegis_agents.training.parts import part_of

BOARD: dict[str, Any] = {
    "scenario": "key-added", "format": "webhook", "techniques": ["T1098.004"], "severity": "high",
    "alert": {"title": "authorized_keys changed", "process": "tee", "login": "deploy", "key": "ed25519", "job": "-"},
    "dials": {
        "process": {"plain": "tee", "attack": ["php-fpm"], "authorised": ["ansible"], "calming": ["vim"]},
        "login": {"plain": "deploy", "attack": ["unset"], "authorised": ["awx-runner"], "alarming": ["root"]},
        "key": {"plain": "ed25519", "attack": ["same key on nine hosts"], "wrong": ["unchanged, mtime only"]},
        "job": {"plain": "-", "calming": ["nightly"], "alarming": ["none today"]},
    },
}  # fmt: skip


def _leaves(values: dict[str, Any], *sides: str) -> int:
    return sum(v in BOARD["dials"][path].get(side, ()) for path, v in values.items() for side in sides)


def test_one_side_decides_each_verdict() -> None:
    variants = situation_of(Board.model_validate(BOARD)).variants
    side = {"true_positive": "attack", "benign_positive": "authorised", "false_positive": "wrong"}
    assert {v.verdict for v in variants} == {*side, "undetermined"}
    for variant in variants:
        deciding = {s: _leaves(variant.set, s) for s in side.values() if _leaves(variant.set, s)}
        if variant.verdict == "undetermined":
            assert len(deciding) in (0, 2), "nothing decides, or two that contradict each other"
        else:
            assert set(deciding) == {side[variant.verdict]}
        assert {s: len(paths) for s, paths in variant.facts.items()} == deciding
        assert set(variant.set) == set(BOARD["dials"]), "the presence of a field never tells"


def test_the_same_board_gives_the_same_variants_each_once() -> None:
    one, again = (situation_of(Board.model_validate(BOARD)) for _ in range(2))
    assert one == again
    assert len({repr(v.set) for v in one.variants}) == len(one.variants)


@pytest.mark.parametrize("side", ["attack", "authorised", "wrong", "alarming", "calming"])
def test_a_board_that_can_not_tell_a_side_is_refused(side: str) -> None:
    without = {path: {k: v for k, v in dial.items() if k != side} for path, dial in BOARD["dials"].items()}
    with pytest.raises(ValueError, match=side):
        Board.model_validate(BOARD | {"dials": without})


def test_a_value_means_one_thing() -> None:
    key = {"plain": "ed25519", "attack": ["ed25519"], "wrong": ["rsa"]}
    with pytest.raises(ValueError, match="ed25519"):
        Board.model_validate(BOARD | {"dials": BOARD["dials"] | {"key": key}})


def test_a_board_named_like_a_held_out_situation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = next(s for _, s in dials.load_situations() if part_of(s.scenario) == "test")
    clash = BOARD | {"scenario": held_out.scenario}
    monkeypatch.setattr(Board, "model_validate_json", lambda line: Board.model_validate(clash))
    with pytest.raises(ValueError, match=held_out.scenario):
        load_boards.__wrapped__()


def test_boards_only_train() -> None:
    assert not list(dial_groups("develop"))
    assert not list(dial_groups("test"))
    names = [(writer, board.scenario) for writer, board in load_boards()]
    assert len(set(names)) == len(names)
