"""What is asked of each answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_evals.evaluators import Evaluator, EvaluatorContext

from aegis_agents.intel.crosswalk import base_technique
from aegis_agents.records import Assessment, Verdict
from aegis_agents.records.base import Record

HARMLESS: tuple[Verdict, ...] = ("benign_positive", "false_positive")
TOP = 3


class Judged(Record):
    """What is known of a case: its verdict, and whatever its suite compares with."""

    verdict: Verdict
    family: str
    techniques: tuple[str, ...] = ()
    key_facts: tuple[str, ...] = ()
    pair: str = ""
    before: Verdict | None = None
    change: str = ""


@dataclass
class VerdictRight(Evaluator[Any, Assessment, Judged]):
    """Right about attack, harmless or undetermined; benign and false are told apart on their own."""

    def evaluate(self, ctx: EvaluatorContext[Any, Assessment, Judged]) -> dict[str, bool | float | str]:
        known, said = ctx.metadata, ctx.output
        if known is None:
            raise ValueError(f"case {ctx.name}: nothing is known of it")
        right = said.verdict == known.verdict or (said.verdict in HARMLESS and known.verdict in HARMLESS)
        return {"right": right, "said": said.verdict, "confidence": said.confidence}


@dataclass
class SameVerdict(Evaluator[Any, Assessment, Judged]):
    """The verdict is what it was before the change."""

    def evaluate(self, ctx: EvaluatorContext[Any, Assessment, Judged]) -> dict[str, bool | str]:
        known = ctx.metadata
        if known is None:
            raise ValueError(f"case {ctx.name}: nothing is known of it")
        return {"same": ctx.output.verdict == known.before, "change": known.change}


@dataclass
class TechniqueInTop(Evaluator[Any, Any, Judged]):
    """One of the first three techniques is right at base level; nothing is said where none is known."""

    def evaluate(self, ctx: EvaluatorContext[Any, Any, Judged]) -> dict[str, bool]:
        known = ctx.metadata
        if known is None or not known.techniques:
            return {}
        named = ctx.output if isinstance(ctx.output, tuple) else tuple(t.technique for t in ctx.output.techniques)
        wanted = {base_technique(t) for t in known.techniques}
        return {"technique": not wanted.isdisjoint(base_technique(t) for t in named[:TOP])}
