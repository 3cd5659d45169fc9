"""Cases and answers as notes of an incident: HTML in which whatever came from an alert is text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_VERDICTS = {
    "true_positive": "attack", "benign_positive": "it happened, and is allowed", "false_positive": "wrong detection",
    "undetermined": "the evidence does not decide",
}  # fmt: skip
_LONGEST = 500
_MOST_EVIDENCE = 8


def case_note(case: Mapping[str, Any]) -> str:
    """The note on a case: verdict, why, and every action with its id."""
    verdict = str(case.get("verdict"))
    parts = [
        f"<b>Aegis: {_text(_VERDICTS.get(verdict, verdict))}</b> "
        f"(probability {float(case.get('confidence') or 0):.2f}, severity {_text(case.get('severity'))})",
        f"<p>{_text(case.get('summary'), 4_000)}</p>",
    ]
    evidence = [_evidence(item) for item in list(case.get("evidence") or ())[:_MOST_EVIDENCE]]
    actions = [_action(action) for action in case.get("actions") or ()]
    for title, items in (("What decided", evidence), ("Actions", actions)):
        if items:
            parts.append(f"{title}:<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>")
    parts.append(f"Aegis incident {_text(case.get('incident_id'))}")
    return "<div>" + "".join(parts) + "</div>"


def action_note(report: Mapping[str, Any]) -> str:
    """The note on what became of an action."""
    return f"<div><b>Aegis:</b> {_action(report)}</div>"


def answer_note(answer: Mapping[str, Any]) -> str:
    """The note on an answer, with what it cites."""
    cites = [f"[{_text(c.get('id'))}] {_text(c.get('text'))}" for c in answer.get("cites") or ()]
    listed = "<ul>" + "".join(f"<li>{cite}</li>" for cite in cites) + "</ul>" if cites else ""
    return f"<div><b>Aegis:</b> {_text(answer.get('text'), 4_000)}{listed}</div>"


def _evidence(item: Mapping[str, Any]) -> str:
    said = item.get("text") or f"{item.get('path') or item.get('title')}: {item.get('value') or item.get('source')}"
    return f"[{_text(item.get('id'))}] {_text(said)}"


def _action(action: Mapping[str, Any]) -> str:
    target = action.get("target") or {}
    back = "can be undone" if action.get("reversible") else "can't be undone"
    return (
        f"<b>{_text(action.get('action'))}</b> {_text(target.get('kind'))} {_text(target.get('value'))}: "
        f"{_text(action.get('outcome'))} ({back}; {_text(action.get('reason'))}) {_text(action.get('action_id'))}"
    )


def _text(value: Any, most: int = _LONGEST) -> str:
    text = "" if value is None else str(value)
    return escape(text if len(text) <= most else text[: most - 1] + "…")
