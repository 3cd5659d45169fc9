"""The counterfactual check: would it still be done if an attacker's text had not been there?

Before an autonomous containment or closing, the fast model is asked again without what an attacker
could have chosen: facts that anybody could have written (`external`), the names of users, hosts and
mailboxes (who signs in or joins chose them, whoever reports them), and what was derived from either.

- Without all of them. What is left, no attacker wrote: it must carry the verdict by itself, with a
  probability of at least FLOORS. This alone holds against every text, however clever, since no
  text is left; the questions below find sooner, and say better, what hangs on what.
- Without those that speak for the verdict, leaving those that speak against it.
- Each that weighs much, left out alone, and alone beside what nobody could have forged. Text planted
  beside the evidence is found by the first, text planted everywhere by the second.

Where the verdict goes over to another side, its confidence falls below what acting needs, or the
severity that is left is not worth the cost, the decision hangs on such text, and a person decides. Whether the target is named by such text alone
is the rail `action.target`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from aegis_agents.gate import cost
from aegis_agents.gate.request import ActionClass, GateRequest, Ruling, allow
from aegis_agents.gate.risk import bound_of
from aegis_agents.records import Assessment, Fact, Incident, Verdict

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

FLOORS: Final[Mapping[ActionClass, float]] = {"contain": 0.96, "destroy": 0.96, "close_alert": 0.975}
"""Least probability of the verdict's side without any forgeable fact. Chosen for aegis-encoder-v6 on develop cases: the lowest at which
no planted text, nor one who knows the model, got a harmless alert of 487 contained or an attack of 458 closed with everything allowed.
They hang on the weights (docs/gate.md)."""

_ALONE: Final = 5
"""Facts that are asked about one at a time, at two questions each; the others are one group."""

Side = Literal["attack", "harmless", "open"]
_SIDES: Final[Mapping[Verdict, Side]] = {
    "true_positive": "attack", "benign_positive": "harmless", "false_positive": "harmless", "undetermined": "open",
}  # fmt: skip


_NAMES: Final = frozenset({"user", "host", "email"})
_NAME_KEY: Final = re.compile(
    r"(?:user|account|principal|log[io]n|actor|caller|requester|host|computer|device|machine|workstation|endpoint|client"
    r"|agent|owner|mailbox|person|identity|subject|fqdn|alternateid|[a-z]_?by$)[^.]*(?:\.[^.]*){0,2}$|id$"
    r"|(?:author|committer|signer|assignee|approver|manager|contact|custodian|operator|witness|oncall|initiator|sender"
    r"|member|recipient|upn|uname|servername|nodename|vmname|runas|whodidit|netbiosname|nthost|dvc|dnsname|dnshostname"
    r"|issuer|assigned_?to|(?:mail|header|env|rcpt)_?(?:from|to)|rcpt|(?:to|from)_?address|virtual_?machine|instance_?name)(?:\[\d+\])?$"
    r"|(?:^|[._])(?:src|dst|dest|source|target|destination|from|to|[sd]user|session_?(?:issuer|leader)|server|manager|node|instance|vm|asset|system|author"
    r"|assignee|approver|initiator|committer)(?:\[\d+\])?(?:\.(?:name|email|login|full_?name|upn|id))?$",
    re.I,
)  # fmt: skip
"""In one of the last three keys of a path, or the last for words that mean other things too: what stands there is called
by a name that somebody chose. Or an id, which has no spaces in it. Holds every key that aegis_agents.sources takes for
the name of a person or a machine (see the test)."""
_WORDY: Final = re.compile(r"(?:[^\W\d_]{3,}[\W\d_]+){2}[^\W\d_]{3,}|\S{65}")
"""Several words in one, or more than any name has."""
_MOST_COMPARED: Final = 64
"""Sentences in names that are looked for in other facts; an alert has none, or a few."""
_OWNED: Final = re.compile(
    r"(?:^|[._])(?:file|process|proc|task|service|script|image|cron)\w*\.(?:owner|group)(?:_?name)?$", re.I
)
"""Owners that an operating system keeps, who is an account's name: no word of the customer's about who answers for it."""


class Question(NamedTuple):
    """Facts to mask, and how an answer that differs is put into words."""

    masked: frozenset[str]
    words: str


def forgeable_facts(incident: Incident) -> list[str]:
    """Ids of the facts whose text an attacker could have chosen, in the alert's order. What is derived goes with them.

    A name that is a whole sentence stays the chooser's word where another fact repeats it ("requested by ...").
    """
    named = {id for entity in incident.entities if entity.kind in _NAMES for id in entity.facts}
    people = {id for entity in incident.entities if entity.kind in _NAMES - {"host"} for id in entity.facts}
    read = [fact for fact in incident.facts if not fact.inputs]
    chosen = {fact.id for fact in read if _is_forgeable(fact, named)}
    names = [fact for fact in read if fact.id in chosen and (fact.id in named or _NAME_KEY.search(fact.path))]
    parts = (
        part.casefold()
        for name in names
        for part in _chosen_parts(name.value.strip(), is_host=name.id in named - people)
    )
    sentences = {part for part in parts if _WORDY.search(part)}
    return [fact.id for fact in read if fact.id in chosen or (sentences and _repeats(fact.value, sentences))]


def _chosen_parts(name: str, *, is_host: bool) -> Sequence[str]:
    """A name apart from its domain, which is the organisation's: "CORP\\ann", "ann@corp.example", "ann.corp.example"."""
    if " " in name:
        return [name]
    account, *domain = name.split("@")
    accounts = account.split("\\")
    if is_host:
        accounts = [label.partition(".")[0] for label in accounts]
    return [*accounts, *(each.partition(".")[0] for each in domain)]


def _repeats(value: str, sentences: Set[str]) -> bool:
    """Whether one of them stands in it. Where they are more than are compared, whatever holds words might."""
    if len(sentences) > _MOST_COMPARED:
        return _WORDY.search(value) is not None
    folded = value.casefold()
    return any(sentence in folded for sentence in sentences)


def _is_forgeable(fact: Fact, named: Set[str]) -> bool:
    if fact.trust != "product" and not _OWNED.search(fact.path):
        return fact.trust == "external"
    if fact.id in named or fact.trust == "external":
        return True
    # A name with spaces is recognised as nobody's, and may hold a whole sentence; so may words that are joined.
    value, key = fact.value.strip(), _NAME_KEY.search(fact.path)
    if key is None:
        return False
    return " " in value or (_WORDY.search(value) is not None and key.group().lower() != "id")


def bare_question(forgeable: Sequence[str]) -> Question:
    """What is judged without any of them."""
    return Question(frozenset(forgeable), f"without the {len(forgeable)} facts that an attacker could have chosen")


def further_questions(
    incident: Incident, assessment: Assessment, forgeable: Sequence[str], limit: int
) -> list[Question]:
    """At most `limit` more: without what speaks for the verdict, then the weightiest facts one at a time.

    What is beyond the limit is one group, so that an alert with thousands of facts costs no
    more and none of them is left unasked.
    """
    weights = {weight.fact: weight.weight for weight in assessment.weights}
    sign = -1.0 if _SIDES[assessment.verdict] == "harmless" else 1.0
    everything = frozenset(forgeable)
    goes_with = {fact.id for fact in incident.facts if not everything.isdisjoint(fact.inputs)}
    spoken = frozenset(fact for fact in everything | goes_with if weights.get(fact, 0.0) * sign > 0)
    found: dict[frozenset[str], Question] = {}
    if limit > 0 and spoken and not everything <= spoken:
        found[spoken] = Question(spoken, f"without the {len(spoken)} of them that speak for it")
    ranked = sorted(forgeable, key=lambda fact: -abs(weights.get(fact, 0.0)))
    most = min(_ALONE, (limit - len(found)) // 2)
    groups = [frozenset({fact}) for fact in ranked]
    if most and len(groups) > most:
        groups = [*groups[: most - 1], frozenset(ranked[most - 1 :])]
    if not most or len(groups) < 2:
        return list(found.values())  # one group left out is what was asked already
    for group in groups:
        named = next(iter(group)) if len(group) == 1 else f"{len(group)} lighter ones"
        found.setdefault(group, Question(group, f"without {named}"))
        found.setdefault(
            everything - group, Question(everything - group, f"with {named} alone of what could be forged")
        )
    return list(found.values())


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower an autonomous containment or closing to ask where it hangs on text that an attacker controls."""
    if context.action_class == "record" or context.so_far != "execute":
        return allow("counterfactual.not_needed", asked=False)
    if request.reassess is None:
        return Ruling(
            "ask", "counterfactual.unavailable", "the model can't be asked again without what an attacker wrote"
        )
    forgeable = forgeable_facts(request.incident)
    if not forgeable:
        return allow("counterfactual.holds", asked=False)
    floor = FLOORS[context.action_class]
    threshold = bound_of(request, context).threshold
    side = _SIDES[request.assessment.verdict]
    bare = bare_question(forgeable)
    (found,) = _ask(request, [bare])
    certain = certainty(found, side)
    numbers = {"asked": True, "trusted": round(certain, 4), "floor": floor}
    reason = _differs(bare, found, side, threshold)
    if reason is None and not certain >= floor:  # written so that a NaN fails
        reason = f"{bare.words} it is {side} with probability {certain:.3f} only, {floor:.2f} is needed"
    if reason is None:
        reason = _costs_otherwise(bare, found, request, context)
    if reason is None:
        limit = context.settings.counterfactual_groups - 1
        questions = further_questions(request.incident, request.assessment, forgeable, limit)
        answers = zip(questions, _ask(request, questions), strict=True)
        reason = next(filter(None, (_differs(asked, told, side, threshold) for asked, told in answers)), None)
    if reason is None:
        return allow("counterfactual.holds", **numbers)
    return Ruling("ask", "counterfactual.hangs_on_external", reason, numbers=numbers)


def held(ruling: Ruling) -> bool:
    """Whether the model was asked, and the decision is the same without all that an attacker could have written."""
    return ruling.rule == "counterfactual.holds" and ruling.numbers.get("asked") is True


def certainty(assessment: Assessment, side: Side) -> float:
    """The probability of a side: which kind of harmless it is does not matter here."""
    return sum(share for verdict, share in assessment.probabilities.items() if _SIDES[verdict] == side)


def _ask(request: GateRequest, questions: Sequence[Question]) -> list[Assessment]:
    """The answers in order; all at once where the asker can (see aegis_agents.model.reask)."""
    assert request.reassess is not None  # noqa: S101  # check() looked
    masks = [question.masked for question in questions]
    together = getattr(request.reassess, "many", None)
    found: list[Assessment] = together(masks) if together is not None else [request.reassess(m) for m in masks]
    return found


def _costs_otherwise(question: Question, answer: Assessment, request: GateRequest, context: GateContext) -> str | None:
    """Why it would not be worth its cost at the severity that is left; None where it would. Severity moves costs most."""
    if answer.severity == request.conclusion.severity:
        return None
    conclusion = request.conclusion.model_copy(update={"severity": answer.severity})
    ruling = cost.check(request.model_copy(update={"conclusion": conclusion}), context)
    if ruling.ceiling == "execute":
        return None
    return f"{question.words} the severity is {answer.severity}: {ruling.reason}"


def _differs(question: Question, answer: Assessment, side: Side, threshold: float) -> str | None:
    """Why this answer does not bear the action; None where it does."""
    if _SIDES[answer.verdict] != side:
        return f"{question.words} the verdict is {answer.verdict}"
    if not answer.confidence >= threshold:
        return f"{question.words} the confidence is {answer.confidence:.3f}"
    return None
