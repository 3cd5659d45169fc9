"""Names of persons and numbers of machines, which the model reads as kinds.

Who it was and which of twenty workstations it was matters only against another fact, and
that is compared exactly elsewhere (derived facts). Names that say what something is
("svc_backup", "dc") are read as they are.

Whoever names an account must not hide evidence by it: one called "lsass" would blot out that
word in a command line, one called "denied" the state of a ticket. So a name is read as a
person's only where an account stands: alone in a field that was recognised as an account's, as
a home directory, or in the organisation's text if it is spelled like a person ("maria.berg").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from aegis_agents.records import Fact, Incident

_PERSON = re.compile(r"[^\W\d_]{1,14}(?:[._-][^\W\d_]{1,14}){0,2}")
_SPELLED_LIKE_ONE = re.compile(r"[^\W\d_]+[._][^\W\d_]+")
_DUTY = re.compile(
    r"svc|adm|root|system|service|guest|build|deploy|backup|scan|bot\b|\bbot|test|oper|user|runner|monitor|local|krbtgt"
    r"|postgres|mysql|oracle|jenkins|nginx|apache|www|daemon|agent|sync|cron|\bsa\b|\bda\b|vault|gitlab|ansible|puppet|robot"
    r"|reply|desk|team|dev|ops|web|mail|info|payable|billing|app|api|sql|dba|break|emerg|console|various|unknown|anonymous"
    r"|nobody|none|empty|domain|computer|network|account|terraform|kiosk|vendor|support|helpdesk|schedul",
    re.I,
)
_ALONE = re.compile(r"((?:[\w.-]+\\|(?:arn:\S*|assumed-role)/(?:\S*/)?)?)([\w.-]+)((?:@[\w.-]+)?)")
_HOME = re.compile(r"((?:users|home)[\\/]+)([\w.-]+)(?=[\\/]|$)", re.I)
_DIGITS = re.compile(r"[-_.]?\d+")
_NO_HOST = re.compile(r"(?:cve|ghsa|kb|ms|t)[-_]?\d", re.I)
SHORTEST_NAME = 4
"""Shorter ones are as likely a word."""


def _is_person(name: str) -> bool:
    return len(name) >= SHORTEST_NAME and bool(_PERSON.fullmatch(name)) and not _DUTY.search(name)


def _named(names: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=lambda n: (-len(n), n))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.I)


def _account_of(user: str) -> str:
    return re.split(r"[\\/]", user)[-1].partition("@")[0].lower()


def names_as_kinds(incident: Incident) -> Callable[[Fact], str]:
    """A function that reads the value of a fact with "person" for a person's account and hosts without their numbers."""
    persons: dict[str, set[str]] = {}  # the facts that are recognised as naming each
    hosts: dict[str, str] = {}
    for entity in incident.entities:
        if entity.kind == "user":
            account = _account_of(entity.value)
            if _is_person(account):
                persons.setdefault(account, set()).update(entity.facts)
        elif entity.kind == "host" and entity.role != "observed":
            host = entity.value.partition(".")[0]
            plain = _DIGITS.sub("", host)
            if plain != host and len(plain) > 1 and len(host) >= SHORTEST_NAME and not _NO_HOST.match(host):
                hosts[host.lower()] = plain
    machines = _named(hosts) if hosts else None
    spelled = [name for name in persons if _SPELLED_LIKE_ONE.fullmatch(name)]
    people = _named(spelled) if spelled else None

    def in_records(text: str) -> str:
        return people.sub("person", text) if people is not None else text

    def derived(value: str) -> str:
        """Statement, then the name that it is about, then what it quotes in brackets: the statement is ours, and stays."""
        said, bracket, quoted = value.partition(" (")
        statement, colon, about = said.rpartition(": ")
        if about and all(_account_of(name) in persons for name in about.split(", ")):
            about = ", ".join("person" for _ in about.split(", "))
        return f"{statement}{colon}{about}{bracket}{in_records(quoted)}"

    def at_home(found: re.Match[str]) -> str:
        return f"{found[1]}person" if found[2].lower() in persons else found[0]

    def said(fact: Fact) -> str:
        value = fact.value
        if machines is not None:
            value = machines.sub(
                lambda found: hosts.get(found[0].lower(), found[0]), value
            )  # "ſ" matches s and lowers to itself
        if not persons:
            return value
        if fact.derived:
            return derived(value)
        alone = _ALONE.fullmatch(value)
        if alone is not None and fact.id in persons.get(alone[2].lower(), ()):
            return f"{alone[1]}person{alone[3]}"
        if fact.trust == "organization":
            return in_records(value)
        return _HOME.sub(at_home, value)

    return said
