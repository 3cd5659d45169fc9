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
from aegis_agents.records.principal import AEGIS, ROLES, Principal, Role

__all__ = [
    "AEGIS", "AUTONOMY_LEVELS", "CATALOGUE", "ROLES", "SEVERITIES", "UNDO_OF", "VERDICTS",
    "ActionName", "ActionReport", "ActionSpec", "Assessment", "Autonomy", "Case", "Claim", "Conclusion",
    "Decision", "Effect", "Entity", "EntityKind", "EntityRole", "Evidence", "Fact", "FactEvidence",
    "FactWeight", "Incident", "Outcome", "Passage", "PassageEvidence", "Principal", "ProposedAction", "Receipt", "Role",
    "Sentence", "Severity", "Target", "TechniqueScore", "Trust", "Verdict",
]  # fmt: skip
