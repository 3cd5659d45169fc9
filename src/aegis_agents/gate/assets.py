"""What an action's target is worth: its tier, its protected groups, and what it must not be mistaken for.

Two sources, and both can only raise protection: lists that the customer configures,
and signs in the incident's own facts.
"""

from __future__ import annotations

import fnmatch
import hashlib
import ipaddress
import operator
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from aegis_agents.errors import SettingsError
from aegis_agents.gate import addresses
from aegis_agents.gate.asset_signs import groups_in_fact, groups_in_name
from aegis_agents.gate.tiers import PROTECTED_GROUPS, TIERS, Tier
from aegis_agents.gate.windows import Window
from aegis_agents.records import Entity, Incident, Target

_LIST_OF: Final[Mapping[str, str]] = {
    "host": "hosts", "user": "users", "email": "users", "ip": "ips", "domain": "domains", "url": "domains",
    "resource": "resources", "cloud_account": "resources", "pod": "resources", "repository": "resources",
    "access_key": "resources",
}  # fmt: skip
_LISTS: Final = ("hosts", "users", "ips", "domains", "resources")
_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "executives": frozenset({"user", "email", "access_key"}),
    "break_glass": frozenset({"user", "email", "access_key"}),
    "shared_infrastructure": frozenset({"host", "ip", "domain", "process", "file", "pod", "resource", "alert"}),
}
"""Groups of persons, and of machines; a sign for one in a fact says nothing about the other beside it."""
_ON_A_HOST: Final = frozenset({"process", "file", "hash", "pod"})
_IDENTITIES: Final = frozenset({"user", "email", "access_key"})


@dataclass(frozen=True)
class AssetFacts:
    """What is known of one target. `signs` maps each group to why the target is counted in it."""

    tier: Tier = "standard"
    groups: frozenset[str] = frozenset()
    signs: tuple[tuple[str, str], ...] = ()
    internal: bool = False
    own: bool = False
    well_known: bool = False
    window: str = ""
    window_name: str = ""

    def shown(self) -> dict[str, str | bool]:
        """As a decision records it, with why it is counted in each group."""
        return {
            "tier": self.tier, "groups": " ".join(sorted(self.groups)),
            "signs": "; ".join(f"{name}: {why}" for name, why in self.signs),
            "internal": self.internal, "own": self.own, "well_known": self.well_known,
            "window": self.window, "window.name": self.window_name,
        }  # fmt: skip


@dataclass(frozen=True)
class _Group:
    name: str
    tier: Tier
    patterns: Mapping[str, re.Pattern[str]]
    networks: tuple[addresses.Network, ...]


@dataclass(frozen=True)
class AssetRegister:
    """The customer's assets: groups by patterns, own networks and names, windows."""

    groups: tuple[_Group, ...] = ()
    own_networks: tuple[addresses.Network, ...] = ()
    own_domains: re.Pattern[str] | None = None
    windows: tuple[Window, ...] = ()
    digest: str = ""
    """Of the settings that it was made from."""

    @classmethod
    def load(cls, source: Mapping[str, Any] | str | Path | AssetRegister | None) -> AssetRegister:
        """From a mapping or a TOML file:

            own_networks = ["198.51.100.0/24"]
            own_domains = ["example.com", "*.example.com"]
            [groups.domain_controllers]       # shipped groups are protected
            hosts = ["dc-*"]
            ips = ["10.0.0.0/28"]
            [groups.lab]                      # your own: tier standard, important or protected
            tier = "important"
            hosts = ["lab-*"]
            [[windows]]
            kind = "freeze"
            start = 2026-12-20T18:00:00+01:00
            end = 2027-01-07T06:00:00+01:00

        Lists are hosts, users, domains, resources (globs) and ips (networks).
        SettingsError names the entry that is wrong.
        """
        if source is None:
            return cls()
        if isinstance(source, AssetRegister):
            return source
        if not isinstance(source, Mapping):
            source = _read(Path(source))
        known = ("groups", "own_networks", "own_domains", "windows")
        if unknown := sorted(set(source) - set(known)):
            raise SettingsError(f"assets: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        own_domains = _texts(source.get("own_domains", ()), "assets.own_domains")
        return cls(
            groups=tuple(_group(name, table) for name, table in source.get("groups", {}).items()),
            own_networks=_networks(source.get("own_networks", ()), "assets.own_networks"),
            own_domains=_globs(own_domains) if own_domains else None,
            windows=tuple(Window.load(w, f"assets.windows[{n}]") for n, w in enumerate(source.get("windows", ()))),
            digest=hashlib.sha256(repr(source).encode()).hexdigest()[:16],
        )

    def look_up(self, incident: Incident, target: Target, now: datetime) -> AssetFacts:
        """What is known of this target at this time.

        Closing an alert counts as touching all that the alert speaks of.
        """
        signs: dict[str, str] = {}
        for name, why in self._signs(incident, target):
            signs.setdefault(name, why)
        tier: Tier = max((self._tier(name) for name in signs), key=TIERS.index, default="standard")
        groups = frozenset(signs)
        address = addresses.parse(target.value) if target.kind == "ip" else None
        domain = target.value if target.kind == "domain" else None
        window = next((window for window in self.windows if window.holds(now, groups)), None)
        return AssetFacts(
            tier=tier,
            groups=groups,
            signs=tuple(sorted(signs.items())),
            internal=address is not None and addresses.is_internal(address),
            own=(address is not None and _within(address, self.own_networks))
            or (domain is not None and self._owns(domain)),
            well_known=(address is not None and addresses.is_public_resolver(address))
            or (domain is not None and addresses.is_shared_name(domain)),
            window=window.kind if window else "",
            window_name=window.name if window else "",
        )

    def _owns(self, domain: str) -> bool:
        return self.own_domains is not None and self.own_domains.match(domain.casefold()) is not None

    def _tier(self, group: str) -> Tier:
        if group in PROTECTED_GROUPS:
            return "protected"
        return max((entry.tier for entry in self.groups if entry.name == group), key=TIERS.index)

    def _signs(self, incident: Incident, target: Target) -> Iterator[tuple[str, str]]:
        """(group, why) from the lists, from names, and from the incident's facts."""
        for kind, value in _stands_for(incident, target):
            for entry in self.groups:
                if _listed(entry, kind, value):
                    yield entry.name, "the asset list"
            for name in groups_in_name(kind, value):
                yield name, f"the name of a {kind}"
        mine = _places(incident, lambda entity: (entity.kind, entity.value) == (target.kind, target.value))
        others = _places(incident, lambda entity: _is_rival(entity, target)) - mine - {""}
        outsider = _is_outsider(target)
        for fact in incident.facts:
            found = groups_in_fact(fact)
            if not found or (fact.derived and " not in " in fact.value):
                continue  # a derived fact that the target lies outside a range says the opposite
            if target.value.casefold() not in fact.value.casefold():
                place = _parent(fact.path)
                if place in others:
                    continue  # it stands beside another asset of the same sort, and speaks of that one
                if outsider and (not place or place not in mine):
                    continue  # and of somebody else's address or name only where it is beside it
            for name in found:
                if target.kind in _KINDS.get(name, frozenset({target.kind})):
                    yield name, f"fact {fact.id}"


def _stands_for(incident: Incident, target: Target) -> Iterator[tuple[str, str]]:
    """The target, and the hosts that go with it: what runs on a host, and an address beside a host's name."""
    yield target.kind, target.value
    if target.kind in _ON_A_HOST:
        yield from (("host", entity.value) for entity in incident.entities if _is_subject_host(entity))
    elif target.kind == "ip":
        mine = _places(incident, lambda entity: (entity.kind, entity.value) == ("ip", target.value)) - {""}
        for entity in incident.entities:
            if entity.kind == "host" and _places(incident, partial(operator.is_, entity)) & mine:
                yield "host", entity.value


def _is_subject_host(entity: Entity) -> bool:
    return entity.kind == "host" and entity.role in ("subject", "actor")


def _places(incident: Incident, wanted: Callable[[Entity], bool]) -> set[str]:
    """Where in the alert the wanted entities are named."""
    ids = {fact_id for entity in incident.entities if wanted(entity) for fact_id in entity.facts}
    return {_parent(fact.path) for fact in incident.facts if fact.id in ids} if ids else set()


def _is_outsider(target: Target) -> bool:
    """Whether it need not be the customer's own: a name, a hash, a message, an address on the internet."""
    if target.kind == "ip":
        address = addresses.parse(target.value)
        return address is not None and not addresses.is_internal(address)
    return target.kind in ("domain", "url", "hash", "message")


def _is_rival(entity: Entity, target: Target) -> bool:
    """Whether it is another asset of the target's sort (a person or a machine)."""
    same_sort = (entity.kind in _IDENTITIES) == (target.kind in _IDENTITIES)
    return same_sort and entity.kind != "alert" and entity.value != target.value


def _parent(path: str) -> str:
    """The list element or object that a field stands in: "evidence[1]" for "evidence[1].user.name"."""
    cut = path.find("]")
    if cut >= 0:
        return path[: cut + 1]
    return path.rsplit(".", 1)[0] if "." in path else ""


def _listed(entry: _Group, kind: str, value: str) -> bool:
    if kind == "ip":
        address = addresses.parse(value)
        return address is not None and _within(address, entry.networks)
    pattern = entry.patterns.get(_LIST_OF.get(kind, ""))
    return pattern is not None and any(pattern.match(form) for form in _forms(kind, value.casefold()))


def _forms(kind: str, value: str) -> tuple[str, ...]:
    """The ways a list may spell it: web-01.example.com as web-01, EXAMPLE\\ann as ann, ann@example.com as ann."""
    if kind == "host":
        return (value, value.split(".", 1)[0])
    if kind in ("user", "email"):
        return (value, value.rsplit("\\", 1)[-1], value.split("@", 1)[0])
    return (value,)


def _within(address: addresses.Address, networks: Iterable[addresses.Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _group(name: str, table: object) -> _Group:
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
    lists = {key: _texts(table[key], f"{where}.{key}") for key in _LISTS if key in table and key != "ips"}
    patterns = {key: _globs(globs) for key, globs in lists.items() if globs}
    return _Group(name, tier, patterns, _networks(table.get("ips", ()), f"{where}.ips"))


def _texts(values: object, where: str) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SettingsError(f"{where}: needs a list of texts")
    texts = tuple(values)
    if not all(isinstance(text, str) and text for text in texts):
        raise SettingsError(f"{where}: needs texts that are not empty")
    return texts


def _globs(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob.casefold()) for glob in globs))


def _networks(values: object, where: str) -> tuple[addresses.Network, ...]:
    networks = []
    for text in _texts(values, where):
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            raise SettingsError(f"{where}: {text!r} is no network like 10.0.0.0/8") from error
    return tuple(networks)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"assets: {path} can't be read: {error}") from error
