"""Names of people and numbers of machines, which the model reads as kinds.

Who it was and which of twenty workstations it was matters only against another fact, and
that is compared exactly elsewhere (derived facts). Names that say what something is
("svc_backup", "dc") are read as they are.

Whoever names an account must not hide evidence by it: one called "lsass" would blot out that
word in a command line. So outside of what the organisation wrote, a person's name is only read
as one where an account stands: alone in a field for accounts, or as a home directory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from aegis_agents.records import Fact, Incident

_PERSON = re.compile(r"[^\W\d_]{1,14}(?:[._-][^\W\d_]{1,14}){0,2}")
_DUTY = re.compile(
    r"svc|adm|root|system|service|guest|build|deploy|backup|scan|bot\b|\bbot|test|oper|user|runner|monitor|local|krbtgt"
    r"|postgres|mysql|oracle|jenkins|nginx|apache|www|daemon|agent|sync|cron|\bsa\b|\bda\b|vault|gitlab|ansible|puppet|robot"
    r"|reply|desk|team|dev|ops|web|mail|info|payable|billing|app|api|sql|dba|break|emerg|console|various|unknown|anonymous"
    r"|nobody|none|empty|domain|computer|network|account|terraform|kiosk|vendor|support|helpdesk|schedul",
    re.I,
)
_FOR_ACCOUNTS = re.compile(
    r"user|account|actor|principal|login|logon|identity|upn|mail|sender|recipient|owner|initiat|caller|person|employee|run_?as",
    re.I,
)
_NOT_FOR_ACCOUNTS = re.compile(r"process|image|file|command|cmd|service|task|path|module|host|device|rule|threat", re.I)
_ALONE = re.compile(r"((?:\S*[\\/:])?)([\w.-]+)((?:@[\w.-]+)?)")
_HOME = re.compile(r"((?:users|home)[\\/]+)([\w.-]+)(?=[\\/]|$)", re.I)
_DIGITS = re.compile(r"[-_.]?\d+")
SHORTEST_NAME = 4
"""Shorter ones are as likely a word."""


def _is_person(name: str) -> bool:
    return len(name) >= SHORTEST_NAME and bool(_PERSON.fullmatch(name)) and not _DUTY.search(name)


@lru_cache(maxsize=8192)
def _is_for_accounts(path: str) -> bool:
    """Whether a field holds an account: what it is of comes last ("process.user.name" does, "user.process" does not)."""
    last = max((found.end() for found in _FOR_ACCOUNTS.finditer(path)), default=-1)
    return last > max((found.end() for found in _NOT_FOR_ACCOUNTS.finditer(path)), default=-1)


def _named(names: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=lambda n: (-len(n), n))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.I)


def names_as_kinds(incident: Incident) -> Callable[[Fact], str]:
    """A function that reads the value of a fact with "person" for a person's account and hosts without their numbers."""
    persons: set[str] = set()
    hosts: dict[str, str] = {}
    for entity in incident.entities:
        if entity.kind == "user":
            account = entity.value.rpartition("\\")[2].partition("@")[0]
            if _is_person(account):
                persons.add(account.lower())
        elif entity.kind == "host":
            host = entity.value.partition(".")[0]
            plain = _DIGITS.sub("", host)
            if plain != host and len(plain) > 1 and len(host) >= SHORTEST_NAME:
                hosts[host.lower()] = plain
    people, machines = _named(persons) if persons else None, _named(hosts) if hosts else None

    def at_home(found: re.Match[str]) -> str:
        return f"{found[1]}person" if found[2].lower() in persons else found[0]

    def said(fact: Fact) -> str:
        value = fact.value
        if machines is not None:
            value = machines.sub(lambda found: hosts[found[0].lower()], value)
        if people is None:
            return value
        if fact.derived or fact.trust == "organization":
            return people.sub("person", value)
        if _is_for_accounts(fact.path):
            alone = _ALONE.fullmatch(value)
            if alone is not None and alone[2].lower() in persons:
                return f"{alone[1]}person{alone[3]}"
        return _HOME.sub(at_home, value)

    return said
