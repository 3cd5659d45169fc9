"""Many things at once: the queue of incidents, what waits for a person, the ledger and whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterable

from aegis_agents.display.shown import Markup, el, join, text
from aegis_agents.display.tables import badge, table, time_cell
from aegis_agents.display.words import Json, child, items, number, percent, verdict_of, when

MOST = 500
"""Rows of one list on a page."""


def queue_html(rows: Iterable[Json]) -> str:
    """Incidents, one row each: verdict, confidence, severity, title, product, how many actions wait."""
    every = list(rows)
    made = []
    for row in every[:MOST]:
        name, sign, tone = verdict_of(row)
        waiting = int(number(row.get("waiting"), high=1e6))
        made.append([
            el("td", badge(f"{sign} {name}", tone), class_="aegis-tight"),
            el("td", percent(row.get("confidence")), class_="aegis-num"),
            el("td", row.get("severity"), class_="aegis-tight"),
            el("td", row.get("title"), el("div", row.get("incident_id"), class_="aegis-sub")),
            el("td", row.get("source"), class_="aegis-tight"),
            el("td", badge(f"{waiting} wait" + "s" * (waiting == 1), "open") if waiting else "", class_="aegis-tight"),
            time_cell(row.get("at")),
        ])  # fmt: skip
    heads = ("Verdict", "Probability", "Severity", "Incident", "Product", "Approvals", "At")
    return table(heads, made, "No incident is here yet.", _more(len(every)))


def approvals_html(rows: Iterable[Json]) -> str:
    """What waits for a person (`GET /v1/approvals`): action and target, why it waits, why it is proposed, what it cites."""
    every = list(rows)
    made = []
    for row in every[:MOST]:
        target = child(row, "target")
        undo = row.get("undo")
        cites = [
            el("div", el("span", c.get("id"), class_="aegis-cite"), " ", text(c.get("text"), 300), class_="aegis-sub")
            for c in items(row, "cites")[:12]
        ]
        given = [str(child(a, "by").get("name") or a.get("by", "")) for a in items(row, "approvals")]
        undo_said = f"undo: {undo}" if undo else "can't be undone"
        made.append([
            el("td", row.get("action"), _sub(undo_said), _sub(row.get("action_id")), class_="aegis-tight"),
            el("td", el("span", target.get("value"), class_="aegis-value"), _sub(target.get("kind"))),
            el("td", row.get("reason"), *([el("details", el("summary", f"rests on {len(cites)} facts"), *cites)] if cites else []), class_="aegis-wide"),
            el("td", row.get("why_waiting"), _sub(row.get("rule")), *(_sub(f"approved by {g}") for g in given)),
            el("td", row.get("title"), _sub(row.get("incident_id")), _sub(when(row.get("asked_at")))),
        ])  # fmt: skip
    heads = ("Action", "Target", "Why it is proposed", "Why it waits", "Incident, asked at")
    return table(heads, made, "Nothing waits for a person.", _more(len(every)))


def ledger_html(entries: Iterable[Json]) -> str:
    """Entries of the ledger in their order: number, time, kind, incident, what they say, and their hash."""
    every = list(entries)
    made = []
    for entry in every[:MOST]:
        body = entry.get("body")
        said = "removed by retention" if body is None else json.dumps(body, ensure_ascii=False, sort_keys=True, default=str)  # fmt: skip
        made.append([
            el("td", str(entry.get("seq", "")), class_="aegis-num"),
            time_cell(entry.get("at")),
            el("td", entry.get("kind"), class_="aegis-tight"),
            el("td", entry.get("incident_id") or "", class_="aegis-id-cell"),
            el("td", el("details", el("summary", _gist(entry)), el("div", said, class_="aegis-value"))),
            el("td", str(entry.get("hash") or "")[:12], class_="aegis-id-cell"),
        ])  # fmt: skip
    heads = ("No.", "At", "Kind", "Incident", "What it says", "Hash")
    return table(heads, made, "The ledger is empty.", _more(len(every)))


def verification_html(found: Json) -> str:
    """A ledger that was found whole: how many entries, its head, how many of them are signed."""
    entries, signed = int(number(found.get("entries"), high=1e12)), int(number(found.get("signed"), high=1e12))
    lines = [
        el("p", el("span", "✓ The ledger is whole", class_="aegis-ok"), f": {entries:,} entries."),
        el("p", "head ", el("span", found.get("head"), class_="aegis-value"), class_="aegis-about"),
        el("p", f"{int(number(found.get('checkpoints'), high=1e12)):,} signed checkpoints cover the first {signed:,} entries; "
                f"{entries - signed:,} come after them." if found.get("keys") else
                "Signatures were not checked: no public key is known.", class_="aegis-about"),
    ]  # fmt: skip
    if found.get("removed"):
        lines.append(el("p", f"The bodies of {found['removed']} entries were removed by retention, and that is proven.", class_="aegis-about"))  # fmt: skip
    return str(join(lines))


def _sub(said: object) -> Markup:
    return el("div", said, class_="aegis-sub")


def _gist(entry: Json) -> str:
    """The few words of a body that say most; the whole body stands below."""
    body = child(entry, "body")
    decision, proposal = child(body, "decision"), child(body, "proposal")
    if decision:
        target = child(proposal, "target")
        return f"{proposal.get('action', '')} {target.get('value', '')}: {decision.get('verb', '')} ({decision.get('rule', '')})"  # fmt: skip
    said = [
        f"{k} {body[k]}"
        for k in (
            "method",
            "route",
            "status",
            "source",
            "native_id",
            "action_id",
            "outcome",
            "verdict",
            "by",
            "reason",
            "answer",
        )
        if body.get(k)
    ]
    return ", ".join(said)[:200] or "…"


def _more(count: int) -> str:
    return f"{count - MOST} more are not shown." if count > MOST else ""
