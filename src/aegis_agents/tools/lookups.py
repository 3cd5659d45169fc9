"""Read-only look-ups in the intelligence, as LangChain tools for agents and people.

A tool answers JSON for the model and the passages themselves as its artifact, so that a citation
can be checked against what was really found. Texts inside are data; no tool acts on them.
Read in this order: lookup_arguments, lookup_answers, indicator_report, then this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import BaseModel

from aegis_agents.errors import InputError
from aegis_agents.tools.cve_report import cve_note, cve_passages
from aegis_agents.tools.indicator_report import Clock, FeedTimes, report_indicator, utc_now
from aegis_agents.tools.lookup_answers import Answer, answer, indicator_answer
from aegis_agents.tools.lookup_arguments import (
    CveArguments,
    IndicatorArguments,
    SimilarArguments,
    TechniqueArguments,
    TextArguments,
)

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from aegis_agents.intel import Intel

_NOT_SYNCED = "nothing found; only what was synced or added can be (aegis intel feeds)"


def lookup_tools(intel: Intel, *, times: Callable[[], FeedTimes] = FeedTimes, clock: Clock = utc_now) -> list[BaseTool]:
    """The nine look-ups over this intelligence; each declares the effect "read" in its metadata.

    What they see is what `intel` shows its reader. `times` and `clock` are asked at each look-up of an indicator.
    """

    def search_techniques(text: str, k: int = 5) -> Answer:
        """Find the MITRE ATT&CK techniques that best fit a description of behaviour."""
        return answer(intel.search(text, corpora=("technique",), k=k))

    def get_technique(technique: str) -> Answer:
        """Describe one MITRE ATT&CK technique by its id; ids of other releases are translated."""
        found = intel.technique(technique)
        return answer([found] if found else [], f"{technique.upper()} is no technique of this ATT&CK release")

    def explain_cve(cve: str) -> Answer:
        """Say whether a vulnerability is in CISA's catalogue of known exploited ones, and how likely EPSS holds its
        exploitation within 30 days."""
        passages = cve_passages(intel, cve)
        note = cve_note(cve, [p.source for p in passages])
        return answer(passages, note, note=note)

    def lookup_indicator(value: str) -> Answer:
        """Say who reports an address, domain, URL or hash as harmful, how far they are trusted, whether that is still
        current, and whether it is on a warning list. Unknown does not mean harmless."""
        try:
            return indicator_answer(report_indicator(intel, value, now=clock(), times=times()))
        except InputError as error:
            return answer([], str(error))

    def similar_incidents(text: str | None = None, case_id: str | None = None, k: int = 5) -> Answer:
        """Find past incidents with a verdict that a person confirmed, by description or by a case's id."""
        cases = intel.similar_to_text(text, k) if text is not None else intel.similar_to_case(case_id or "", k)
        if cases is None:
            return answer([], f"{case_id} is not a confirmed case")
        extra = [{"verdict": c.verdict, "similarity": round(c.similarity, 4)} for c in cases]
        return answer([c.passage() for c in cases], "no incident has been confirmed yet", extra)

    def find_response_actions(text: str, k: int = 5) -> Answer:
        """Find response actions that fit a need, by words, RE&CT id or D3FEND id. Finding one does not do it."""
        return answer(intel.search(text, corpora=("action",), k=k))

    def find_playbook(text: str, k: int = 5) -> Answer:
        """Find steps of response playbooks (RE&CT) and passages of the organisation's own documents for a situation.
        They are advice for people; finding one does nothing."""
        return answer(intel.search(text, corpora=("playbook", "document"), k=k), _NOT_SYNCED)

    def find_rules(text: str, k: int = 5) -> Answer:
        """Find Sigma detection rules that look for a behaviour, by words, ATT&CK id or rule id."""
        return answer(intel.search(text, corpora=("rule",), k=k), _NOT_SYNCED)

    def search_documents(text: str, k: int = 5) -> Answer:
        """Search threat reports from feeds and the organisation's own documents."""
        return answer(intel.search(text, corpora=("report", "document"), k=k), _NOT_SYNCED)

    return [
        _tool(search_techniques, TextArguments),
        _tool(get_technique, TechniqueArguments),
        _tool(explain_cve, CveArguments),
        _tool(lookup_indicator, IndicatorArguments),
        _tool(similar_incidents, SimilarArguments),
        _tool(find_response_actions, TextArguments),
        _tool(find_playbook, TextArguments),
        _tool(find_rules, TextArguments),
        _tool(search_documents, TextArguments),
    ]


def _tool(function: Callable[..., Answer], arguments: type[BaseModel]) -> BaseTool:
    from langchain_core.tools import StructuredTool

    return StructuredTool.from_function(
        function, args_schema=arguments, response_format="content_and_artifact", metadata={"effect": "read"}
    )
