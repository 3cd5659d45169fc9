"""Names of people and numbers of machines, which the model reads as kinds.

Who it was and which of twenty workstations it was matters only against another fact, and
that is compared exactly elsewhere (derived facts). Names that say what something is
("svc_backup", "dc") are read as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aegis_agents.records import Incident

_PERSON = re.compile(r"[^\W\d_]{1,14}(?:[._-][^\W\d_]{1,14}){0,2}")
_DUTY = re.compile(
    r"svc|adm|root|system|service|guest|build|deploy|backup|scan|bot\b|\bbot|test|oper|user|runner|monitor|local|krbtgt"
    r"|postgres|mysql|oracle|jenkins|nginx|apache|www|daemon|agent|sync|cron|\bsa\b|\bda\b|vault|gitlab|ansible|puppet|robot"
    r"|reply|desk|team|dev|ops|web|mail|info|payable|billing|app|api|sql|dba|break|emerg|console|various|unknown|anonymous"
    r"|nobody|none|empty|domain|computer|network|account|terraform|kiosk|vendor|support|helpdesk|schedul",
    re.I,
)
_DIGITS = re.compile(r"[-_.]?\d+")
SHORTEST_NAME = 4
"""Shorter ones are as likely a word."""


def _is_person(name: str) -> bool:
    return len(name) >= SHORTEST_NAME and bool(_PERSON.fullmatch(name)) and not _DUTY.search(name)


def names_as_kinds(incident: Incident) -> Callable[[str], str]:
    """A function that reads a text of this incident with "person" for a person's account and hosts without their numbers."""
    kinds: dict[str, str] = {}
    for entity in incident.entities:
        if entity.kind == "user":
            account = entity.value.rpartition("\\")[2].partition("@")[0]
            if _is_person(account):
                kinds[account.lower()] = "person"
        elif entity.kind == "host":
            host = entity.value.partition(".")[0]
            plain = _DIGITS.sub("", host)
            if plain != host and len(plain) > 1 and len(host) >= SHORTEST_NAME:
                kinds[host.lower()] = plain
    if not kinds:
        return lambda text: text
    named = "|".join(re.escape(n) for n in sorted(kinds, key=lambda n: (-len(n), n)))
    pattern = re.compile(rf"(?<!\w)(?:{named})(?!\w)", re.I)
    return lambda text: pattern.sub(lambda found: kinds[found[0].lower()], text)
