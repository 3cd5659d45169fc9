"""What a question names: ids, entities of the store, groups and software, a span of time, a verdict, an action."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import NamedTuple

from aegis_agents.assistant.examples import EXAMPLES
from aegis_agents.assistant.names import Subject
from aegis_agents.assistant.periods import Period, period_in
from aegis_agents.assistant.shelf import Named
from aegis_agents.assistant.words import function_words, written_out
from aegis_agents.intel.indicators import read_indicator
from aegis_agents.records import EntityKind

_INCIDENT = re.compile(r"\binc-[0-9a-f]{6,40}(?:-shadow-[0-9a-f]{8})?\b", re.I)
_ACTION = re.compile(r"\bact-[0-9a-f]{6,40}\b", re.I)
_GROUP = re.compile(r"(?:apt|fin|unc|uat|dev|storm|ta)-?\d{1,5}", re.I)
"""How vendors number threat groups: such a name that intelligence does not know is known to nobody here."""
_CVE = re.compile(r"\bcve-\d{4}-\d{4,12}\b", re.I)
_OBJECT = re.compile(r"(?<![\w.-])([TGSM]\d{4}(?:\.\d{3})?)(?![\w-])", re.I)
_WORD = re.compile(r"\"([^\"]{1,200})\"|“([^”]{1,200})”|([^\s,;!?()\"“”]{1,200})")
_CORPUS = {"T": "technique", "G": "group", "S": "software", "M": "mitigation"}
_KINDS: dict[str, EntityKind] = {
    "host": "host", "machine": "host", "server": "host", "computer": "host", "laptop": "host", "workstation": "host",
    "endpoint": "host", "user": "user", "account": "user", "login": "user", "identity": "user", "file": "file", "process": "process", "domain": "domain",
    "ip": "ip", "address": "ip", "hash": "hash", "key": "access_key", "pod": "pod", "email": "message", "mail": "message",
    "message": "message", "url": "url", "alert": "alert", "device": "host", "box": "host", "sessions": "user", "password": "user",
}  # fmt: skip
_BEFORE_NAME = frozenset(
    {"about", "on", "for", "involving", "from", "around", "named", "called", "concerning", "regarding"}
)
_EXAMPLE_NAMES: dict[str, EntityKind] = {
    "bob": "user", "bob's": "user", "alice": "user", "svc-backup": "user", "bob@corp.example": "user", "ws-1": "host", "srv-1": "host",
}  # fmt: skip
_INTEL_NAMES = {
    "apt29": "group", "apt28": "group", "apt41": "group", "fin7": "group", "lazarus group": "group",
    "wizard spider": "group", "mimikatz": "software", "cobalt strike": "software", "emotet": "software",
}  # fmt: skip
VERDICT_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"\btrue[ _-]positives?\b|\battacks?\b|\bmalicious\b|\bbreach(?:es)?\b|\bintrusions?\b|\btps?\b",
        ("true_positive",),
    ),
    (r"\bfalse[ _-]positives?\b|\bwrong detections?\b|\bfalse alarms?\b|\bmisfires?\b|\bfps?\b", ("false_positive",)),
    (r"\bbenign[ _-]positives?\b|\ballowed\b|\bauthori[sz]ed\b", ("benign_positive",)),
    (r"\bbenign\b|\bharmless\b|\binnocent\b", ("benign_positive", "false_positive")),
    (r"\bundetermined\b|\bundecided\b|\bunclear\b|\bunsure\b", ("undetermined",)),
)
_VERDICTS = [(re.compile(pattern, re.I), verdicts) for pattern, verdicts in VERDICT_WORDS]
_SEVERITY = re.compile(r"\b(informational|low|medium|high|critical)\b(?!-)", re.I)


class Mentions(NamedTuple):
    """What was named. `unknown` are names that nothing here bears; `kinds` the kinds of entity spoken of ("that host")."""

    incidents: tuple[str, ...]
    actions: tuple[str, ...]
    subjects: tuple[Subject, ...]
    cves: tuple[str, ...]
    indicators: tuple[Named, ...]
    entities: tuple[Named, ...]
    unknown: tuple[str, ...]
    kinds: tuple[EntityKind, ...]
    verdicts: tuple[str, ...]
    severities: tuple[str, ...]
    period: Period | None
    shape: str
    """The question with names and ids replaced by what they are."""


_INDICATOR_KINDS: dict[str, EntityKind] = {
    "ip": "ip", "domain": "domain", "url": "url", "email": "email", "sha256": "hash", "sha1": "hash", "md5": "hash",
}  # fmt: skip
_FILE = re.compile(
    r"\.(?:exe|dll|ps1|bat|cmd|js|vbs|py|sh|txt|log|pdf|docx?|xlsx?|json|xml|zip|rar|lnk|iso|msi|sys|hta)$", re.I
)

Finder = Callable[[str], Iterable[Named]]


@cache
def common_words() -> frozenset[str]:
    """Words of questions: a host or a malware of such a name is meant only where its kind or quotes say so."""
    own = {*_EXAMPLE_NAMES, *(w for name in _INTEL_NAMES for w in name.split())}
    words = {w for said in EXAMPLES.values() for q in said for w in re.findall(r"[\w'&-]+", q.lower())}
    return frozenset((words - own) | function_words() | _KINDS.keys())


def is_group_name(name: str) -> bool:
    """Whether it is how vendors number threat groups (APT29, FIN7)."""
    return _GROUP.fullmatch(name) is not None


def read_mentions(text: str, *, now: datetime, named: Finder, subject: Callable[[str], Subject | None]) -> Mentions:
    """What a question names; `named` finds entities of the store by name, `subject` groups and software."""
    text = written_out(text)
    incidents = [i.lower() for i in _INCIDENT.findall(text)]
    actions = [a.lower() for a in _ACTION.findall(text)]
    cves = [c.upper() for c in _CVE.findall(text)]
    objects = [o.upper() for o in _OBJECT.findall(text)]
    rest = text
    for pattern, kind in ((_INCIDENT, "the case"), (_ACTION, "the action"), (_CVE, "a vulnerability")):
        rest = pattern.sub(f" {kind} ", rest)
    rest = _OBJECT.sub(lambda m: f" a {_CORPUS[m[1][0].upper()]} ", rest)
    words = list(_words(rest))
    subjects = [Subject(_CORPUS[o[0]], o) for o in objects]
    entities: dict[Named, None] = {}
    indicators: dict[Named, None] = {}
    unknown: dict[str, None] = {}
    shaped: list[str] = []
    at = 0
    while at < len(words):
        word, quoted = words[at]
        found = None if quoted else _subject_at(words, at, subject)
        if found is not None:
            subjects.append(found[0])
            shaped.append("a group" if found[0].corpus == "group" else "a tool")
            at += found[1]
            continue
        before = words[at - 1][0].lower() if at else ""
        shaped.append(_shape_of(word, quoted, before, named, entities, indicators, unknown))
        at += 1
    kinds = [_KINDS[w] for w in (x.lower().removesuffix("s") for x, _ in words) if w in _KINDS]
    kinds += [_KINDS[x.lower()] for x, _ in words if x.lower() in _KINDS]
    verdicts = dict.fromkeys(v for pattern, vs in _VERDICTS if pattern.search(text) for v in vs)
    return Mentions(
        tuple(dict.fromkeys(incidents)), tuple(dict.fromkeys(actions)), tuple(dict.fromkeys(subjects)),
        tuple(dict.fromkeys(cves)), tuple(indicators), tuple(entities), tuple(unknown), tuple(dict.fromkeys(kinds)),
        tuple(verdicts), tuple(s.lower() for s in _SEVERITY.findall(text)), period_in(text, now), " ".join(shaped),
    )  # fmt: skip


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """The words, and whether each was in quotes."""
    for found in _WORD.finditer(text):
        quoted = found[1] or found[2]
        word = quoted or found[3].strip(".:'`").removesuffix("'s")
        if word:
            yield word, bool(quoted)


def _subject_at(
    words: list[tuple[str, bool]], at: int, subject: Callable[[str], Subject | None]
) -> tuple[Subject, int] | None:
    """The group or software named from this word on, and how many words its name has; the longest name wins."""
    for length in (4, 3, 2, 1):
        part = [w.lower() for w, quoted in words[at : at + length] if not quoted]
        if len(part) == length and (found := subject(" ".join(part))) is not None:
            return None if length == 1 and (part[0] in common_words() or len(part[0]) < 3) else (found, length)
    return None


def _shape_of(
    word: str, quoted: bool, before: str, named: Finder, entities: dict[Named, None], indicators: dict[Named, None],
    unknown: dict[str, None],
) -> str:  # fmt: skip
    """What stands for the word in the shape; what it names is noted."""
    lowered = word.lower()
    if lowered in common_words() and not quoted and not (before in _KINDS and _bears(named, word, _KINDS[before])):
        return lowered
    found = list(named(word))
    indicator = read_indicator(word) if re.search(r"[.:\[@]|^[0-9a-fA-F]{32,64}$", word) else None
    kind = _INDICATOR_KINDS.get(indicator.kind) if indicator else None
    if kind == "domain" and (found or _FILE.search(word)):
        kind = None if not any(e.kind == "domain" for e in found) else kind
    if indicator is not None and kind is not None:
        indicators[Named(kind, indicator.value)] = None
        found += [e for e in named(indicator.value) if e not in found]  # asked defanged
    if found:
        entities.update(dict.fromkeys(found))
        return f"the {'address' if found[0].kind == 'ip' else found[0].kind}"
    if kind is not None:
        return f"the {'address' if kind == 'ip' else kind}"
    if is_group_name(word):
        unknown[word] = None
        return "a group"
    if quoted or before in _KINDS or before in _BEFORE_NAME or re.search(r"\d.*[-_\\]|[-_\\].*\d|\\|@", word):
        unknown[word] = None
    return lowered


def _bears(named: Finder, word: str, kind: EntityKind) -> bool:
    return any(entity.kind == kind for entity in named(word))


def example_shape(text: str) -> str:
    """The shape of an example: the names in them are known by heart."""
    from datetime import UTC

    def named(word: str) -> list[Named]:
        kind = _EXAMPLE_NAMES.get(word.lower())
        return [Named(kind, word)] if kind else []

    def subject(name: str) -> Subject | None:
        corpus = _INTEL_NAMES.get(name)
        return Subject(corpus, name) if corpus else None

    fixed = re.sub(r"\binc-1\b", "inc-000000", re.sub(r"\bact-1\b", "act-000000", text))
    return read_mentions(fixed, now=datetime(2026, 1, 1, tzinfo=UTC), named=named, subject=subject).shape
