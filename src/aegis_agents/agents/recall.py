"""Memory: what people decided about similar incidents joins the decision at once.

Nearest neighbours' votes are added to the model's log-odds (as in kNN-LM, Khandelwal et al.
2020), bounded so that memory can tip a doubtful verdict and never carry one by itself:

- only confirmed cases vote, one event once, each side from places of its own, so that a
  flood of one side can't crowd the other out, and more of the same adds little;
- what was harmless before never makes an attack harmless: at most it is undetermined, and
  a person looks. An attacker who gets harmless look-alikes confirmed first gains no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aegis_agents.context import Context
from aegis_agents.errors import InputError
from aegis_agents.intel import FinalVerdict, SimilarCase
from aegis_agents.records import VERDICTS, Assessment, Case, Principal, Verdict

CONFIRMED = "verdict.confirmed"
"""Ledger entry: a person said what an incident was."""

LIKENESS_FLOOR = 0.96
"""Cosine below which a case says nothing: three in four alerts of one rule with another verdict stay below."""
_MORE = 0.25
"""What each further neighbour of a side adds to the nearest one's vote, and how much at most."""
_MOST = 1.5
HARMLESS: tuple[Verdict, ...] = ("benign_positive", "false_positive")


def votes(cases: Sequence[SimilarCase]) -> dict[Verdict, float]:
    """How strongly the cases speak for each verdict, 0 to 1.5."""
    found: dict[Verdict, float] = {}
    for verdict in VERDICTS:
        likeness = sorted((c.similarity for c in cases if c.verdict == verdict), reverse=True)
        shares = [max(0.0, (s - LIKENESS_FLOOR) / (1 - LIKENESS_FLOOR)) for s in likeness]
        if shares and shares[0] > 0:
            found[verdict] = min(_MOST, shares[0] + _MORE * sum(shares[1:]))
    return found


def recall(assessment: Assessment, cases: Sequence[SimilarCase], strength: float) -> tuple[Assessment, tuple[str, ...]]:
    """The assessment with the cases' votes, and a note where they changed the verdict.

    `strength` is what one full vote adds in log-odds; 0 leaves the model alone.
    """
    cast = votes(cases) if strength > 0 else {}
    if not cast:
        return assessment, ()
    scaled = {v: math.log(max(p, 1e-9)) + strength * cast.get(v, 0.0) for v, p in assessment.probabilities.items()}
    top = max(scaled.values())
    total = sum(math.exp(s - top) for s in scaled.values())
    shares: dict[Verdict, float] = {v: math.exp(s - top) / total for v, s in scaled.items()}
    harmless = sum(shares[v] for v in HARMLESS)
    verdict: Verdict = max(HARMLESS, key=lambda v: shares[v])
    if shares["undetermined"] > max(shares["true_positive"], harmless):
        verdict = "undetermined"
    elif shares["true_positive"] >= harmless:
        verdict = "true_positive"
    elif assessment.verdict == "true_positive":
        verdict = "undetermined"
    if assessment.verdict in HARMLESS and verdict == "undetermined" and "true_positive" not in cast:
        verdict = assessment.verdict  # only harmless cases spoke: they can't be what raised the doubt
    noted = () if verdict == assessment.verdict else (
        f"confirmed cases changed the verdict from {assessment.verdict} to {verdict}: "
        + ", ".join(f"{c.case_id} ({c.verdict}, {c.similarity:.2f})" for c in cases if c.similarity > LIKENESS_FLOOR),
    )  # fmt: skip
    changed = assessment.model_copy(update={"verdict": verdict, "confidence": shares[verdict], "probabilities": shares})
    return changed, noted


def remember(context: Context, case: Case, verdict: FinalVerdict, by: Principal) -> None:
    """Record who said what the incident was, then let the memory know.

    Raises InputError for a verdict that is not final, or without intelligence to remember in.
    """
    if context.intel is None or case.incident is None:
        raise InputError("there is no memory to keep it in", field="intel", fix="open Aegis with its intelligence")
    vector = context.model.embed_incident(case.incident)
    context.intel.confirm_case(case.incident_id, vector, verdict, case.title, case.incident_id)
    said = {"verdict": verdict, "judged": case.verdict, "by": by.shown, "principal": by.entry()}
    context.store.append(CONFIRMED, case.incident_id, said)
