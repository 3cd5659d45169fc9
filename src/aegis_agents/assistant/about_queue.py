"""Answers about the queue: what waits, what came in, what was done, what Aegis may do alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Set
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from aegis_agents.agents.offering import newest
from aegis_agents.assistant.about_autonomy import say_autonomy, say_standings
from aegis_agents.assistant.doing import actions_in
from aegis_agents.assistant.focus import entities_named, strangers
from aegis_agents.assistant.found import (
    VERDICT_TEXT,
    Asked,
    Found,
    cite_action,
    cite_case,
    cite_entry,
    counted,
    entry_time,
    named_action,
    shown_entity,
)
from aegis_agents.assistant.mentions import common_words
from aegis_agents.assistant.reading import Desk, at, shown
from aegis_agents.assistant.shelf import Card
from aegis_agents.assistant.words import function_words
from aegis_agents.ledger import JournalRow, LedgerEntry

MOST_LISTED = 10
_LATEST = 1_000
"""Entries of a kind that are looked through for what was done."""
_NOW = re.compile(r"\bright now\b|\bcurrently\b|\bat the moment\b|\bin force\b|\bstill\b|\bnow\b", re.I)
_SAID = re.compile(r"\bapprov|\bden(?:y|ied)|\breject|\bsigned|\banswer", re.I)
_BACK = re.compile(
    r"\bund(?:o|id|one)\b|\btak\w+ back\b|\btook back\b|\blifted\b|\bexpired\b|\broll(?:ed)? back\b|\brevers|\brevert",
    re.I,
)
_FAILED = re.compile(r"\bfail|\bwrong\b|\bunconfirmed\b", re.I)
_OPEN = re.compile(r"\bopen\b", re.I)
_WHO = re.compile(r"\b(?:did|has|have|by)\s+(?!the\b|a\b)([\w.@\\-]{2,80})", re.I)


def _waiting(asked: Asked, desk: Desk, found: Found) -> None:
    rows = desk.store.pending()
    found.looked("journal of actions")
    named = {(e.kind, e.value) for e in entities_named(asked)}
    if named:
        rows = [row for row in rows if (row.target.kind, row.target.value) in named]
    if not rows:
        found.answered = True  # that nothing waits is the answer
        found.tell("Nothing waits for a person" + (" on that." if named else "."))
        return
    cases = {row.incident_id for row in rows}
    found.say(
        f"{counted(rows, 'action')} of {counted(cases, 'case')} {'waits' if len(rows) == 1 else 'wait'} for a person, the longest since {at(rows[0].created_at)}.",
        *map(cite_action, rows[:MOST_LISTED]),
    )
    for row in rows[:MOST_LISTED]:
        found.say(
            f"{named_action(row)} waits ({row.action_id}, {row.incident_id}): {shown(row.decision.reason)}.",
            cite_action(row),
        )
    _rest(len(rows), found)
    found.memory = found.memory._replace(listed=tuple(dict.fromkeys(row.incident_id for row in rows)))


def matching(asked: Asked, desk: Desk) -> tuple[list[Card], list[str], str | None]:
    """The cards that fit what a question names, the conditions in words, and a name that nothing here bears."""
    mentions = asked.mentions
    cards = desk.shelf.cards()
    told: list[str] = []
    sources = {card.source for card in cards}
    words = set(re.findall(r"[a-z0-9]+", asked.question.lower())) - function_words()
    named_sources = {s for s in sources if words & set(re.split(r"[^a-z0-9]+", s.lower()))}
    unknown = [u for u in mentions.unknown if not any(u.lower() in s.lower() for s in named_sources)]
    entities = entities_named(asked)
    if unknown and not entities:
        return [], told, unknown[0]
    if named_sources:
        cards = [c for c in cards if c.source in named_sources]
        told.append(f"of {', '.join(sorted(named_sources))}")
    if entities:
        cards = [c for c in cards if not set(entities).isdisjoint(c.entities)]
        told.append("naming " + " or ".join(shown_entity(e) for e in entities[:4]))
    if mentions.verdicts:
        cards = [c for c in cards if c.verdict in mentions.verdicts]
        told.append("judged " + " or ".join(VERDICT_TEXT[v] for v in mentions.verdicts))
    if mentions.severities:
        cards = [c for c in cards if c.severity in mentions.severities]
        told.append(f"of severity {' or '.join(dict.fromkeys(mentions.severities))}")
    if mentions.period is not None:
        period = mentions.period
        cards = [c for c in cards if period.holds(c.at)]
        told.append(f"taken in {period.label}")
    return cards, told, None


def _search(asked: Asked, desk: Desk, found: Found) -> None:
    found.looked("incidents on the shelf")
    cards, told, unknown = matching(asked, desk)
    if unknown is not None:
        found.tell(f"No incident that is kept here names {shown(unknown, 80)}.{_reach(desk)}")
        return
    conditions = f" {', '.join(told)}" if told else " kept here"
    if not cards:
        found.answered = True  # that there is none is the answer
        found.tell(f"There is no incident{conditions}.{_reach(desk)}")
        return
    found.say(f"{counted(cards, 'incident')}{conditions}.{_reach(desk)}", *map(cite_case, cards[:MOST_LISTED]))
    for card in cards[:MOST_LISTED]:
        judged = (
            f"{VERDICT_TEXT.get(card.verdict, card.verdict)} ({card.confidence:.2f}), {card.severity}"
            if card.verdict
            else "not decided yet"
        )
        found.say(
            f"{card.incident_id} of {at(card.at)}, {shown(card.source)} “{shown(card.title)}”: {judged}.",
            cite_case(card),
        )
    _rest(len(cards), found)
    found.memory = found.memory._replace(listed=tuple(c.incident_id for c in cards[:MOST_LISTED]))


def _count(asked: Asked, desk: Desk, found: Found) -> None:
    found.looked("incidents on the shelf")
    cards, told, unknown = matching(asked, desk)
    if unknown is not None:
        found.tell(f"No incident that is kept here names {shown(unknown, 80)}.{_reach(desk)}")
        return
    found.answered = True
    if re.search(r"\bclosed\b", asked.question, re.I):
        closed = [
            c
            for c in cards
            if any(
                r.proposal.action == "close_alert" and r.state == "executed" for r in desk.store.actions(c.incident_id)
            )
        ]
        cards, told = closed, [*told, "whose alert was closed"]
    elif _OPEN.search(asked.question):
        waiting = {row.incident_id for row in desk.store.pending()}
        if not told:  # the journal has all of them, however old
            found.tell(f"{counted(waiting, 'incident')} with an action that waits.")
            return
        cards, told = [c for c in cards if c.incident_id in waiting], [*told, "with an action that waits"]
    by = Counter(card.verdict or "" for card in cards)
    shares = ", ".join(f"{VERDICT_TEXT.get(v, 'not decided yet')} {n}" for v, n in by.most_common())
    conditions = f" {', '.join(told)}" if told else " kept here"
    found.tell(
        f"{counted(cards, 'incident')}{conditions}{': ' if shares else ''}{shares}.{_reach(desk)}",
        *map(cite_case, cards[:MOST_LISTED]),
    )
    found.memory = found.memory._replace(listed=tuple(c.incident_id for c in cards[:MOST_LISTED]))


class _Named(NamedTuple):
    """What a question names as a target: the entities, and how that is said."""

    targets: frozenset[tuple[str, str]]
    said: bool
    on: str


def _named_targets(asked: Asked, people: Set[str] = frozenset()) -> _Named:
    """An answer about other targets does not take the place of one about these; a name that nothing bears has none.

    `people` are those who did or said something, and no targets.
    """
    entities = [e for e in entities_named(asked) if e.value.casefold() not in people]
    unknown = [name for name in strangers(asked) if name.casefold() not in people]
    names = [shown_entity(e) for e in entities] or [shown(name, 80) for name in unknown]
    on = f" on {' or '.join(names[:4])}" if names else ""
    return _Named(frozenset((e.kind, e.value.casefold()) for e in entities), bool(names), on)


def _is_of(row: JournalRow, named: _Named) -> bool:
    return (row.target.kind, row.target.value.casefold()) in named.targets


def _timers(asked: Asked, desk: Desk, found: Found) -> None:
    rows = desk.store.timers()
    found.looked("timers")
    names = actions_in(asked.question, asked.mentions.kinds)
    named = _named_targets(asked)
    fitting = (row for row in rows if not names or row.proposal.action in names)
    chosen = [row for row in fitting if not named.said or _is_of(row, named)][:MOST_LISTED]
    for row in chosen:
        assert row.expires_at is not None  # noqa: S101 - a timer is a row with a time
        found.say(f"{named_action(row)} lifts itself at {at(row.expires_at)} ({row.action_id}).", cite_action(row))
    if not chosen:
        found.answered = True
        found.tell(
            "No action in effect"
            + (f" of the kind {', '.join(names)}" if names else "")
            + named.on
            + " has a timer: what is in effect stays until somebody undoes it."
        )


def _done(asked: Asked, desk: Desk, found: Found) -> None:
    """What was done, answered or taken back, from the ledger; `right now` what is in effect."""
    names = actions_in(re.sub(r"\bundo\w*|\bundone", "", asked.question), asked.mentions.kinds)
    kind = "action.answered" if _SAID.search(asked.question) else "action.settled"
    wanted = (
        {"undone", "expired"}
        if _BACK.search(asked.question)
        else {"failed", "unconfirmed"}
        if _FAILED.search(asked.question)
        else {"executed"}
    )
    denied = re.search(r"\bden|\breject", asked.question, re.I) is not None
    found.looked(f"ledger entries {kind}, the last {_LATEST}")
    period, now_only = asked.mentions.period, _NOW.search(asked.question) is not None
    words = {w.casefold() for w in re.findall(r"[\w.@-]+", asked.question)}
    entries = newest(desk.store, kind, _LATEST)  # type: ignore[arg-type]  # it reads entries alone
    known = {str((e.body or {}).get("by", "")).casefold() for e in entries} - {""}
    people = known & words
    named = _named_targets(asked, people)
    who = _WHO.search(
        re.sub(r"\b(?:you|aegis|we|i|they|anybody|anyone|somebody|someone)\b", "", asked.question, flags=re.I)
    )
    if kind == "action.answered" and not people and who is not None and who[1].casefold() not in common_words():
        found.answered = True
        found.tell(f"Nothing is recorded as answered by {shown(who[1], 80)} among the last {len(entries)} answers.")
        return
    hits: list[tuple[LedgerEntry, JournalRow]] = []
    for entry in reversed(entries):
        body = entry.body or {}
        row = desk.action(str(body.get("action_id", "")))
        if row is None or (period is not None and not period.holds(datetime.fromisoformat(entry.at))):
            continue
        if (names and row.proposal.action not in names) or (named.said and not _is_of(row, named)):
            continue
        if kind == "action.answered":
            fits = body.get("state") == ("denied" if denied else "approved")
            if people:
                fits = fits and str(body.get("by", "")).casefold() in people
        else:
            fits = body.get("outcome") in wanted and (not now_only or row.state == "executed")
        if fits:
            hits.append((entry, row))
    span = f" {period.label}" if period else ""
    what = (
        "now in effect"
        if now_only
        else {"action.answered": "denied" if denied else "approved"}.get(kind, " or ".join(sorted(wanted)))
    )
    if not hits:
        found.answered = True
        found.tell(f"No {'/'.join(names) or 'action'}{named.on} is recorded as {what}{span}.")
        return
    found.say(f"{counted(hits, 'action')}{named.on} {what}{span}.", *(cite_entry(e) for e, _ in hits[:MOST_LISTED]))
    for entry, row in hits[:MOST_LISTED]:
        by = (entry.body or {}).get("by") or row.by
        told = (
            f" by {shown(str(by), 80)}"
            if kind == "action.answered"
            else f", taken back by {shown(row.undo_by, 80)}"
            if row.undo_by and "undone" in wanted
            else f", approved by {shown(by, 80)}"
            if by
            else ", without asking"
        )
        found.say(
            f"{entry_time(entry)}: {named_action(row)} ({row.action_id}){told}.", cite_entry(entry), cite_action(row)
        )
    _rest(len(hits), found)
    found.memory = found.memory._replace(
        listed=tuple(dict.fromkeys(row.incident_id for _, row in hits[:MOST_LISTED])),
        actions=tuple(row.action_id for _, row in hits[:MOST_LISTED]),
    )


def _rest(count: int, found: Found) -> None:
    if count > MOST_LISTED:
        found.tell(f"{count - MOST_LISTED} more are not listed here.")


def _reach(desk: Desk) -> str:
    return f" Only the last {len(desk.shelf.cards())} incidents were looked at." if desk.shelf.cut else ""


QUEUE: Mapping[str, Callable[[Asked, Desk, Found], None]] = MappingProxyType({
    "waiting": _waiting, "search": _search, "count": _count, "timers": _timers, "autonomy": say_autonomy,
    "standings": say_standings, "done": _done,
})  # fmt: skip
"""Intent → what answers it."""
