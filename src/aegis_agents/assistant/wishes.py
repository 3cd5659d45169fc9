"""What a question asks to be done, and what it asks to be decided. Nothing is done here: a wish becomes a proposal."""

from __future__ import annotations

import re

from aegis_agents.assistant.about_actions import STATE_TEXT
from aegis_agents.assistant.doing import actions_in
from aegis_agents.assistant.focus import entities_named
from aegis_agents.assistant.found import Asked, Found, cite_action, cite_case, cite_fact, named_action, shown_entity
from aegis_agents.assistant.proposing import live_row
from aegis_agents.assistant.reading import Desk, flat, shown
from aegis_agents.assistant.records import Proposal
from aegis_agents.assistant.shelf import Named
from aegis_agents.errors import InputError
from aegis_agents.records import CATALOGUE, ActionName, Case, Entity, EntityKind, Incident, Target

_VERB = {
    "execute": "the gate would let it run, and as your wish it waits for an approver",
    "ask": "it would wait for an approver", "recommend": "the gate would only recommend it", "refuse": "the gate would refuse it",
}  # fmt: skip
_UNDO = re.compile(
    r"\bund(?:o|oing)\b|\broll\w* (?:\w+ ){0,2}back\b|\brevert|\btake\b.*\bback\b|\bunblock|\breleas|\blift\b|\benable|\breopen",
    re.I,
)
_DENY = re.compile(r"\bden(?:y|ied)|\breject|\brefuse|\bdecline|^no\b", re.I)
_CONFIRM = re.compile(r"\bconfirm\b|\bmark\b", re.I)
_KEEP = re.compile(r"\bkeep\b", re.I)


def say_wish(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    """Answer a wish with a proposal: action, target, what the gate says now, and the way back."""
    incident = case.incident
    names = actions_in(asked.question, _kinds(asked))
    if incident is None or not names:
        found.tell("It is not clear which action is meant. It could be: " + ", ".join(CATALOGUE) + ".")
        return
    found.looked("entities of the incident", "catalogue of actions")
    targets = _targets(asked, incident, names, found)
    if targets is None:
        return
    if len(targets) > 1:
        told = "; ".join(f"{name} on {shown_entity(Named(e.kind, e.value))}" for name, e in targets[:10])
        found.tell(f"Which one is meant? {told}.", cite_case(case))
        return
    name, entity = targets[0]
    _propose(desk, case, incident, name, entity, found)


def _propose(desk: Desk, case: Case, incident: Incident, name: ActionName, entity: Entity, found: Found) -> None:
    target, spec = Target(kind=entity.kind, value=entity.value), CATALOGUE[name]
    row = live_row(desk.store.actions(incident.id), name, target)
    if row is not None:
        told = (
            f"waits for approval already (aegis approve {row.action_id})"
            if row.state == "awaiting"
            else f"{STATE_TEXT[row.state]} already"
        )
        found.say(f"{named_action(row)} {told}. Nothing was done now.", cite_action(row))
        found.memory = found.memory._replace(actions=(row.action_id,))
        return
    facts = {f.id: f for f in incident.facts}
    cites = [cite_fact(incident.id, facts[f]) for f in entity.facts[:3] if f in facts] or [cite_case(case)]
    back = f"It can be undone by {spec.undo}." if spec.undo else "It can't be undone."
    try:
        decision = desk.dry(incident.id, name, target)
    except InputError as error:  # a shadow run's incident, or retention came in between
        found.tell(f"Nothing can be proposed here: {flat(str(error), 300)}.", cite_case(case))
        return
    found.say(f"Proposal: {name} on {shown_entity(Named(entity.kind, entity.value))}. {spec.about} {back}", *cites)
    found.proposals.append(
        Proposal(
            incident_id=incident.id, action=name, target=target, about=spec.about, undo=spec.undo, verb=decision.verb,
            rule=decision.rule, reason=decision.reason, cites=tuple(c.id for c in cites),
        )
    )  # fmt: skip
    found.say(f"Asked now, {_VERB[decision.verb]} ({decision.rule}: {shown(decision.reason)}).", cite_case(case))
    found.tell("Nothing was done and nothing is asked of anybody until you put this proposal forward.")


def _kinds(asked: Asked) -> tuple[EntityKind, ...]:
    return tuple(dict.fromkeys([*(e.kind for e in entities_named(asked)), *asked.mentions.kinds]))


def _targets(
    asked: Asked, incident: Incident, names: tuple[ActionName, ...], found: Found
) -> list[tuple[ActionName, Entity]] | None:
    """The pairs that may be meant: entities of the incident alone. None where that was said to be impossible."""
    named = entities_named(asked)
    here = [e for e in incident.entities if Named(e.kind, e.value) in named]
    strangers = [n for n in named if not incident.has_entity(n.kind, n.value)]
    if not here and (strangers or asked.mentions.unknown):
        stranger = shown_entity(strangers[0]) if strangers else shown(asked.mentions.unknown[0], 80)
        found.tell(f"{stranger} is no entity of {incident.id}: only what the incident itself names can be a target.")
        return None
    pool = here or [
        e for e in incident.entities if not asked.mentions.kinds or e.kind in asked.mentions.kinds or e.kind == "alert"
    ]
    pairs = [(name, e) for name in names for e in pool if e.kind in CATALOGUE[name].targets]
    if not pairs:
        pairs = [(name, e) for name in names for e in incident.entities if e.kind in CATALOGUE[name].targets]
    if not pairs:
        found.tell(f"The incident names nothing that {' or '.join(names)} could be done to.")
        return None
    first = [p for p in pairs if p[1].kind == CATALOGUE[p[0]].targets[0]] or pairs
    # A machine or account that is merely named is hardly meant; of addresses it may be either end.
    own = [p for p in first if p[1].kind in ("host", "user") and p[1].role in ("subject", "actor")]
    chosen = own or first
    return chosen if not here else pairs


def say_decide(asked: Asked, desk: Desk, case: Case | None, found: Found) -> None:
    """Approving, denying, taking back and confirming are a person's: how, and on what."""
    found.looked("journal of actions")
    question = asked.question
    states: tuple[str, ...]
    if _UNDO.search(question):
        verb, states = "undo", ("executed", "unconfirmed")
    elif _KEEP.search(question):
        verb, states = "keep", ("executed",)
    elif _CONFIRM.search(question) and case is not None:
        found.tell(
            f"A conversation confirms nothing. You can: aegis confirm {case.incident_id} VERDICT.", cite_case(case)
        )
        return
    else:
        verb, states = ("deny" if _DENY.search(question) else "approve"), ("awaiting",)
    rows = [desk.action(a) for a in asked.mentions.actions]
    if missing := [a for a, row in zip(asked.mentions.actions, rows, strict=True) if row is None]:
        found.tell(f"Nothing that is kept here has the id {' or '.join(missing[:4])}.")
    known = [row for row in rows if row is not None]
    if not known and case is not None:
        names = actions_in(question, asked.mentions.kinds)
        known = desk.store.actions(case.incident_id)
        known = [r for r in known if r.proposal.action in names] or ([] if names else known)
        if asked.memory.actions and not names:
            known = [r for r in known if r.action_id in asked.memory.actions] or known
    found.tell(
        f"A conversation approves, denies and takes back nothing: a person does, with `aegis {verb}`, in the console or over the API."
    )
    for row in [r for r in known if r.state in states][:10]:
        found.say(f"{named_action(row)} {STATE_TEXT[row.state]}: aegis {verb} {row.action_id}.", cite_action(row))
    for row in [r for r in known if r.state not in states and asked.mentions.actions][:10]:
        found.say(f"{named_action(row)} {STATE_TEXT[row.state]}: there is nothing to {verb}.", cite_action(row))
    if not any(r.state in states for r in known) and not asked.mentions.actions:
        found.tell(f"Nothing that is meant here is there to {verb}.", *([cite_case(case)] if case else []))
