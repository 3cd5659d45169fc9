"""Did one person ask, approve and act? Four eyes are two people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from aegis_agents.records import Entity
from aegis_agents.sources.keys import word_set
from aegis_agents.sources.relation import Relation, View, named

_ASKED: Final = word_set(
    "requester requested requestor opened raised author submitter submitted initiator committer filed openedby requestedby"
)
_APPROVED: Final = word_set(
    "approver approved approvers reviewer reviewed witness countersigned authorised authorized releaser approvedby"
)
_PERSON: Final = re.compile(r"(?=[A-Za-z]+[\w-]*[.@\\_-]?\w*[.@\\_\d-])[A-Za-z][\w.@\\-]{2,63}")
"""An account: some sign or digit within tells it from a word."""
_SAID: Final = re.compile(
    r"(?i)\b(?:(?P<approved>approved|countersigned|signed off|reviewed|authori[sz]ed|released|merged|witnessed)"
    r"|(?P<asked>opened|requested|raised|submitted|filed|created|pushed))(?: by)?[:=]? +(?P<who>[a-z][\w.@\\-]{2,63})"
)


class _Said(NamedTuple):
    who: str
    view: View


def role_relations(views: Sequence[View], entities: Sequence[Entity]) -> list[Relation]:
    """Whether who approved is who asked, or who acted."""
    asked: list[_Said] = []
    approved: list[_Said] = []
    for view in views:
        value = view.fact.value
        if len(value) > 300:
            continue
        for match in _SAID.finditer(value):
            if _PERSON.fullmatch(match["who"].rstrip(".")):
                (approved if match["approved"] else asked).append(_Said(match["who"], view))
        if _PERSON.fullmatch(value):
            if view.keys.words & _APPROVED:
                approved.append(_Said(value, view))
            elif view.keys.words & _ASKED:
                asked.append(_Said(value, view))
    by_id = {view.fact.id: view for view in views}
    acting = [
        _Said(e.value, by_id[e.facts[0]])
        for e in entities if e.kind == "user" and e.role == "actor" and e.facts and e.facts[0] in by_id
    ][:3]  # fmt: skip
    return [
        *list(_same(approved[:4], asked[:4], "requester"))[:3],
        *list(_same(approved[:4], acting, "acting user"))[:3],
    ]


def _short(name: str) -> str:
    return name.lower().rstrip(".").rpartition("\\")[2].partition("@")[0]


def _same(approved: Sequence[_Said], others: Sequence[_Said], role: str) -> Iterator[Relation]:
    for approver in approved:
        for other in others:
            if approver.view.fact.id == other.view.fact.id and approver.who == other.who:
                continue
            how = "is also the" if _short(approver.who) == _short(other.who) else "is another person than the"
            said = (
                f"approver {how} {role}: {approver.who}, {other.who} {named(approver.view, approver.view.fact.value)}"
            )
            facts = (
                (other.view.fact, approver.view.fact)
                if other.view.fact.id != approver.view.fact.id
                else (other.view.fact,)
            )
            yield Relation("four_eyes", said, facts)
