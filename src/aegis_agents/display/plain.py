"""The same in plain text, for terminals, logs and tickets: no control character reaches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from aegis_agents.display.shown import cut, fit, one_line
from aegis_agents.display.words import Json, child, items, number, outcome_of, percent, verdict_of, when, words

_LINE = 110
MOST: Final = 60
"""Lines of evidence or of actions; of more, how many."""


def case_text(case: Json) -> str:
    """A case in about twenty lines: verdict, title, why, evidence, techniques, actions."""
    name, _, _ = verdict_of(case)
    lines = [
        f"{name.upper()}  {percent(case.get('confidence'))}  severity {one_line(case.get('severity'), 40)}",
        one_line(case.get("title"), 300),
        one_line(f"{case.get('source', '')}  {case.get('native_id', '')}  {case.get('incident_id', '')}", 400),
    ]
    if techniques := words(case, "techniques"):
        lines.append(f"techniques: {one_line(', '.join(techniques), 300)}")
    evidence = items(case, "evidence")
    if evidence:
        lines += ["evidence:", *(f"  {_evidence(e)}" for e in evidence[:MOST]), *_more(evidence)]
    if actions := items(case, "actions"):
        lines += ["actions:", *(f"  {_action(a)}" for a in actions[:MOST]), *_more(actions)]
    lines += [f"note: {one_line(note, 300)}" for note in words(case, "notes")]
    return "\n".join(lines)


def incident_text(incident: Json) -> str:
    """An incident in a few lines: what it is, its entities and facts."""
    facts, entities = items(incident, "facts"), items(incident, "entities")
    lines = [
        one_line(incident.get("title"), 300),
        one_line(f"{incident.get('source', '')}  {incident.get('native_id', '')}  {incident.get('id', '')}  {when(incident.get('observed_at'))}", 400),
        f"{len(entities)} entities:",
        *(f"  {fit(e.get('kind'), 14):14} {fit(e.get('role'), 9):9} {fit(e.get('value'), _LINE - 24)}" for e in entities[:40]),
        f"{len(facts)} facts:",
        *(f"  {fit(f.get('id'), 5):5} {fit(f.get('path'), 40):40} {fit(f.get('value'), _LINE - 46)}" for f in facts[:60]),
    ]  # fmt: skip
    return "\n".join(lines)


def evidence_text(evidence: Iterable[Json]) -> str:
    """Evidence, a line each."""
    return "\n".join(_evidence(e) for e in evidence) or "no evidence"


def actions_text(actions: Iterable[Json]) -> str:
    """Actions, a line each."""
    return "\n".join(_action(a) for a in actions) or "no action"


def ledger_text(entries: Iterable[Json]) -> str:
    """Ledger entries, a line each."""
    return "\n".join(
        f"{fit(e.get('seq'), 6):>6} {fit(when(e.get('at')), 20):20} {fit(e.get('kind'), 22):22} {fit(e.get('incident_id'), 24):24} {fit(e.get('hash'), 12)}"
        for e in entries
    )  # fmt: skip


def verification_text(found: Json) -> str:
    """A ledger that was found whole, in one line."""
    signed = f"{found.get('signed')} signed" if found.get("keys") else "signatures not checked"
    return cut(f"ledger whole: {found.get('entries')} entries, {signed}, head {found.get('head')}", 300)


def answer_text(answer: Json) -> str:
    """A what-if or a replay: the verdict before and after."""
    before, after = child(answer, "before"), child(answer, "after")
    lines = [
        f"{verdict_of(before)[0]} {percent(before.get('confidence'))} -> {verdict_of(after)[0]} {percent(after.get('confidence'))}",
        *(f"  {fit(c.get('path'), 40)}: {fit(c.get('before'), 40)} -> {'(left out)' if c.get('after') is None else fit(c.get('after'), 40)}" for c in items(answer, "changes")),
        *(f"  {fit(a.get('action'), 20)} {fit(child(a, 'target').get('value'), 40)}: {fit(a.get('before') or 'not proposed', 20)} -> {fit(a.get('after') or 'not proposed', 20)}" for a in items(answer, "actions")),
    ]  # fmt: skip
    return "\n".join(lines)


def _more(every: Sequence[Json]) -> list[str]:
    return [f"  and {len(every) - MOST} more"] if len(every) > MOST else []


def _evidence(e: Json) -> str:
    if e.get("kind") == "passage":
        return f"{number(e.get('score')):5.2f} {fit(e.get('id'), 12)} ({fit(e.get('source'), 12)}) {fit(e.get('title'), 70)}"  # fmt: skip
    weight = number(e.get("weight"), -1, 1)
    return f"{weight:+5.2f} {fit(e.get('id'), 6)} {fit(e.get('path'), 36)} = {fit(e.get('value'), 60)} [{fit(e.get('trust'), 12)}]"  # fmt: skip


def _action(a: Json) -> str:
    target = child(a, "target")
    return f"{outcome_of(a)[0]}: {fit(a.get('action'), 22)} {fit(target.get('value'), 50)}  {fit(a.get('rule'), 30)}  {fit(a.get('action_id'), 24)}"  # fmt: skip
