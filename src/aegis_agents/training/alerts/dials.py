"""Dials: one alert whose fields each take values that decide, lean or say nothing (`dials/*.jsonl`).

Where a situation's variants are written one by one, here a writer says what each value of a
field would mean in this alert, and variants are drawn: one or two values that decide, over
others that lean the other way. So every field is a minimal pair, and one fact must outweigh
another for a reason. Dials only train; what they teach is measured on situations, and a board
named like one that does not train is refused.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from pydantic import Field, model_validator

from aegis_agents.records import Severity, Verdict
from aegis_agents.records.base import Record
from aegis_agents.training.alerts.situations import Situation, Variant, load_situations, tell_variant
from aegis_agents.training.corpus import Example
from aegis_agents.training.parts import Part, part_of

Value = str | int | float | bool | list[Any] | dict[str, Any]

DRAWN: tuple[tuple[Verdict, int], ...] = (
    ("true_positive", 4),
    ("benign_positive", 3),
    ("false_positive", 2),
    ("undetermined", 2),
)
"""How many variants of each verdict are drawn from one alert."""


class Dial(Record):
    """The values of one field: `attack`, `authorised` and `wrong` decide alone; `alarming` and `calming` only lean."""

    plain: Value
    attack: tuple[Value, ...] = ()
    authorised: tuple[Value, ...] = ()
    wrong: tuple[Value, ...] = ()
    alarming: tuple[Value, ...] = ()
    calming: tuple[Value, ...] = ()

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Dial:
        said = [
            repr(v) for v in (self.plain, *self.attack, *self.authorised, *self.wrong, *self.alarming, *self.calming)
        ]
        twice = sorted({value for value in said if said.count(value) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands for more than one thing")
        return self


class Board(Record):
    """One alert in its native shape, and its dials by dotted path."""

    scenario: str
    format: str
    techniques: tuple[str, ...]
    severity: Severity
    alert: dict[str, Any]
    dials: dict[str, Dial] = Field(min_length=4)

    @model_validator(mode="after")
    def _can_decide(self) -> Board:
        for side, least in (("attack", 3), ("authorised", 2), ("wrong", 1), ("alarming", 1), ("calming", 1)):
            if sum(bool(getattr(dial, side)) for dial in self.dials.values()) < least:
                raise ValueError(f"{self.scenario}: {least} dials need {side!r} values")
        return self


@cache
def load_boards() -> tuple[tuple[str, Board], ...]:
    """(writer, board), in the order of the files. Raises ValueError on a malformed one, or one that is held out."""
    folder = resources.files("aegis_agents.training.alerts") / "dials"
    boards = tuple(
        (file.name.removesuffix(".jsonl"), Board.model_validate_json(line))
        for file in sorted(folder.iterdir(), key=lambda f: f.name)
        if file.name.endswith(".jsonl")
        for line in file.read_text("utf-8").splitlines()
    )
    held_out = {s.scenario for _, s in load_situations() if part_of(s.scenario) != "train"}
    if names := sorted(held_out & {board.scenario for _, board in boards}):
        raise ValueError(f"boards named like situations that do not train: {', '.join(names)}")
    return boards


def _draw(board: Board, verdict: Verdict, rng: random.Random) -> Variant:
    """A variant: the values that decide and those that lean against them, all other dials plain."""
    chosen: dict[str, Value] = {path: dial.plain for path, dial in board.dials.items()}
    free = list(board.dials)

    def turn(side: str, most: int) -> tuple[str, ...]:
        able = [path for path in free if getattr(board.dials[path], side)]
        turned = rng.sample(able, min(most, len(able)))
        for path in turned:
            chosen[path] = rng.choice(getattr(board.dials[path], side))
            free.remove(path)
        return tuple(turned)

    facts: dict[Any, tuple[str, ...]] = {}
    severity: Severity = "informational"
    if verdict == "undetermined":
        severity = "medium"
        kind = rng.random()
        if kind < 0.5:  # two that decide, and contradict each other
            side = rng.choice(("authorised", "wrong"))
            facts = {side: turn(side, 1)}  # first, since fewer dials have it
            facts["attack"] = turn("attack", 1)
        elif kind < 0.8:
            turn("alarming", 1)
            turn("calming", 1)
    else:
        side, leaning = {
            "true_positive": ("attack", "calming"),
            "benign_positive": ("authorised", "alarming"),
            "false_positive": ("wrong", "alarming"),
        }[verdict]
        severity = board.severity if verdict == "true_positive" else severity
        facts = {side: turn(side, rng.choice((1, 1, 2)))}
        turn(leaning, rng.choice((0, 1, 1, 2)))
    return Variant(verdict=verdict, severity=severity, set=dict(chosen), facts=facts)


def situation_of(board: Board) -> Situation:
    """The board as a situation with variants; the same board always gives the same ones."""
    rng = random.Random(board.scenario)
    drawn: dict[str, Variant] = {}
    for verdict, most in DRAWN:
        for _ in range(most):
            variant = _draw(board, verdict, rng)
            drawn.setdefault(repr(sorted(variant.set.items())), variant)
    return Situation(
        scenario=board.scenario,
        format=board.format,
        techniques=board.techniques,
        alert=board.alert,
        variants=tuple(drawn.values()),
    )


def dial_groups(part: Part) -> Iterator[list[Example]]:
    """The variants drawn from each board, a list a board; none but to train."""
    if part != "train":
        return
    for writer, board in load_boards():
        situation = situation_of(board)
        yield [
            tell_variant(situation, v, f"{writer}:{board.scenario}")._replace(source="dials")
            for v in situation.variants
        ]
