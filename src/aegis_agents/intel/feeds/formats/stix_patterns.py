"""Values to look up in a STIX pattern: "[ipv4-addr:value = '203.0.113.7' OR domain-name:value = 'evil.example']".

Only patterns that one observed value can meet are read. stix2 parses them (ANTLR, about 1 ms a comparison), but the
commonest, a single comparison, is read by a regular expression: 20,000 of them took 17 s through stix2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aegis_agents.errors import IntelError
from aegis_agents.intel.feeds.formats.indicator_documents import find_indicator
from aegis_agents.intel.indicators import Indicator

MAX_PATTERN = 8192
"""Characters of one pattern that is parsed (some 250 comparisons)."""

MAX_PARSED = 4_000_000
"""Characters of all patterns of a feed that are parsed; some 40 s."""

_SIMPLE = re.compile(r"\s*\[\s*([a-z0-9-]{1,64}:[\w.'-]{1,64})\s*=\s*'((?:[^'\\]|\\['\\])*)'\s*\]\s*")
_PATHS: dict[str, tuple[str, ...]] = {
    "ipv4-addr:value": ("ip", "net"), "ipv6-addr:value": ("ip", "net"), "domain-name:value": ("domain",),
    "url:value": ("url",), "email-addr:value": ("email",),
    "file:hashes.md5": ("md5",), "file:hashes.sha1": ("sha1",), "file:hashes.sha256": ("sha256",),
}  # fmt: skip
_HASHES = ("md5", "sha1", "sha256")


class Unusable(ValueError):
    """The pattern says something that a look-up of one value can't answer; the message says what."""


class PatternReader:
    """Reads the patterns of one feed, and stops parsing when they cost too much in all."""

    def __init__(self) -> None:
        self._left = MAX_PARSED

    def values(self, pattern: str) -> list[Indicator]:
        """The values, each of which alone meets the pattern. Raises Unusable."""
        simple = _SIMPLE.fullmatch(pattern) if len(pattern) <= MAX_PATTERN else None
        if simple is not None:
            return [_value(simple[1], re.sub(r"\\(.)", r"\1", simple[2]))]
        if len(pattern) > MAX_PATTERN:
            raise Unusable(f"the pattern is longer than {MAX_PATTERN} characters")
        self._left -= len(pattern)
        if self._left < 0:
            raise Unusable(f"the feed's patterns are more than {MAX_PARSED:,} characters in all")
        found = _observations(_parsed(pattern))
        return list(dict.fromkeys(found))


def _parsed(pattern: str) -> Any:
    try:
        from stix2.pattern_visitor import create_pattern_object
        from stix2patterns.exceptions import ParseException
    except ImportError as error:
        raise IntelError(f'{error.name} is not installed: pip install "aegis-soc-agents[feeds]"') from error

    try:
        return create_pattern_object(pattern)
    except RecursionError as error:
        raise Unusable("the pattern is nested too deep") from error
    # What the visitor raises for constants that it can't make sense of is not documented.
    except (ParseException, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise Unusable(f"is no STIX pattern: {error}") from error


def _observations(node: Any) -> list[Indicator]:
    from stix2 import patterns as p

    if isinstance(node, p.ParentheticalExpression):
        return _observations(node.expression)
    if isinstance(node, p.ObservationExpression):
        return _comparisons(node.operand)
    if isinstance(node, p.OrObservationExpression):
        return _either(node.operands, _observations)
    if isinstance(node, p.AndObservationExpression):
        return _every(node.operands, _observations)
    raise Unusable("is about an order or a number of observations, not about single values")


def _comparisons(node: Any) -> list[Indicator]:
    from stix2 import patterns as p

    if isinstance(node, p.ParentheticalExpression):
        return _comparisons(node.expression)
    if isinstance(node, p.OrBooleanExpression):
        return _either(node.operands, _comparisons)
    if isinstance(node, p.AndBooleanExpression):
        return _every(node.operands, _comparisons)
    operator, path = getattr(node, "operator", None), str(getattr(node, "lhs", ""))
    if getattr(node, "negated", False) or operator not in ("=", "IN", "ISSUBSET"):
        raise Unusable(f"{operator} can't be looked up")
    if operator == "ISSUBSET" and not path.startswith(("ipv4-addr:", "ipv6-addr:")):
        raise Unusable("ISSUBSET is for addresses")
    constants = node.rhs.value if isinstance(node.rhs, p.ListConstant) else [node.rhs]
    return [_value(path, c.value) for c in constants]


def _either(operands: Iterable[Any], read: Any) -> list[Indicator]:
    """Of alternatives, those that can be looked up."""
    found: list[Indicator] = []
    why = "has no alternatives"
    for operand in operands:
        try:
            found += read(operand)
        except Unusable as error:
            why = str(error)
    if not found:
        raise Unusable(why)
    return found


def _every(operands: Iterable[Any], read: Any) -> list[Indicator]:
    """Of conditions that must hold together, all; or the hashes alone, since a hash is one file whatever its name.

    An address with a port is not the address alone: such a pattern is not usable.
    """
    found: list[Indicator] = []
    why = None
    for operand in operands:
        try:
            found += read(operand)
        except Unusable as error:
            why = error
    hashes = [f for f in found if f.kind in _HASHES]
    if why is not None and not hashes:
        raise Unusable(f"asks for more than one thing at once, and of one: {why}")
    return hashes if why is not None else found


def _value(path: str, value: object) -> Indicator:
    place = path.replace("'", "").replace('"', "")
    kind, _, alone = place.partition("hashes.")
    key = f"{kind}hashes.{alone.replace('-', '').lower()}" if alone else place
    kinds = _PATHS.get(key)
    if kinds is None:
        raise Unusable(f"{place[:60]} is not looked up")
    found = find_indicator(value) if isinstance(value, str) else None
    if found is None or found.kind not in kinds:
        raise Unusable(f"the value of {place[:60]} is none")
    return found
