"""Reasoning: what follows from model and intelligence? A conclusion whose every sentence cites, and proposals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from langgraph.runtime import Runtime

from aegis_agents.agents.evidence import fact_evidence, passage_evidence, write_summary
from aegis_agents.agents.narrate import narrate
from aegis_agents.agents.planning import propose
from aegis_agents.context import Context
from aegis_agents.intel.crosswalk import base_technique
from aegis_agents.records import Assessment, Conclusion, TechniqueScore
from aegis_agents.state import IncidentState

TECHNIQUE_GAP = 0.1
"""A further technique is named if it is nearly as likely as the first: this much less likeness at most."""
MAX_TECHNIQUES = 3
UNSURE = 0.5
"""Below this confidence a verdict is unclear too, and a language model may word it."""


def named_techniques(assessment: Assessment) -> tuple[str, ...]:
    """Named only where an attack is possible: allowed or misread activity has no technique."""
    possible = assessment.verdict in ("true_positive", "undetermined")
    return nearly_as_likely(assessment.techniques) if possible else ()


def nearly_as_likely(techniques: Sequence[TechniqueScore]) -> tuple[str, ...]:
    """The likeliest technique and those nearly as likely, MAX_TECHNIQUES at most.

    One of each base technique: the like of one another would leave no room for what else was done.
    """
    best: dict[str, str] = {}
    likeliest = sorted(techniques, key=lambda scored: -scored.score)
    for scored in likeliest:
        if scored.score >= likeliest[0].score - TECHNIQUE_GAP:
            best.setdefault(base_technique(scored.technique), scored.technique)
    return tuple(best.values())[:MAX_TECHNIQUES]


def reasoning(state: IncidentState, runtime: Runtime[Context]) -> dict[str, Any]:
    """Adds `conclusion` and `proposals`; a language model, if there is one, words what is unclear."""
    assessment, incident = state["assessment"], state["incident"]
    facts = fact_evidence(incident, assessment)
    # Likeness to a technique is no evidence for what is judged to be none.
    harmless = assessment.verdict in ("benign_positive", "false_positive")
    passages = passage_evidence(tuple(p for p in state["passages"] if not (harmless and p.technique)))
    sentences = write_summary(assessment, facts, passages)
    notes: tuple[str, ...] = ()
    llm = runtime.context.llm
    if llm is not None and (assessment.verdict == "undetermined" or assessment.confidence < UNSURE):
        with runtime.context.limits.asking(incident.source) as why:
            if why:
                notes = (f"the language model was not asked: {why}; the fast path's answer stands",)
            else:
                worded = narrate(llm, assessment.verdict, (*facts, *passages), seconds=runtime.context.llm_seconds)
                sentences, notes = worded.sentences or sentences, worded.notes
    conclusion = Conclusion(
        verdict=assessment.verdict,
        confidence=assessment.confidence,
        severity=assessment.severity,
        techniques=named_techniques(assessment),
        evidence=(*facts, *passages),
        sentences=sentences,
    )
    pricer = runtime.context.gate.pricer(incident, assessment, datetime.now(UTC))
    return {"conclusion": conclusion, "proposals": propose(incident, conclusion, pricer), "notes": notes}
