"""Answers about one case: its verdict, its evidence, what would have changed it, what it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from aegis_agents.assistant.about_actions import close_state, say_status, say_undo, say_who
from aegis_agents.assistant.found import VERDICT_TEXT, Asked, Found, cite_case, cite_fact, cite_passage, shown_entity
from aegis_agents.assistant.reading import Desk, at, shown
from aegis_agents.assistant.shelf import Named
from aegis_agents.assistant.turning import say_what_if
from aegis_agents.gate import find_signs
from aegis_agents.records import Case, FactEvidence, Incident, Passage

WROTE = MappingProxyType(
    {
        "external": "which anybody could have written",
        "product": "computed by the sensor",
        "organization": "from the organisation's own data",
    }
)
_CLOSE = re.compile(r"\bclos|\bdismiss", re.I)
_WAIT = re.compile(r"\bwait|\bask(?:ed)?\b|\brefus|\bisolat|\bblock|\bapprov", re.I)
_KIND_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"hosts?|machines?|computers?|servers?|devices?|systems?|endpoints?|hostname|laptops?", ("host", "resource", "pod")),
    (r"users?|accounts?|who|whose|identit\w+|logins?|people|persons?", ("user", "email")),
    (r"ips?|address(?:es)?", ("ip",)), (r"domains?", ("domain",)), (r"urls?|links?", ("url",)),
    (r"hash(?:es)?", ("hash",)), (r"files?", ("file", "hash")), (r"process(?:es)?", ("process",)),
    (r"mails?|e-?mails?|messages?", ("message", "email")), (r"keys?", ("access_key",)),
)  # fmt: skip


def _why(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    harmless = case.verdict in ("benign_positive", "false_positive")
    if harmless or _CLOSE.search(asked.question):
        close_state(desk, case, found)
    found.say(
        f"It was judged {VERDICT_TEXT[case.verdict]}, with a probability of {case.confidence:.2f} and severity "
        f"{case.severity}.", cite_case(case),
    )  # fmt: skip
    _facts(asked, desk, case, found)
    if _WAIT.search(asked.question):
        say_status(asked, desk, case, found, why=True)


def _facts(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    incident = _incident(case)
    found.looked("evidence of the case")
    facts = [e for e in case.evidence if isinstance(e, FactEvidence)]
    for item in facts:
        side = "for an attack" if item.weight > 0 else "against an attack"
        found.say(
            f"{shown(item.path, 80)} = “{shown(item.value)}” speaks {side} (weight {item.weight:+.2f}; "
            f"{WROTE[item.trust]}).", cite_fact(case.incident_id, incident.fact(item.id)),
        )  # fmt: skip
    for passage in (e for e in case.evidence if e.kind == "passage"):
        real = _passage(desk, passage.id)
        if real is not None:
            found.say(f"Intelligence used: {shown(real.id)} {shown(real.title)}.", cite_passage(real))
    if not facts:
        found.tell("The case keeps no fact that weighed on the verdict.", cite_case(case))


def _passage(desk: Desk, id: str) -> Passage | None:
    if desk.intel is None:
        return None
    return next((p for p in desk.intel.lookup(id) if p.id == id), None)


def _about(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    row = desk.store.intake(case.incident_id)
    when = f", taken in at {at(row.at)}" if row else ""
    observed = case.incident.observed_at if case.incident else None
    happened = f" The product dates it {at(observed)}." if observed and observed.tzinfo else ""
    found.say(f"“{shown(case.title)}” of {shown(case.source)}{when}.{happened}", cite_case(case))
    found.say(
        f"It was judged {VERDICT_TEXT[case.verdict]} ({case.confidence:.2f}), severity {case.severity}.",
        cite_case(case),
    )
    _entities(asked, desk, case, found, everything=True)
    for item in [e for e in case.evidence if isinstance(e, FactEvidence)][:2]:
        fact = _incident(case).fact(item.id)
        found.say(
            f"What weighed most: {shown(item.path, 80)} = “{shown(item.value)}”.", cite_fact(case.incident_id, fact)
        )
    say_status(asked, desk, case, found, short=True)


def _entities(asked: Asked, desk: Desk, case: Case, found: Found, *, everything: bool = False) -> None:
    incident = _incident(case)
    found.looked("entities of the incident")
    words = asked.question.lower()
    kinds = {k for pattern, ks in _KIND_WORDS if re.search(rf"\b(?:{pattern})\b", words) for k in ks}
    named = [e for e in incident.entities if e.kind != "alert"]
    chosen = named if everything or not kinds else [e for e in named if e.kind in kinds]
    facts = {f.id: f for f in incident.facts}
    for role in ("subject", "actor", "peer", "observed"):
        group = [e for e in chosen if e.role == role][:10]
        if group:
            cites = [cite_fact(case.incident_id, facts[e.facts[0]]) for e in group if e.facts and e.facts[0] in facts]
            told = ", ".join(shown_entity(Named(e.kind, e.value)) for e in group)
            found.say(f"As {role}: {told}.", *(cites or [cite_case(case)]))
    if not chosen:
        found.tell(f"The incident names no {' or '.join(sorted(kinds)) or 'entity'}.", cite_case(case))


def _techniques(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    found.looked("techniques of the case")
    for technique in case.techniques:
        passage = desk.intel.technique(technique) if desk.intel else None
        if passage is None:
            found.say(f"{technique} was named for it.", cite_case(case))
        else:
            found.say(f"{technique} {shown(passage.title)} was named for it.", cite_passage(passage), cite_case(case))
    if not case.techniques:
        found.say(
            f"No technique was named: only what is or may be an attack has some, and this was judged {VERDICT_TEXT[case.verdict]}.",
            cite_case(case),
        )


def _similar(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    found.looked("confirmed cases")
    similar = []
    if desk.intel is not None:
        vector = desk.model.embed_incident(_incident(case))
        similar = desk.intel.similar_cases(vector, k=3, exclude_key=case.incident_id)
    for one in similar:
        found.say(
            f"{one.case_id} “{shown(one.title)}”, confirmed as {VERDICT_TEXT[one.verdict]}, is alike by "
            f"{one.similarity:.2f} (cosine).", cite_passage(one.passage()),
        )  # fmt: skip
    if not similar:
        found.tell("No case that a person confirmed is there to compare with.", cite_case(case))


def _sure(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    shares = ", ".join(f"{VERDICT_TEXT[v]} {p:.2f}" for v, p in sorted(case.probabilities.items(), key=lambda x: -x[1]))
    found.say(f"The calibrated probabilities are: {shares}.", cite_case(case))


def _tampering(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    incident = _incident(case)
    found.looked("signs of injection in every fact")
    odd = [(f, find_signs(f.value)) for f in incident.facts if not f.derived]
    for fact, signs in [(f, s) for f, s in odd if s][:5]:
        told = ", ".join(dict.fromkeys(sign.intent for sign in signs))
        found.say(
            f"{shown(fact.path, 80)} looks like {told}: “{shown(fact.value)}”. It was read as data.",
            cite_fact(case.incident_id, fact),
        )
    if not any(s for _, s in odd):
        found.say(f"None of its {len(odd)} facts shows a sign of an injection.", cite_case(case))
    outside = [f for f in incident.facts if f.trust == "external" and not f.derived]
    if outside:
        paths = ", ".join(shown(f.path, 60) for f in outside[:8])
        more = f" and {len(outside) - 8} more" if len(outside) > 8 else ""
        found.say(
            f"Anybody, an attacker included, could have written {len(outside)} of them: {paths}{more}.",
            *(cite_fact(case.incident_id, f) for f in outside[:8]),
        )


def _versions(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    told = ", ".join(f"{name} {shown(version, 60)}" for name, version in sorted(case.versions.items()))
    found.say(f"It was decided with: {told}.", cite_case(case))


def _incident(case: Case) -> Incident:
    if case.incident is None:
        raise ValueError(f"case {case.incident_id} has no incident")  # the store answers none without
    return case.incident


ABOUT: Mapping[str, Callable[[Asked, Desk, Case, Found], None]] = MappingProxyType({
    "why": _why, "facts": _facts, "what_if": say_what_if, "who": say_who, "undo": say_undo, "status": say_status,
    "about": _about, "entities": _entities, "techniques": _techniques, "similar": _similar, "sure": _sure,
    "tampering": _tampering, "versions": _versions,
})  # fmt: skip
"""Intent → what answers it."""
