"""A case and an incident, whole: what a notebook, the console and a SOAR page show."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aegis_agents.display.entities import entities_svg
from aegis_agents.display.evidence import evidence_svg
from aegis_agents.display.probabilities import probabilities_svg
from aegis_agents.display.shown import Markup, el, join, text
from aegis_agents.display.steps import steps_svg
from aegis_agents.display.tables import actions_html, badge, entities_html, evidence_html, facts_html, passages_html
from aegis_agents.display.techniques import techniques_svg
from aegis_agents.display.timeline import timeline_svg
from aegis_agents.display.words import MEANING, Json, child, items, number, percent, verdict_of, when, words

_CITES = re.compile(r"\[([\w.:-]+(?:, [\w.:-]+)*)\](?=\s|$)")
MOST_SUMMARY, MOST_NOTES = 20_000, 20


def case_html(case: Json, incident: Json | None = None) -> str:
    """The whole case: verdict, rationale with its citations, what is proposed, and every picture, in foldable parts.

    `incident` (else `case["incident"]`, where it is there) adds timeline, entities and all facts.
    """
    incident = incident or child(case, "incident") or None
    evidence = items(case, "evidence")
    passages = [e for e in evidence if e.get("kind") == "passage"]
    facts, actions = len(evidence) - len(passages), items(case, "actions")
    parts = [_head(case), _drawn(probabilities_svg(case)), Markup(summary_html(case)), *_notes(case)]
    parts += [
        _fold("Actions", len(actions), [actions_html(case)], opened=True),
        _fold("Evidence", facts, [_drawn(evidence_svg(case)), _fold("As a table", None, [evidence_html(case)])], opened=True),
        _fold("Steps", None, [_drawn(steps_svg(case))]),
    ]  # fmt: skip
    if incident is not None:
        parts += [
            _fold("Timeline", None, [_drawn(timeline_svg(incident))]),
            _fold("Entities", _named(items(incident, "entities")), [_drawn(entities_svg(incident, case))]),
        ]
    parts += [
        _fold("ATT&CK techniques", len(words(case, "techniques")), [_drawn(techniques_svg(case))]),
        _fold("Intelligence", len(passages), [passages_html(case)]),
    ]
    if incident is not None:
        parts.append(_fold("All facts", len(items(incident, "facts")), [facts_html(items(incident, "facts"))]))
    parts.append(_fold("Versions", None, [_pairs(child(case, "versions"))]))
    return str(el("article", *parts, class_="aegis-case"))


def incident_html(incident: Json) -> str:
    """An incident as it was read: what the product claims, timeline, entities, every fact with who could have written it."""
    about = join([
        el("span", incident.get("source"), class_="aegis-badge"), " ",
        el("span", f"{incident.get('id', '')} · {incident.get('native_id', '')} · {when(incident.get('observed_at'))}"),
    ])  # fmt: skip
    claim = {k: v for k, v in child(incident, "claim").items() if v}
    entities, facts = items(incident, "entities"), items(incident, "facts")
    parts = [
        el("div", about, class_="aegis-about"),
        el("h3", incident.get("title"), class_="aegis-title"),
        *_notes(incident),
        _fold("What the product claims (it decides nothing)", len(claim), [_pairs(claim)]),
        _fold("Timeline", None, [_drawn(timeline_svg(incident))], opened=True),
        _fold("Entities", _named(entities), [_drawn(entities_svg(incident)), _fold("As a table", None, [entities_html(entities)])], opened=True),
        _fold("Facts", len(facts), [facts_html(facts)], opened=len(facts) <= 60),
    ]  # fmt: skip
    return str(el("article", *parts, class_="aegis-case"))


def summary_html(case: Json) -> str:
    """The rationale. Ids in brackets at the end of a sentence are marked where the case really holds that evidence."""
    known = {str(e.get("id")): e for e in items(case, "evidence")}
    summary = str(case.get("summary") or "")
    parts: list[object] = []
    last = 0
    for match in _CITES.finditer(summary[:MOST_SUMMARY]):
        cites = match.group(1).split(", ")
        # What an alert said stands in “ ”; brackets in there are the alert's own and cite nothing.
        quoted = summary.count("“", 0, match.start()) > summary.count("”", 0, match.start())
        if quoted or not all(c in known for c in cites):
            continue
        parts.append(text(summary[last : match.start()], MOST_SUMMARY))
        parts += [join([el("span", c, class_="aegis-cite", title=_cited(known[c])), " "]) for c in cites]
        last = match.end()
    parts.append(text(summary[last:], MOST_SUMMARY))
    return str(el("p", *parts, class_="aegis-said"))


def _cited(evidence: Json) -> Markup:
    if evidence.get("kind") == "passage":
        return text(f"{evidence.get('source', '')}: {evidence.get('title', '')}", 300)
    return text(f"{evidence.get('path', '')} = {evidence.get('value', '')}", 300)


def _head(case: Json) -> Markup:
    name, sign, tone = verdict_of(case)
    severity = str(case.get("severity", ""))
    sure = number(case.get("confidence")) >= 0.5
    ids = f"{case.get('source', '')} · {case.get('native_id', '')} · {case.get('incident_id', '')} · {number(case.get('timing_ms'), high=1e9):,.0f} ms"  # fmt: skip
    copies = number(case.get("copies"), high=1e12)
    line = [
        badge(f"{sign} {name}", tone),
        el(
            "span",
            f"{percent(case.get('confidence'))}: {MEANING.get(str(case.get('verdict')), '')}{'' if sure else ', and that is not sure'}",
        ),
        badge(f"severity {severity}", "attack" if severity in ("high", "critical") else "plain"),
        *([badge(f"{copies:,.0f} alerts alike", "plain")] if copies > 1 else []),
    ]
    return join([
        el("div", *line, class_="aegis-line1"),
        el("h3", case.get("title"), class_="aegis-title"),
        el("div", ids, class_="aegis-about"),
    ])  # fmt: skip


def _notes(record: Json) -> list[Markup]:
    notes = words(record, "notes")
    more = [f"{len(notes) - MOST_NOTES} more notes are not shown."] if len(notes) > MOST_NOTES else []
    return [el("p", said, class_="aegis-about") for said in [*(f"Note: {n}" for n in notes[:MOST_NOTES]), *more]]


def _named(entities: list[Json]) -> int:
    """How many the picture draws: the alert itself is in its middle."""
    return sum(e.get("kind") != "alert" for e in entities)


def _fold(name: str, count: int | None, parts: Iterable[str], *, opened: bool = False) -> Markup:
    counted = () if count is None else (" ", el("span", str(count), class_="aegis-count"))
    inside = el("div", *map(Markup, parts), class_="aegis-inside")
    return el("details", el("summary", name, *counted), inside, open=True if opened else None)


def _drawn(picture: str) -> Markup:
    return el("div", Markup(picture), class_="aegis-scroll")


def _pairs(pairs: Json) -> str:
    rows = [el("tr", el("th", k, scope="row"), el("td", _flat(v), class_="aegis-value")) for k, v in pairs.items()]
    return str(el("table", el("tbody", *rows), class_="aegis-table")) if rows else str(el("p", "Nothing.", class_="aegis-about"))  # fmt: skip


def _flat(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
