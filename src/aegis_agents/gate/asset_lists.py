"""The customer's groups of assets, as settings list them, and whether something is listed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aegis_agents.errors import SettingsError
from aegis_agents.gate import addresses
from aegis_agents.gate.spelling import forms, pattern_of
from aegis_agents.gate.tiers import PROTECTED_GROUPS, TIERS, Tier

_LIST_OF: Final[Mapping[str, str]] = {
    "host": "hosts", "user": "users", "email": "users", "ip": "ips", "domain": "domains", "url": "domains",
    "resource": "resources", "cloud_account": "resources", "pod": "resources", "repository": "resources",
    "access_key": "resources",
}  # fmt: skip
_KIND_OF: Final[Mapping[str, str]] = {"hosts": "host", "users": "user", "domains": "domain"}
"""Lists whose entries can be spelled in several ways."""
_LISTS: Final = ("hosts", "users", "ips", "domains", "resources")


@dataclass(frozen=True)
class AssetGroup:
    name: str
    tier: Tier
    patterns: Mapping[str, re.Pattern[str]]
    networks: tuple[addresses.Network, ...]


def is_listed(entry: AssetGroup, kind: str, value: str) -> bool:
    if kind == "ip":
        address = addresses.parse(value)
        return address is not None and addresses.is_within(address, entry.networks)
    pattern = entry.patterns.get(_LIST_OF.get(kind, ""))
    return pattern is not None and any(pattern.match(form) for form in forms(kind, value))


def load_group(name: str, table: object) -> AssetGroup:
    where = f"assets.groups.{name}"
    if name.split() != [name] or name == "*":
        raise SettingsError(f"{where}: a group's name has no spaces in it, and is not *")
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where}: needs lists, as in hosts = [...]")
    if unknown := sorted(set(table) - set(_LISTS) - {"tier"}):
        raise SettingsError(f"{where}: unknown {', '.join(unknown)}; known are tier, {', '.join(_LISTS)}")
    shipped = name in PROTECTED_GROUPS
    tier = table.get("tier", "protected" if shipped else "standard")
    if tier not in TIERS or (shipped and tier != "protected"):
        allowed = "protected" if shipped else ", ".join(TIERS)
        raise SettingsError(f"{where}.tier: {tier!r} is not allowed; it can be {allowed}")
    lists = {key: texts(table[key], f"{where}.{key}") for key in _LISTS if key in table and key != "ips"}
    patterns = {key: pattern_of(globs, _KIND_OF.get(key, "")) for key, globs in lists.items() if globs}
    return AssetGroup(name, tier, patterns, networks(table.get("ips", ()), f"{where}.ips"))


def texts(values: object, where: str) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SettingsError(f"{where}: needs a list of texts")
    given = tuple(values)
    if not all(isinstance(text, str) and text.strip() for text in given):
        raise SettingsError(f"{where}: needs texts that are not empty")
    return given


def networks(values: object, where: str) -> tuple[addresses.Network, ...]:
    found = []
    for text in texts(values, where):
        try:
            found.append(addresses.network(text))
        except ValueError as error:
            raise SettingsError(f"{where}: {text!r} is no network like 10.0.0.0/8") from error
    return tuple(found)


def read_assets(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"assets: {path} can't be read: {error}") from error
