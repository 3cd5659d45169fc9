"""Pictures and tables that show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from aegis_agents import display
from aegis_agents.errors import InputError
from aegis_agents.records import Case, Incident

Part = Literal[
    "case", "summary", "steps", "evidence", "timeline", "entities", "techniques", "probabilities", "passages", "actions",
    "facts",
]  # fmt: skip
"""What of a case can be shown by itself."""


class Shown:
    """HTML for a notebook, with text for where there is none; what it is made from stays out of reach of markup."""

    def __init__(self, fragment: str, text: str = "") -> None:
        self.fragment, self.text = fragment, text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": display.notebook(self.fragment), "text/plain": self.text or "(a picture)"}

    def __repr__(self) -> str:
        return self.text or "(a picture)"


def show(found: Case | Incident | Iterable[Case], part: Part = "case") -> Shown:
    """One part of a case: a picture or a table. `techniques` takes several cases, and counts.

    Of an incident there are facts, entities and timeline. Raises InputError for a part that is not there.
    """
    if isinstance(found, Incident):
        case: dict[str, Any] = {}
        incident: dict[str, Any] = found.model_dump(mode="json")
    elif isinstance(found, Case):
        case = found.to_dict()
        incident = found.incident.model_dump(mode="json") if found.incident else {}
    elif part == "techniques":
        many = [c.to_dict() for c in found]
        named = ", ".join(sorted({t for c in many for t in c["techniques"]})) or "no technique"
        return Shown(display.techniques_svg(many), named)
    else:
        raise InputError("is of one case", field="part", fix="several cases have their techniques alone")
    text = display.case_text(case) if case else display.incident_text(incident)
    makers = {
        "case": lambda: display.case_html(case, incident) if case else display.incident_html(incident),
        "summary": lambda: display.summary_html(case), "steps": lambda: display.steps_svg(case),
        "evidence": lambda: display.evidence_svg(case), "timeline": lambda: display.timeline_svg(incident),
        "entities": lambda: display.entities_svg(incident, case), "techniques": lambda: display.techniques_svg(case),
        "probabilities": lambda: display.probabilities_svg(case), "passages": lambda: display.passages_html(case),
        "actions": lambda: display.actions_html(case), "facts": lambda: display.facts_html(incident.get("facts", ())),
    }  # fmt: skip
    if part not in makers or (not case and part not in ("case", "timeline", "entities", "facts")):
        raise InputError(f"{part!r} can't be shown of this", field="part", fix=f"one of {', '.join(makers)}")
    return Shown(makers[part](), text)
