"""What counts as one vote: alerts with one cause are one campaign, however many there are.

Two reviewed decisions belong to one campaign when their incidents share a link: the same rule on the same day, the
same victim on the same day, or the same of an attacker's things (network, domain, file, sender, message) in the same
week. The first two hold against an attacker who varies every field of their own; days and weeks are those of Aegis'
clock, since an alert can claim any time. Sharing is transitive: links are joined by union-find (Tarjan 1975).
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from aegis_agents.gate import addresses
from aegis_agents.gate.earned.rule import VOTES_A_DAY
from aegis_agents.records import Entity, Incident

MOST_LINKS: Final = 24
"""Of more, those with the smallest hashes are kept, as in MinHash (Broder 1997): what two incidents share
tends to be kept in both. The rule's and the victims' links come first."""

_VARIES = re.compile(r"\"[^\"]*\"|'[^']*'|\S*\d\S*|\S{25,}|[^\w\s]")
_THEIRS: Final = ("actor", "peer")
_VICTIMS: Final = ("host", "user", "email", "access_key")


def links_of(incident: Incident, at: datetime) -> tuple[str, ...]:
    """What ties an incident to others, as hashes of 16 hex digits; `at` (with time zone) is when it was decided."""
    day = at.astimezone(UTC).date()
    first = [_hash("rule", incident.source, rule_template(incident), day.isoformat())]
    victims = {
        _hash("victim", *_victim(e), day.isoformat())
        for e in incident.entities
        if e.kind in _VICTIMS and e.role in ("subject", "actor")
    }
    week = str(day.toordinal() // 7)
    theirs = {_hash("theirs", *thing, week) for e in incident.entities for thing in _theirs(e)}
    found = [*first, *sorted(victims)[: MOST_LINKS // 2]]
    return tuple(dict.fromkeys([*found, *sorted(theirs)[: MOST_LINKS - len(found)]]))


def _victim(entity: Entity) -> tuple[str, str]:
    """Who was hit, in one form: products name a host with and without its domain, a person by account or address."""
    value = unicodedata.normalize("NFKC", entity.value).strip().casefold()
    if entity.kind in ("user", "email"):
        return "person", value.rpartition("\\")[2].partition("@")[0]
    if entity.kind == "host" and addresses.parse(value) is None:
        return "host", value.partition(".")[0]
    return entity.kind, value


def _hash(*parts: str) -> str:
    text = json.dumps(parts)  # ASCII, so that a lone surrogate can't break it
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def rule_template(incident: Incident) -> str:
    """The title without what differs from alert to alert; empty where others wrote the title.

    An empty one makes all such alerts of a product one rule: a subject line is not to make them many.
    """
    if any(f.value == incident.title and f.trust == "external" for f in incident.facts):
        return ""
    text = incident.title.casefold()[:500]
    named = sorted({e.value.casefold() for e in incident.entities if len(e.value) > 2}, key=len, reverse=True)
    for value in named[:100]:
        text = text.replace(value, " ")
    return " ".join(_VARIES.sub(" ", text).split()[:12])


def _theirs(entity: Entity) -> Iterator[tuple[str, str]]:
    """What an attacker brought along, coarse enough that the next address or subdomain is the same."""
    value = entity.value.strip().casefold()
    if entity.kind in ("hash", "message"):
        yield entity.kind, value
    elif entity.role not in _THEIRS:
        return
    elif entity.kind == "email":
        yield "email", value
        yield from _domain(value.rpartition("@")[2])
    elif entity.kind == "ip":
        yield from _network(value)
    elif entity.kind == "domain":
        yield from _domain(value)
    elif entity.kind == "url":
        try:
            host = urlsplit(value).hostname or ""
        except ValueError:  # not an address that can be read: its text is all there is
            host = value
        yield from _network(host) if addresses.parse(host) else _domain(host)


def _network(value: str) -> Iterator[tuple[str, str]]:
    address = addresses.parse(value)
    if address is None or addresses.is_internal(address) or addresses.is_public_resolver(address):
        return
    width = 24 if address.version == 4 else 48
    yield "network", str(ipaddress.ip_network((address, width), strict=False))


def _domain(value: str) -> Iterator[tuple[str, str]]:
    labels = value.strip(".").split(".")
    kept = 3 if len(labels) > 2 and len(labels[-2]) <= 3 else 2  # co.uk, com.br: one label more
    name = ".".join(labels[-kept:])
    if name and not addresses.is_shared_name(name):
        yield "domain", name


class Vote(NamedTuple):
    """One review as it is counted.

    `acts_at` is the highest threshold at which the decision would have been carried out alone, 0 for none;
    `against` says that it was not found right; `counts` that it may speak in favour; `day` is when it was decided.
    """

    seq: int
    links: Sequence[str]
    acts_at: float
    against: bool
    counts: bool
    blind: bool
    day: str


class Tally(NamedTuple):
    """What the votes add up to: campaigns, those with an error among them, and how many of the right were blind.

    `seqs` are the reviews that were counted, `held_back` the campaigns beyond a day's most.
    """

    campaigns: int
    errors: int
    blind: int
    seqs: tuple[int, ...]
    held_back: int

    @property
    def right(self) -> int:
        """Campaigns without an error."""
        return self.campaigns - self.errors


class _Campaign:
    __slots__ = ("against", "right")

    def __init__(self) -> None:
        self.right: Vote | None = None
        self.against: list[int] = []


def tally(votes: Iterable[Vote], threshold: float) -> Tally:
    """Count votes, oldest first, of decisions that would have been carried out at `threshold`.

    One error makes its campaign an error. Two errors stay two where a later review shows that their
    campaigns are one: joining must not make errors fewer.
    """
    owner: dict[str, int] = {}
    parent: list[int] = []
    found: dict[int, _Campaign] = {}

    def root(of: int) -> int:
        while parent[of] != of:
            parent[of] = parent[parent[of]]
            of = parent[of]
        return of

    for vote in votes:
        joined = sorted({root(owner[link]) for link in vote.links if link in owner})
        if not joined:
            joined = [len(parent)]
            parent.append(joined[0])
            found[joined[0]] = _Campaign()
        here = found[joined[0]]
        for other in joined[1:]:
            gone = found.pop(other)
            parent[other] = joined[0]
            here.against += gone.against
            if gone.right and (here.right is None or gone.right.seq < here.right.seq):
                here.right = gone.right
        owner.update(dict.fromkeys(vote.links, joined[0]))
        if vote.acts_at < threshold:
            continue  # it says nothing, but it may tie others together
        if vote.against:
            here.against = here.against or [vote.seq]
        elif vote.counts and here.right is None:
            here.right = vote
    errors = [seq for campaign in found.values() for seq in campaign.against]
    right = sorted((c.right for c in found.values() if c.right and not c.against), key=lambda vote: vote.seq)
    a_day: dict[str, int] = {}
    kept: list[Vote] = []
    for vote in right:
        a_day[vote.day] = a_day.get(vote.day, 0) + 1
        if a_day[vote.day] <= VOTES_A_DAY:
            kept.append(vote)
    seqs = tuple(sorted([*errors, *(vote.seq for vote in kept)]))
    blind = sum(vote.blind for vote in kept)
    return Tally(len(errors) + len(kept), len(errors), blind, seqs, len(right) - len(kept))
