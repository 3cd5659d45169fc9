"""How Aegis looks: records' public JSON as HTML, SVG and plain text, the same in notebook, console and SOAR pages.

Every function takes mappings (`case.to_dict()`, `incident.model_dump(mode="json")`, answers of the HTTP API) and
answers a str. Everything in them is data: escaped, cut, hidden characters named. HTML and SVG carry classes and
no style, script or address, so that they stand under a strict Content-Security-Policy; put them inside an element
of class `aegis` on a page that has `css()`, or give them to `notebook()`.
"""

from aegis_agents.display.asked import replay_html, what_if_html
from aegis_agents.display.entities import entities_svg
from aegis_agents.display.evidence import evidence_svg
from aegis_agents.display.lists import approvals_html, ledger_html, queue_html, verification_html
from aegis_agents.display.pages import case_html, incident_html, summary_html
from aegis_agents.display.plain import (
    actions_text,
    answer_text,
    case_text,
    evidence_text,
    incident_text,
    ledger_text,
    verification_text,
)
from aegis_agents.display.probabilities import before_after_svg, probabilities_svg
from aegis_agents.display.shown import el, fit, join, text, visible
from aegis_agents.display.steps import steps_svg
from aegis_agents.display.style import css, notebook
from aegis_agents.display.tables import actions_html, entities_html, evidence_html, facts_html, passages_html
from aegis_agents.display.techniques import techniques_svg
from aegis_agents.display.timeline import timeline_svg
from aegis_agents.display.words import outcome_of

__all__ = [
    "actions_html", "actions_text", "answer_text", "approvals_html", "before_after_svg", "case_html", "case_text", "css",
    "el", "entities_html", "entities_svg", "evidence_html", "evidence_svg", "evidence_text", "facts_html", "fit",
    "incident_html", "incident_text", "join", "ledger_html", "ledger_text", "notebook", "outcome_of", "passages_html",
    "probabilities_svg", "queue_html", "replay_html", "steps_svg", "summary_html", "techniques_svg", "text",
    "timeline_svg", "verification_html", "verification_text", "visible", "what_if_html",
]  # fmt: skip
