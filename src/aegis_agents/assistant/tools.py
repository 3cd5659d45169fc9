"""What a language model may look at while it words an answer: the store's reading half, as tools beside the look-ups.

Each declares the effect "read"; its arguments are closed and bounded. It answers JSON, and as its artifact the cites
that its values are, so that what is cited later was really retrieved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aegis_agents.assistant.found import cite_action, cite_case, cite_entry, cite_fact
from aegis_agents.assistant.reading import ReadStore, utc_now
from aegis_agents.assistant.records import Cite
from aegis_agents.assistant.shelf import Shelf
from aegis_agents.records import FactEvidence

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

Looked = tuple[str, list[Cite]]
_MOST = 30


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class CaseArguments(_Closed):
    """The id of an incident."""

    incident_id: str = Field(
        pattern=r"^inc-[0-9a-f]{6,40}(-shadow-[0-9a-f]{8})?$", description="Id such as inc-8b8e06d72f04"
    )


class FindArguments(_Closed):
    """Conditions that all must hold; without any the newest incidents."""

    name: str | None = Field(
        default=None, min_length=2, max_length=300, description="Host, user, address, domain or hash"
    )
    verdict: Literal["true_positive", "benign_positive", "false_positive", "undetermined"] | None = None
    days: int | None = Field(default=None, ge=1, le=3660, description="Taken in within so many days")


class NoArguments(_Closed):
    """Nothing."""


def store_tools(store: ReadStore, shelf: Shelf) -> list[BaseTool]:
    """The tools over the store; none of them can change anything: `store` has no method that does."""

    def get_case(incident_id: str) -> Looked:
        """The verdict of a case, its confidence, severity and techniques, and the facts that decided."""
        case = store.case(incident_id)
        if case is None or case.incident is None:
            return _answer([], f"there is no case {incident_id}")
        facts = [e for e in case.evidence if isinstance(e, FactEvidence)]
        # f13 is a fact of every case: here it is named with its own.
        of_case = (cite_fact(incident_id, case.incident.fact(e.id)) for e in facts)
        cites = [cite_case(case), *(c.model_copy(update={"id": f"{incident_id}:{c.id}"}) for c in of_case)]
        extra = [
            {
                "verdict": case.verdict,
                "confidence": case.confidence,
                "severity": case.severity,
                "techniques": case.techniques,
            }
        ]
        return _answer(cites, extra=[*extra, *({"weight": e.weight, "trust": e.trust} for e in facts)])

    def get_actions(incident_id: str) -> Looked:
        """The actions of a case: what became of each, who answered it and when, and which rule decided."""
        rows = store.actions(incident_id)[:_MOST]
        extra = [
            {"state": r.state, "rule": r.decision.rule, "reason": r.decision.reason, "by": r.by, "answered_at": str(r.answered_at or "")}
            for r in rows
        ]  # fmt: skip
        return _answer([cite_action(r) for r in rows], "this incident has no action", extra)

    def get_ledger(incident_id: str) -> Looked:
        """What the ledger says of an incident, in order: kind, time, who."""
        entries = list(store.entries(incident_id=incident_id, limit=200))[-_MOST:]
        return _answer(
            [cite_entry(e) for e in entries], "the ledger has nothing of it", [{"at": e.at} for e in entries]
        )

    def find_incidents(name: str | None = None, verdict: str | None = None, days: int | None = None) -> Looked:
        """Find incidents by what they name, verdict or age; the newest first, at most 30."""
        named = set(shelf.named(name)) if name else None
        since = utc_now() - timedelta(days=days) if days else None
        cards = [
            c for c in shelf.cards()
            if (named is None or not named.isdisjoint(c.entities))
            and (verdict is None or c.verdict == verdict) and (since is None or c.at >= since)
        ][:_MOST]  # fmt: skip
        extra = [{"verdict": c.verdict, "at": c.at.isoformat(), "severity": c.severity} for c in cards]
        return _answer([cite_case(c) for c in cards], "no incident fits", extra)

    def waiting() -> Looked:
        """The actions that wait for a person, oldest first."""
        rows = store.pending()[:_MOST]
        return _answer([cite_action(r) for r in rows], "nothing waits", [{"incident_id": r.incident_id} for r in rows])

    def timers() -> Looked:
        """The actions in effect that will lift themselves, the next first."""
        rows = store.timers()[:_MOST]
        return _answer(
            [cite_action(r) for r in rows], "nothing has a timer", [{"expires_at": str(r.expires_at)} for r in rows]
        )

    return [
        _tool(get_case, CaseArguments), _tool(get_actions, CaseArguments), _tool(get_ledger, CaseArguments),
        _tool(find_incidents, FindArguments), _tool(waiting, NoArguments), _tool(timers, NoArguments),
    ]  # fmt: skip


def _answer(cites: Sequence[Cite], otherwise: str = "", extra: Sequence[dict[str, Any]] = ()) -> Looked:
    told = [
        {"id": c.id, "kind": c.kind, "text": c.text} | (extra[at] if at < len(extra) else {})
        for at, c in enumerate(cites)
    ]
    content: dict[str, Any] = {"results": told} if told else {"results": [], "note": otherwise}
    return json.dumps(content, ensure_ascii=True, default=str), list(cites)


def _tool(function: Callable[..., Looked], arguments: type[BaseModel]) -> BaseTool:
    from langchain_core.tools import StructuredTool

    return StructuredTool.from_function(
        function, args_schema=arguments, response_format="content_and_artifact", metadata={"effect": "read"}
    )
