"""Answers about a case's actions: what became of them, who answered them and when, whether there is a way back."""

from __future__ import annotations

from collections.abc import Iterable

from aegis_agents.assistant.doing import actions_in
from aegis_agents.assistant.focus import entities_named, strangers
from aegis_agents.assistant.found import (
    Asked,
    Found,
    cite_action,
    cite_case,
    cite_entry,
    entry_time,
    named_action,
    shown_entity,
)
from aegis_agents.assistant.reading import Desk, at, flat, shown
from aegis_agents.ledger import JournalRow, LedgerEntry
from aegis_agents.records import CATALOGUE, Case

ANSWERS = (
    "action.answered",
    "approval.endorsed",
    "action.undoing",
    "action.expiry",
    "verdict.confirmed",
    "action.asked",
)
STATE_TEXT = {
    "proposed": "is proposed and was not decided", "awaiting": "waits for approval", "approved": "is approved and was not begun",
    "denied": "was denied", "refused": "was refused", "recommended": "is recommended, for people to do",
    "would_execute": "would be done if this were live", "intent": "is under way", "executed": "was done and is in effect",
    "failed": "failed", "unconfirmed": "was begun, and nobody could confirm that it is in effect",
    "undoing": "is just being taken back", "undone": "was taken back", "expired": "lifted itself",
}  # fmt: skip
_DID = {"failed": "tried it", "intent": "began it", "unconfirmed": "began it"}
_MOST = 12


def meant(asked: Asked, desk: Desk, case: Case) -> list[JournalRow]:
    """The actions of a case that a question speaks of: by id, by what they do, or those spoken of just before."""
    rows = desk.store.actions(case.incident_id)
    if asked.mentions.actions:
        return [row for row in rows if row.action_id in asked.mentions.actions]
    names = actions_in(asked.question, asked.mentions.kinds)
    if chosen := [row for row in rows if row.proposal.action in names]:
        targets = {(e.kind, e.value) for e in (*asked.mentions.entities, *asked.mentions.indicators)}
        aimed = [row for row in chosen if (row.target.kind, row.target.value) in targets]
        # "isolating bob's machine" names no target of its own, "isolating WS-2" does: that of WS-1 is not meant.
        elsewhere = strangers(asked) or any(kind == row.target.kind for kind, _ in targets for row in chosen)
        return aimed or ([] if elsewhere else chosen)
    if names:
        return []
    if asked.memory.incident_id == case.incident_id and asked.memory.actions:
        return [row for row in rows if row.action_id in asked.memory.actions]
    return rows


def say_status(asked: Asked, desk: Desk, case: Case, found: Found, *, short: bool = False, why: bool = False) -> None:
    """What became of the actions; `short` says it in one sentence."""
    rows = desk.store.actions(case.incident_id) if short else meant(asked, desk, case)
    found.looked("journal of actions")
    if short:
        if rows:
            told = "; ".join(f"{row.proposal.action} {STATE_TEXT[row.state]}" for row in rows[:_MOST])
            found.say(f"Of its actions, {told}.", *map(cite_action, rows[:_MOST]))
        return
    for row in rows[:_MOST]:
        lifts = f" It lifts itself at {at(row.expires_at)}." if row.expires_at and row.state == "executed" else ""
        detail = f" ({shown(row.detail)})" if row.detail else ""
        rule = (
            f" The gate's rule: {row.decision.rule}, {shown(row.decision.reason)}."
            if why or row.state != "executed"
            else ""
        )
        found.say(f"{named_action(row)} {STATE_TEXT[row.state]}{detail}.{rule}{lifts}", cite_action(row))
    _remember(found, rows)
    _nothing(asked, case, found, rows)


def say_who(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    """Who answered, took back, kept or confirmed, and when, from the ledger; where nobody did, that."""
    rows = meant(asked, desk, case)
    ids = {row.action_id: row for row in rows}
    found.looked("ledger entries of the incident")
    entries = [
        e for e in desk.store.entries(incident_id=case.incident_id, limit=10_000) if e.kind in ANSWERS and e.body
    ]
    answered: set[str] = set()
    for entry in entries:
        body = entry.body or {}
        row = ids.get(str(body.get("action_id", "")))
        if row is not None:
            answered.add(row.action_id)
            found.say(_who(entry, row), cite_entry(entry), cite_action(row))
        elif entry.kind == "verdict.confirmed" and not asked.mentions.actions:
            found.say(
                f"{shown(str(body['by']), 80)} confirmed it as {body['verdict']} at {entry_time(entry)}.",
                cite_entry(entry),
            )
    for row in rows[:_MOST]:
        if row.action_id not in answered and row.state == "awaiting":
            found.say(
                f"Nobody has answered {named_action(row)} yet; it waits since {at(row.created_at)}.", cite_action(row)
            )
        elif row.action_id not in answered and row.state in ("executed", "failed", "unconfirmed", "intent"):
            told = f"{row.decision.rule}, {shown(row.decision.reason)}"
            found.say(
                f"Nobody was asked for {named_action(row)}: Aegis {_DID.get(row.state, 'did it')} by itself at {_begun(row)} ({told}).",
                cite_action(row),
            )
        elif row.action_id not in answered and row.state in ("refused", "recommended", "would_execute"):
            found.say(
                f"No person answered {named_action(row)}: the gate settled it ({row.decision.rule}).", cite_action(row)
            )
    _remember(found, rows)
    _nothing(asked, case, found, rows)


def _who(entry: LedgerEntry, row: JournalRow) -> str:
    body = entry.body or {}
    principal = body.get("principal") or {}
    by = shown(str(body.get("by") or principal.get("said") or principal.get("id", "somebody")), 80)
    vouched = f" ({flat(str(principal['id']), 80)})" if principal.get("id") and principal["id"] != by else ""
    reason = f", saying “{shown(str(body['reason']))}”" if body.get("reason") else ""
    when, what = entry_time(entry), named_action(row)
    if entry.kind == "action.undoing":
        how = "let it expire" if by == "aegis" else "took back"
        return f"{by}{vouched} {how}: {what}, at {when}."
    if entry.kind == "approval.endorsed":
        return f"{by}{vouched} said yes to {what} at {when}{reason}; policy asked for another person too."
    if entry.kind == "action.expiry":
        told = (
            f"is to lift itself at {body['expires_at']}" if body.get("expires_at") else "is to stay until it is undone"
        )
        return f"{by}{vouched} said at {when} that {what} {told}{reason}."
    if entry.kind == "action.asked":
        return f"{by}{vouched} asked for {what} at {when}{reason}."
    return f"{by}{vouched} {body['state']} {what} at {when}{reason}."


def say_undo(asked: Asked, desk: Desk, case: Case, found: Found) -> None:
    """For each action whether there is a way back, and which."""
    rows = meant(asked, desk, case)
    done = [row for row in rows if row.state in ("executed", "unconfirmed", "undone", "expired", "undoing")]
    found.looked("journal of actions", "catalogue of actions")
    for row in (done or rows)[:_MOST]:
        spec = CATALOGUE[row.proposal.action]
        what = named_action(row)
        if row.state in ("undone", "expired", "undoing"):
            found.say(f"{what} {STATE_TEXT[row.state]} already, at {at(row.updated_at)}.", cite_action(row))
        elif spec.undo is None:
            found.say(
                f"{what} can't be undone: {spec.name} has no way back. It {STATE_TEXT[row.state]}.", cite_action(row)
            )
        elif row.state in ("executed", "unconfirmed"):
            found.say(f"{what} can be undone, by {spec.undo} (aegis undo {row.action_id}).", cite_action(row))
        else:
            found.say(
                f"{what} {STATE_TEXT[row.state]}; once done it could be undone, by {spec.undo}.", cite_action(row)
            )
    _remember(found, rows)
    _nothing(asked, case, found, rows)


def close_state(desk: Desk, case: Case, found: Found) -> None:
    """Whether the case was closed: what the question takes for granted may not be so."""
    rows = [row for row in desk.store.actions(case.incident_id) if row.proposal.action == "close_alert"]
    if not rows:
        found.say("It was not closed, and closing it was not proposed.", cite_case(case))
    for row in rows[-1:]:
        if row.state == "executed":
            by = f", approved by {shown(row.by, 80)}" if row.by else ", by Aegis itself"
            found.say(f"Closing it was done at {_begun(row)}{by}.", cite_action(row))
        else:
            found.say(f"It is not closed: close_alert {STATE_TEXT[row.state]} ({row.decision.rule}).", cite_action(row))


def _begun(row: JournalRow) -> str:
    return at(row.begun_at or row.updated_at)


def _remember(found: Found, rows: Iterable[JournalRow]) -> None:
    found.memory = found.memory._replace(actions=tuple(row.action_id for row in rows))


def _nothing(asked: Asked, case: Case, found: Found, rows: list[JournalRow]) -> None:
    """What is named and not there is said: an action that this case has not, or a target that it was not done to."""
    here = {row.action_id for row in rows}
    for action_id in [a for a in asked.mentions.actions if a not in here][:4]:
        found.echo(f"{action_id} is no action of this case.", cite_case(case))
    if not rows and not asked.mentions.actions:
        names = ", ".join(actions_in(asked.question, asked.mentions.kinds))
        named = [shown_entity(e) for e in entities_named(asked)] or [shown(s, 80) for s in strangers(asked)]
        on = f" on {' or '.join(named[:4])}" if names and named else ""
        found.answered = True
        found.echo(f"The journal has no {names or 'action'}{on} for this case.", cite_case(case))
