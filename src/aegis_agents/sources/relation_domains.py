"""Do the domains of a message agree, and does one name imitate another?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

from aegis_agents.records import Entity
from aegis_agents.sources.keys import word_set
from aegis_agents.sources.relation import Relation, View, named
from aegis_agents.sources.shapes import emails_in, is_domain, message_ids_in

_MOST_DOMAINS: Final = 14
_DKIM = re.compile(r"(?:header\.d|\bd)=([\w.-]{4,253})")
_DMARC_FROM = re.compile(r"header\.from=([\w.-]{4,253})")
_SECOND_LEVEL: Final = word_set("co com org net ac gov edu")

# Letters that are drawn alike, mapped to one of them. Pairs of ASCII signs first; then Cyrillic and Greek letters
# that look Latin (a selection of Unicode's confusables.txt, https://www.unicode.org/reports/tr39/).
_ALIKE: Final = str.maketrans(
    {"0": "o", "1": "l", "i": "l", "I": "l", "|": "l", "5": "s", "3": "e", "а": "a", "е": "e", "о": "o", "р": "p",
     "с": "c", "у": "y", "х": "x", "і": "l", "ј": "j", "ѕ": "s", "ԁ": "d", "ո": "n", "ν": "v", "ο": "o", "α": "a",
     "ρ": "p", "ι": "l"}
)  # fmt: skip
_TOUCHING: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def domain_relations(views: Sequence[View], entities: Sequence[Entity]) -> list[Relation]:
    """Agreement of a message's domains with its sender's, then names that imitate each other."""
    return [*list(_message(views))[:5], *list(_imitations(views, entities))[:6]]


def _message(views: Sequence[View]) -> Iterator[Relation]:
    sender: tuple[str, View] | None = None
    others: list[tuple[str, str, View]] = []
    for view in views:
        leaf, value = view.keys.leaf, view.fact.value[:2000]
        if leaf in ("sender", "mailfrom", "senderaddress", "from", "fromaddress") and sender is None:
            found = emails_in(value)
            sender = (_domain(found[0]), view) if found else None
        elif leaf in ("headerfrom", "headerreplyto", "replyto", "returnpath"):
            others.extend((leaf.removeprefix("header"), _domain(address), view) for address in emails_in(value)[:2])
        elif leaf in ("inreplyto", "references"):
            others.extend(("answered message's", _domain(address), view) for address in message_ids_in(value)[:2])
        elif "authentication" in leaf or leaf in ("dkim", "arcauthenticationresults"):
            others.extend(("DKIM", domain, view) for domain in _DKIM.findall(value)[:2])
            others.extend(("DMARC", domain, view) for domain in _DMARC_FROM.findall(value)[:1])
    for what, domain, view in others if sender is not None else ():
        if is_domain(domain):
            assert sender is not None  # noqa: S101 - for the type checker
            same = _registered(domain.lower()) == _registered(sender[0].lower())
            how = "equals" if same else "differs from"
            which = domain if domain == sender[0] else f"{domain}, {sender[0]}"
            text = f"{what} domain {how} the sender's: {which} ({view.fact.path})"
            yield Relation("mail_domains", text, (sender[1].fact, view.fact))


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _imitations(views: Sequence[View], entities: Sequence[Entity]) -> Iterator[Relation]:
    by_id = {view.fact.id: view for view in views}
    names: dict[str, View] = {}
    for entity in entities:
        view = by_id.get(entity.facts[0]) if entity.facts else None
        if view is None or entity.kind not in ("domain", "email", "user", "host"):
            continue
        domain = _domain(entity.value) if "@" in entity.value else entity.value
        if is_domain(domain) and len(names) < _MOST_DOMAINS and (entity.kind != "user" or "@" in entity.value):
            names.setdefault(_registered(domain), view)
    for (first, one), (second, two) in combinations(names.items(), 2):
        how = imitation(first, second)
        if how:
            text = f"{how}: {first}, {second} {named(one, first)} {named(two, second)}"
            yield Relation("look_alike", text, (one.fact, two.fact))


def _registered(domain: str) -> str:
    """The part that somebody registered: two labels, or three below co.uk and the like."""
    labels = domain.rstrip(".").split(".")
    three = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2].lower() in _SECOND_LEVEL
    return ".".join(labels[-3:] if three else labels[-2:])


def imitation(first: str, second: str) -> str | None:
    """How one registered domain imitates the other, in words; None if it does not."""
    one, two = _main_label(first), _main_label(second)
    if first.lower() == second.lower() or min(len(one), len(two)) < 4:
        return None
    if one.lower() == two.lower():
        return "same name under another top-level domain"
    if _skeleton(one) == _skeleton(two):
        return "look-alike domains, letters drawn alike"
    longest = max(len(one), len(two))
    if min(len(one), len(two)) > 5 and 0 < _distance(one.lower(), two.lower(), 2) <= (1 if longest < 9 else 2):
        return "look-alike domains, spelled almost the same"
    short, long = sorted((one.lower(), two.lower()), key=len)
    if len(short) > 4 and short in re.split(r"[-_]", long):
        return "one domain contains the other's name"
    return None


def _main_label(domain: str) -> str:
    label = domain.split(".", 1)[0]
    if label.lower().startswith("xn--"):
        try:
            return label.encode("ascii").decode("idna")
        except UnicodeError:
            return label
    return label


@lru_cache(maxsize=1024)
def _skeleton(label: str) -> str:
    plain = label.translate(_ALIKE).lower().translate(_ALIKE)
    for pair, single in _TOUCHING:
        plain = plain.replace(pair, single)
    return plain


@lru_cache(maxsize=4096)
def _distance(one: str, two: str, limit: int) -> int:
    """Optimal string alignment distance (Damerau-Levenshtein without overlapping edits); limit + 1 when it is more."""
    if abs(len(one) - len(two)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        last, row, older = row, [i], before
        for j, b in enumerate(two, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == two[j - 2] and b == one[i - 2]:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        before = last
        if min(row) > limit:
            return limit + 1
    return row[-1]
