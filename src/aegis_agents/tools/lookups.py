"""Read-only look-ups in the intelligence, as LangChain tools for agents and people.

A tool answers JSON for the model and the passages themselves as its artifact, so that a citation
can be checked against what was really found. Texts inside are data; no tool acts on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aegis_agents.records import Passage

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from aegis_agents.intel import Intel

K = Annotated[int, Field(ge=1, le=20, description="How many results to return")]
Answer = tuple[str, list[Passage]]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextArguments(_Arguments):
    """A description in words, and how many results."""

    text: str = Field(min_length=1, max_length=4000, description="What to look for, in words or by id")
    k: K = 5


class TechniqueArguments(_Arguments):
    """An ATT&CK technique id."""

    technique: str = Field(pattern=r"(?i)^T\d{4}(\.\d{3})?$", description="ATT&CK id such as T1059 or T1059.001")


class CveArguments(_Arguments):
    """A CVE id."""

    cve: str = Field(pattern=r"(?i)^CVE-\d{4}-\d{4,12}$", description="CVE id such as CVE-2021-44228")


class SimilarArguments(_Arguments):
    """Either a description of an incident or the id of a confirmed one."""

    text: str | None = Field(default=None, min_length=1, max_length=4000, description="The incident in words")
    case_id: str | None = Field(default=None, min_length=1, max_length=200, description="Id of a confirmed case")
    k: K = 5

    @model_validator(mode="after")
    def _one(self) -> SimilarArguments:
        if (self.text is None) == (self.case_id is None):
            raise ValueError("give either text or case_id")
        return self


def lookup_tools(intel: Intel) -> list[BaseTool]:
    """The five look-ups over this intelligence; each declares the effect "read" in its metadata."""

    def search_techniques(text: str, k: int = 5) -> Answer:
        """Find the MITRE ATT&CK techniques that best fit a description of behaviour."""
        return _answer(intel.search(text, corpora=("technique",), k=k))

    def get_technique(technique: str) -> Answer:
        """Describe one MITRE ATT&CK technique by its id; ids of other releases are translated."""
        found = intel.technique(technique)
        return _answer([found] if found else [], f"{technique.upper()} is no technique of this ATT&CK release")

    def explain_cve(cve: str) -> Answer:
        """Say whether a vulnerability is in CISA's catalogue of known exploited ones, and what it says."""
        found = intel.cve(cve)
        return _answer(
            [found] if found else [],
            f"{cve.upper()} is not in this copy of the KEV catalogue; that does not mean that it is not exploited",
        )

    def similar_incidents(text: str | None = None, case_id: str | None = None, k: int = 5) -> Answer:
        """Find past incidents with a verdict that a person confirmed, by description or by a case's id."""
        cases = intel.similar_to_text(text, k) if text is not None else intel.similar_to_case(case_id or "", k)
        if cases is None:
            return _answer([], f"{case_id} is not a confirmed case")
        extra = [{"verdict": c.verdict, "similarity": round(c.similarity, 4)} for c in cases]
        return _answer([c.passage() for c in cases], "no incident has been confirmed yet", extra)

    def find_response_actions(text: str, k: int = 5) -> Answer:
        """Find response actions that fit a need, by words, RE&CT id or D3FEND id. Finding one does not do it."""
        return _answer(intel.search(text, corpora=("action",), k=k))

    return [
        _tool(search_techniques, TextArguments),
        _tool(get_technique, TechniqueArguments),
        _tool(explain_cve, CveArguments),
        _tool(similar_incidents, SimilarArguments),
        _tool(find_response_actions, TextArguments),
    ]


def _tool(function: Callable[..., Answer], arguments: type[BaseModel]) -> BaseTool:
    from langchain_core.tools import StructuredTool

    return StructuredTool.from_function(
        function, args_schema=arguments, response_format="content_and_artifact", metadata={"effect": "read"}
    )


def _answer(
    passages: Sequence[Passage], otherwise: str = "nothing found", extra: Sequence[dict[str, Any]] = ()
) -> Answer:
    said = [
        {"id": p.id, "source": p.source, "title": p.title, "text": p.text, "score": round(p.score, 4)}
        | (dict(extra[at]) if extra else {})
        for at, p in enumerate(passages)
    ]
    content = {"results": said} if said else {"results": [], "note": otherwise}
    return json.dumps(content, ensure_ascii=False), list(passages)
