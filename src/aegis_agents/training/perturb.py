"""Cosmetic changes that must not move a verdict: other people, other machine numbers, other order, another envelope."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

from aegis_agents.records import Incident
from aegis_agents.sources import parse
from aegis_agents.training.values import Values

Change = Literal["renamed", "reordered", "other format"]
CHANGES: tuple[Change, ...] = get_args(Change)
_PERSON = re.compile(r"[a-z]{1,12}[._]?[a-z]{2,14}", re.I)
_ROLE = re.compile(
    r"svc|admin|root|system|service|guest|build|deploy|backup|scan|bot$|^bot|test|^oper|user|runner|monitor|local|krbtgt"
    r"|postgres|mysql|oracle|jenkins|nginx|apache|www|daemon|agent|sync|cron|^sa$|vault|gitlab|ansible|puppet|robot|noreply",
    re.I,
)
_NUMBERED = re.compile(r"[A-Za-z][A-Za-z-]*\d{2,}")


def _new_names(incident: Incident, rng: random.Random) -> dict[str, str]:
    """Persons get other persons' names and numbered hosts other numbers; names that say what something is stay."""
    found: dict[str, str] = {}
    for entity in incident.entities:
        name = entity.value
        if entity.kind == "user" and _PERSON.fullmatch(name) and not _ROLE.search(name) and len(name) >= 4:
            found[name.lower()] = _other(lambda: str(Values(rng)["user"]), found)
        elif entity.kind == "host" and _NUMBERED.fullmatch(name):
            found[name.lower()] = _other(partial(_numbered, name, rng), found)
    return found


def _numbered(name: str, rng: random.Random) -> str:
    return re.sub(r"\d", lambda _: str(rng.randrange(10)), name)


def _other(draw: Callable[[], str], found: dict[str, str]) -> str:
    """A name that none of those before got: two machines must not become one."""
    taken = {name.lower() for name in found.values()}
    return next(name for _ in range(1000) if (name := draw()).lower() not in taken)


def _renamed(node: Any, names: dict[str, str], pattern: re.Pattern[str]) -> Any:
    if isinstance(node, dict):
        return {k: _renamed(v, names, pattern) for k, v in node.items()}
    if isinstance(node, list):
        return [_renamed(v, names, pattern) for v in node]
    return pattern.sub(lambda m: names.get(m[0].lower(), m[0]), node) if isinstance(node, str) else node


def _reordered(node: Any, rng: random.Random) -> Any:
    if isinstance(node, dict):
        keys = rng.sample(list(node), len(node))
        return {k: _reordered(node[k], rng) for k in keys}
    return [_reordered(v, rng) for v in node] if isinstance(node, list) else node


def renamed(alert: dict[str, Any], format: str, rng: random.Random) -> dict[str, Any] | None:
    """The alert with other persons and machine numbers in it; None where it names none."""
    names = _new_names(parse(alert, format=format), rng)
    if not names:
        return None
    pattern = re.compile(
        "|".join(rf"(?<![\w]){re.escape(n)}(?![\w])" for n in sorted(names, key=len, reverse=True)), re.I
    )
    found: dict[str, Any] = _renamed(alert, names, pattern)
    return found


def perturb(alert: dict[str, Any], format: str, change: Change, rng: random.Random) -> Incident | None:
    """The alert after one change, read anew; None where the change leaves nothing to change."""
    if change == "reordered":
        return parse(_reordered(alert, rng), format=format)
    if change == "other format":
        return parse(alert, format="generic") if format != "generic" else None
    changed = renamed(alert, format, rng)
    return None if changed is None else parse(changed, format=format)
