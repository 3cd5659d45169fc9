"""What flows through Aegis: frozen records, read in this order: incident, judgement, action, case."""

from aegis_agents.records.action import (
    AUTONOMY_LEVELS,
    ActionName,
    ActionReport,
    ActionSpec,
    Autonomy,
    Decision,
    Effect,
    Outcome,
    ProposedAction,
    Receipt,
    Target,
)
from aegis_agents.records.case import Case
from aegis_agents.records.catalogue import CATALOGUE, UNDO_OF
from aegis_agents.records.incident import Claim, Entity, EntityKind, EntityRole, Fact, Incident, Trust
from aegis_agents.records.judgement import (
    SEVERITIES,
    VERDICTS,
    Assessment,
    Conclusion,
    Evidence,
    FactEvidence,
    FactWeight,
    Passage,
    PassageEvidence,
    Sentence,
    Severity,
    TechniqueScore,
    Verdict,
)

__all__ = [
    "AUTONOMY_LEVELS", "CATALOGUE", "SEVERITIES", "UNDO_OF", "VERDICTS",
    "ActionName", "ActionReport", "ActionSpec", "Assessment", "Autonomy", "Case", "Claim", "Conclusion",
    "Decision", "Effect", "Entity", "EntityKind", "EntityRole", "Evidence", "Fact", "FactEvidence",
    "FactWeight", "Incident", "Outcome", "Passage", "PassageEvidence", "ProposedAction", "Receipt",
    "Sentence", "Severity", "Target", "TechniqueScore", "Trust", "Verdict",
]  # fmt: skip
