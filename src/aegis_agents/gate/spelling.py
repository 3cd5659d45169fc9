"""One name, many spellings: what directories, resolvers and people take for the same name is compared as the same.

Directories prepare names before they compare them (RFC 4518: compatibility forms, case, characters that are not
seen), resolvers turn names into ASCII (RFC 3490), and people take a letter for one that looks like it. Lists and signs
of protected assets are read by all of these, since at worst a person is asked once too often.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

_BEHIND: Final = ". \u1680\u2028\u2029"
"""Dots, and the blanks that NFKC leaves."""
_MARK: Final = re.compile(r"⟦U\+[0-9A-Fa-f]{4,6}⟧")
"""How aegis_agents.sources shows a character that is not seen."""
_DASH: Final = re.compile(r"[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_DOT: Final = re.compile("[\u3002\uff0e\uff61]")
_ALIKE: Final = str.maketrans(
    "асеорхуіјѕһԁցԛԝкмнтвАВЕНІКМОРСТХαοειρυνκτχ",
    "aceopxyijshdgqwkmhtbABEHIKMOPCTXaoeipuvktx",
)
"""Cyrillic and Greek letters that look Latin."""


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """The name as a directory compares it: one form of each character, one case, nothing that is not seen, no dot behind."""
    text = _DASH.sub("-", _DOT.sub(".", _MARK.sub("", text)))
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc")).strip().rstrip(_BEHIND)


@lru_cache(maxsize=8192)
def readings(text: str) -> tuple[str, ...]:
    """Every way in which the name may be meant, the plain one first: without accents, and with letters that look alike."""
    first = plain(text)
    if first.isascii():
        return (first,)
    found = [first, _without_accents(first)]
    latin = plain(_MARK.sub("", text).translate(_ALIKE))
    return tuple(dict.fromkeys((*found, latin, _without_accents(latin))))


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text).replace("ı", "i")
    return "".join(c for c in apart if not unicodedata.combining(c))


@lru_cache(maxsize=4096)
def domains(text: str) -> tuple[str, ...]:
    """A domain name as it is written and as it is asked for: in letters, and in ASCII ("xn--...")."""
    first = plain(text)
    return tuple(dict.fromkeys((first, _per_label(first, _to_ascii), _per_label(first, _to_letters))))


def _per_label(name: str, turn: Callable[[str], str]) -> str:
    return ".".join(turn(label) for label in name.split("."))


def _to_ascii(label: str) -> str:
    try:
        return label if label.isascii() else label.encode("idna").decode("ascii")
    except UnicodeError:  # no name that could be asked for; it stays as it is written
        return label


def _to_letters(label: str) -> str:
    try:
        return label.encode("ascii").decode("idna") if label.startswith("xn--") else label
    except UnicodeError:
        return label


def forms(kind: str, value: str) -> Iterator[str]:
    """The ways a list may name it: web-01.example.com as web-01, EXAMPLE\\ann and ann@example.com as ann.

    A domain is what a resolver is asked for and nothing else: one that looks alike is an attacker's, and to be blocked.
    """
    if kind in ("domain", "url"):
        yield from domains(value)
        return
    for name in readings(value):
        yield name
        yield _short(kind, name)


def _short(kind: str, name: str) -> str:
    """The name without where it belongs: a host without its domain, an account without its realm."""
    if kind == "host":
        return name.split(".", 1)[0]
    if kind in ("user", "email"):
        return re.split(r"[@+]", re.split(r"[\\/]", name)[-1], maxsplit=1)[0] or name
    return name


def pattern_of(globs: Iterable[str], kind: str) -> re.Pattern[str]:
    """What matches the forms of names that a list of globs means.

    Who lists dc1.example.com means dc1 too; "*.example.com" names no host by itself.
    """
    found: dict[str, None] = {}
    for glob in globs:
        name = plain(glob)
        short = _short(kind, name)
        found |= dict.fromkeys(domains(glob) if kind == "domain" else (name, short if short.strip("*?.") else name))
    return re.compile("|".join(fnmatch.translate(form) for form in found))
