"""Answers about intelligence: what something is, how it is contained, who uses it, who reports it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from aegis_agents.assistant.attack_links import attack_links
from aegis_agents.assistant.excerpts import sentences
from aegis_agents.assistant.found import Asked, Found, cite_case, cite_passage, counted, shown_entity
from aegis_agents.assistant.names import Subject
from aegis_agents.assistant.reading import Desk, shown
from aegis_agents.assistant.shelf import Named
from aegis_agents.records import CATALOGUE, Passage
from aegis_agents.records.action import ActionName

_LABEL = re.compile(r"(?:Tactics?|Platforms?|Also known as|Aliases|Data sources?): ", re.I)
"""How a list begins that a passage carries: it answers no question in words."""
LIKE_ENOUGH = 0.42
"""Cosine from which a passage answers a question in words; below it nothing is said. Chosen on the develop questions."""
_MOST_IDS, _EXCERPT = 12, 700
_CUT = re.compile(r"^(?:please |so )*(?:how (?:do|does|is|are|can|could|would|should) (?:we|i|you|one|an? |the )?|what (?:is|are|does|do) |which |find |search |look for |tell me about |explain |any |the intel for )+", re.I)  # fmt: skip


def _subjects(asked: Asked) -> list[Subject]:
    """What the question names; else what was last spoken of."""
    named = [Subject("kev", cve) for cve in asked.mentions.cves] + list(asked.mentions.subjects)
    return named or ([asked.memory.subject] if asked.memory.subject else [])


def _passage(desk: Desk, subject: Subject) -> Passage | None:
    if desk.intel is None:
        return None
    if subject.corpus == "technique":
        return desk.intel.technique(subject.id)
    if subject.corpus == "kev":
        return desk.intel.cve(subject.id)
    found = [p for p in desk.intel.lookup(subject.id) if p.source == subject.corpus and p.id == subject.id]
    return found[0] if found else None


def _define(asked: Asked, desk: Desk, found: Found) -> None:
    named = [n for n in CATALOGUE if re.search(rf"\b{n}\b", asked.question)]
    for name in named:
        _action(desk, name, found)
    subjects = [] if named else _subjects(asked)
    for subject in subjects:
        if subject.corpus == "kev":
            _cve(desk, subject.id, found)
            continue
        passage = _passage(desk, subject)
        found.looked(subject.corpus)
        if passage is None:
            found.tell(f"{shown(subject.id, 40)} is no {subject.corpus} of the snapshot in use.")
            continue
        if passage.id != subject.id:
            found.say(f"{subject.id} is {passage.id} in the release in use.", cite_passage(passage))
        found.say(f"{passage.id} is {shown(passage.title)}.", cite_passage(passage))
        for text in sentences(passage)[:3]:
            found.say(shown(text, _EXCERPT), cite_passage(passage))
        _caution(passage, found)
    _keep(found, subjects)
    if not named and not subjects:
        _find(asked, desk, found)


def _action(desk: Desk, name: ActionName, found: Found) -> None:
    spec = CATALOGUE[name]
    found.looked("catalogue of actions")
    passages = desk.intel.lookup(spec.react, ("action",)) if desk.intel else []
    real = [p for p in passages if p.id == name]
    back = f"it can be undone by {spec.undo}" if spec.undo else "it can't be undone"
    if real:
        found.say(f"{name}: {spec.about} It is of effect {spec.effect}; {back}.", cite_passage(real[0]))


def _cve(desk: Desk, cve: str, found: Found) -> None:
    said = _tool(desk, "explain_cve", {"cve": cve}, found)
    for passage in said[1]:
        for text in sentences(passage)[:3]:
            found.say(shown(text, _EXCERPT), cite_passage(passage))
    if note := said[0].get("note"):
        told = shown(str(note), _EXCERPT)
        found.tell(f"{told[:1].upper()}{told[1:]}.")


def _contain(asked: Asked, desk: Desk, found: Found) -> None:
    subjects = _subjects(asked)
    asked_of = asked.question
    for subject in subjects:
        passage = _passage(desk, subject)
        found.looked(subject.corpus)
        if subject.corpus == "kev":
            _cve(desk, subject.id, found)
            asked_of = f"exploitation of a vulnerability in {passage.title.partition(': ')[2]}" if passage else asked_of
        elif passage is None:
            found.tell(f"{shown(subject.id, 40)} is no {subject.corpus} of the snapshot in use.")
        else:
            asked_of = f"{passage.title}. {asked.question}"
            _mitigations(desk, passage, found)
    if subjects and not found.sentences:
        return
    _responses(desk, asked_of, subjects, found)
    _keep(found, subjects)


def _mitigations(desk: Desk, passage: Passage, found: Found) -> None:
    links = attack_links()
    found.looked(f"mitigations of ATT&CK {links.release}")
    ids = links.mitigated_by.get(passage.id, ())
    for one in ids[:5]:
        mitigation = _passage(desk, Subject("mitigation", one))
        if mitigation is not None:
            text = next(iter(sentences(mitigation)[1:2]), "")
            found.say(
                shown(f"{one} {mitigation.title} mitigates {passage.id}: {text}".rstrip(": "), _EXCERPT),
                cite_passage(mitigation), cite_passage(passage),
            )  # fmt: skip
    if not ids and passage.source == "technique":
        found.tell(f"ATT&CK {links.release} lists no mitigation of {passage.id}.", cite_passage(passage))


def _responses(desk: Desk, text: str, subjects: list[Subject], found: Found) -> None:
    """What the look-ups hold on responding: own playbooks and documents first, then response actions that fit."""
    text = text[:4000]
    said = 0
    for tool, least in (("find_playbook", LIKE_ENOUGH), ("find_response_actions", 0.30)):
        for passage in _tool(desk, tool, {"text": text, "k": 3}, found)[1]:
            if passage.score >= least and said < 4:
                lead = f"Response action {passage.id}: " if passage.source == "action" else f"{shown(passage.title)}: "
                found.say(shown(lead + " ".join(sentences(passage)[:2]), _EXCERPT), cite_passage(passage))
                said += 1
    if subjects and not said:
        found.tell("No playbook, document or response action that is loaded speaks of containing it.")


def _uses(asked: Asked, desk: Desk, found: Found) -> None:
    subjects = [s for s in _subjects(asked) if s.corpus in ("group", "software")]
    links = attack_links()
    found.looked(f"relationships of ATT&CK {links.release}")
    software = bool(re.search(r"\b(?:software|malware|tools?)\b", asked.question, re.I))
    for subject in subjects:
        passage = _passage(desk, subject)
        ids = [i for i in links.uses.get(subject.id, ()) if i.startswith("S" if software else "T")]
        _list(desk, passage, subject, ids, f"uses {{}} {'software' if software else 'techniques'}", found)
    _keep(found, subjects)
    if not subjects:
        found.tell("It is not clear which group or software is meant: none that ATT&CK knows is named.")


def _used_by(asked: Asked, desk: Desk, found: Found) -> None:
    subjects = [s for s in _subjects(asked) if s.corpus in ("technique", "software")]
    links = attack_links()
    found.looked(f"relationships of ATT&CK {links.release}")
    malware = bool(re.search(r"\b(?:malware|software|tools)\b", asked.question, re.I))
    for subject in subjects:
        passage = _passage(desk, subject)
        wanted = "S" if malware and subject.corpus == "technique" else "G"
        key = passage.id if passage else subject.id
        ids = [i for i in links.used_by.get(key, ()) if i.startswith(wanted)]
        _list(
            desk, passage, subject, ids, f"is used by {{}} {'kinds of software' if wanted == 'S' else 'groups'}", found
        )
    _keep(found, subjects)
    if not subjects:
        found.tell("It is not clear which technique or software is meant: none that ATT&CK knows is named.")


def _list(desk: Desk, passage: Passage | None, subject: Subject, ids: list[str], what: str, found: Found) -> None:
    """One sentence with the number and the first of a list, each cited by its own passage."""
    if passage is None:
        found.tell(f"{shown(subject.id, 40)} is no {subject.corpus} of the snapshot in use.")
        return
    corpora = {"T": "technique", "S": "software", "G": "group"}
    known = [p for i in ids if (p := _passage(desk, Subject(corpora[i[0]], i))) is not None]
    release = attack_links().release
    told = ", ".join(f"{p.id} {shown(p.title, 80)}" for p in known[:_MOST_IDS])
    more = f" and {len(known) - _MOST_IDS} more" if len(known) > _MOST_IDS else ""
    count = what.format(len(known))
    found.say(
        f"{shown(passage.title)} ({passage.id}) {count} in ATT&CK {release}{': ' if known else ''}{told}{more}.",
        cite_passage(passage), *map(cite_passage, known[:_MOST_IDS]),
    )  # fmt: skip


def _indicator(asked: Asked, desk: Desk, found: Found) -> None:
    for entity in asked.mentions.indicators[:5] or _of_case(asked, desk):
        said, passages = _tool(desk, "lookup_indicator", {"value": entity.value}, found)
        cites = [cite_passage(p) for p in passages]
        cards = [c for c in desk.shelf.cards() if entity in c.entities]
        note = shown(str(said.get("note", "nothing is known of it")), _EXCERPT)
        if said.get("status") == "unknown":
            found.answered = True  # that nobody reports it is an answer
            found.tell(f"{shown_entity(entity)} is unknown: {note}.")
        else:
            found.say(
                f"{shown_entity(entity)} is {shown(str(said.get('status', 'not readable')), 40)}: {note}.", *cites
            )
        for warning in said.get("warnings", ()):
            found.say(f"Warning: {shown(str(warning))}.", *cites)
        for source in list(said.get("sources", ()))[:3]:
            found.say(
                f"{shown(str(source['owner']), 80)} (feed {shown(str(source['feed']), 60)}, trust {source['trust']:g}) "
                f"says: {shown(str(source['title']), 200)}.", *cites,
            )  # fmt: skip
        found.looked("incidents on the shelf")
        if cards:
            found.say(
                f"{counted(cards, 'incident')} here {'names' if len(cards) == 1 else 'name'} it, the newest {cards[0].incident_id}.",
                cite_case(cards[0]),
            )
    if not found.sentences:
        found.tell("The question names no address, domain, URL or hash to look up.")


def _of_case(asked: Asked, desk: Desk) -> list[Named]:
    """The addresses, domains or hashes of the case that a conversation is about, of the kind that was asked about."""
    case = desk.store.case(asked.memory.incident_id) if asked.memory.incident_id else None
    entities = case.incident.entities if case and case.incident else ()
    wanted = set(asked.mentions.kinds) & {"ip", "domain", "url", "hash"}
    return [Named(e.kind, e.value) for e in entities if e.kind in wanted][:3]


def _find(asked: Asked, desk: Desk, found: Found) -> None:
    """The sentences of passages that answer a question in words best, exactly as they stand there."""
    query = _CUT.sub("", asked.question).strip(" ?.!")[:4000] or asked.question[:4000]
    rules = bool(re.search(r"\b(?:sigma|rules?)\b", asked.question, re.I))
    own = bool(re.search(r"\b(?:documents?|runbooks?|reports?|our own)\b", asked.question, re.I))
    tools = (
        ["find_rules"]
        if rules
        else ["search_documents", "find_playbook"]
        if own
        else ["search_techniques", "search_documents"]
    )
    passages = [p for tool in tools for p in _tool(desk, tool, {"text": query, "k": 3}, found)[1]]
    near = [p for p in sorted(passages, key=lambda p: -p.score) if p.score >= LIKE_ENOUGH][:3]
    for passage in near:
        texts = [t for t in sentences(passage) if not _LABEL.match(t)] or sentences(passage)
        vectors = desk.model.embed([query, *texts])
        best = texts[int((vectors[1:] @ vectors[0]).argmax())]
        found.say(shown(f"{passage.id} {passage.title}: {best}", _EXCERPT), cite_passage(passage))
        _caution(passage, found)
    if near:
        _keep(found, [Subject(near[0].source, near[0].id)])


def _caution(passage: Passage, found: Found) -> None:
    if passage.trust < 0.5:
        found.tell(
            f"The source of {shown(passage.id, 80)} is trusted little ({passage.trust:g}).", cite_passage(passage)
        )


def _keep(found: Found, subjects: list[Subject]) -> None:
    if subjects:
        found.memory = found.memory._replace(subject=subjects[0])


def _tool(desk: Desk, name: str, arguments: dict[str, Any], found: Found) -> tuple[dict[str, Any], list[Passage]]:
    """What one of the look-ups answers: its JSON, and the passages behind it."""
    found.looked(name)
    tool = next((t for t in desk.tools if t.name == name), None)
    if tool is None:
        return {}, []
    call = {"name": name, "args": arguments, "id": "assistant", "type": "tool_call"}
    message = tool.invoke(call)
    return json.loads(message.content), list(message.artifact or [])


INTEL: Mapping[str, Callable[[Asked, Desk, Found], None]] = MappingProxyType({
    "define": _define, "contain": _contain, "uses": _uses, "used_by": _used_by, "indicator": _indicator, "find": _find,
})  # fmt: skip
"""Intent → what answers it."""
