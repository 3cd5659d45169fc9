"""What an action's target is worth: its tier, its protected groups, and what it must not be mistaken for.

Two sources, and both can only raise protection: lists that the customer configures,
and signs in the incident's own facts.
"""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from aegis_agents.errors import SettingsError
from aegis_agents.gate import addresses
from aegis_agents.gate.asset_lists import AssetGroup, is_listed, load_group, networks, read_assets, texts
from aegis_agents.gate.asset_signs import groups_in_fact, groups_in_name
from aegis_agents.gate.spelling import forms, pattern_of
from aegis_agents.gate.system_files import system_file_beside
from aegis_agents.gate.tiers import PROTECTED_GROUPS, TIERS, Tier
from aegis_agents.gate.windows import Window
from aegis_agents.records import Entity, Incident, Target

_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "executives": frozenset({"user", "email", "access_key"}),
    "break_glass": frozenset({"user", "email", "access_key"}),
    "shared_infrastructure": frozenset({"host", "ip", "domain", "process", "file", "hash", "pod", "resource", "alert"}),
}
"""Groups of persons, and of machines; a sign for one in a fact says nothing about the other beside it."""
_ON_A_HOST: Final = frozenset({"process", "file", "hash", "pod"})
_ABOUT: Final = ("subject", "actor")
"""Roles of what the alert is about; others are merely met or named."""
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
class AssetRegister:
    """The customer's assets: groups by patterns, own networks and names, windows."""

    groups: tuple[AssetGroup, ...] = ()
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
            source = read_assets(Path(source))
        known = ("groups", "own_networks", "own_domains", "windows")
        if unknown := sorted(set(source) - set(known)):
            raise SettingsError(f"assets: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        own_domains = texts(source.get("own_domains", ()), "assets.own_domains")
        tables, windows = source.get("groups", {}), source.get("windows", ())
        if not isinstance(tables, Mapping):
            raise SettingsError("assets.groups: needs tables, as in [groups.lab]")
        if isinstance(windows, str | Mapping) or not all(isinstance(window, Mapping) for window in windows):
            raise SettingsError("assets.windows: needs a list of tables, as in [[windows]]")
        loaded = tuple(Window.load(w, f"assets.windows[{n}]") for n, w in enumerate(windows))
        for n, window in enumerate(loaded):
            if unknown := sorted(window.groups - set(tables) - set(PROTECTED_GROUPS)):
                raise SettingsError(f"assets.windows[{n}].groups: there is no group {', '.join(unknown)}")
        return cls(
            groups=tuple(load_group(name, table) for name, table in tables.items()),
            own_networks=networks(source.get("own_networks", ()), "assets.own_networks"),
            own_domains=pattern_of(own_domains, "domain") if own_domains else None,
            windows=loaded,
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
        holding = [window for window in self.windows if window.holds(now, groups)]
        window = next((w for w in holding if w.kind == "freeze"), holding[0] if holding else None)
        return AssetFacts(
            tier=tier,
            groups=groups,
            signs=tuple(sorted(signs.items())),
            internal=address is not None and addresses.is_internal(address),
            own=(address is not None and addresses.is_within(address, self.own_networks))
            or (domain is not None and self._owns(domain)),
            well_known=(address is not None and addresses.is_public_resolver(address))
            or (domain is not None and addresses.is_shared_name(domain)),
            window=window.kind if window else "",
            window_name=window.name if window else "",
        )

    def _owns(self, domain: str) -> bool:
        return self.own_domains is not None and any(self.own_domains.match(form) for form in forms("domain", domain))

    def _tier(self, group: str) -> Tier:
        if group in PROTECTED_GROUPS:
            return "protected"
        return max((entry.tier for entry in self.groups if entry.name == group), key=TIERS.index)

    def _signs(self, incident: Incident, target: Target) -> Iterator[tuple[str, str]]:
        """(group, why) from the lists, from names, and from the incident's facts."""
        for kind, value in _stands_for(incident, target):
            for entry in self.groups:
                if is_listed(entry, kind, value):
                    yield entry.name, "the asset list"
            for name in groups_in_name(kind, value):
                yield name, f"the name of a {kind}"
        if (provider := addresses.provider_of(target.kind, target.value)) is not None:
            yield "shared_infrastructure", f"everybody uses {provider}"
        paths = _paths(incident, lambda entity: (entity.kind, entity.value) == (target.kind, target.value))
        objects, mine = {path.rpartition(".")[0] for path in paths}, {_parent(path) for path in paths}
        if target.kind in ("file", "hash") and (path := system_file_beside(incident, target, objects)):
            yield "shared_infrastructure", f"{path} is the operating system's"
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
                if target.kind == "alert" or target.kind in _KINDS.get(name, frozenset({target.kind})):
                    yield name, f"fact {fact.id}"


def _stands_for(incident: Incident, target: Target) -> Iterator[tuple[str, str]]:
    """The target, and what goes with it: the host that it runs on or whose address it is, a host's addresses, a key's owner,
    whatever an alert is about."""
    yield target.kind, target.value
    if target.kind == "alert":
        yield from ((entity.kind, entity.value) for entity in incident.entities if entity.role != "observed")
    if target.kind in _ON_A_HOST:
        yield from (("host", entity.value) for entity in incident.entities if _is_subject_host(entity))
    elif target.kind == "access_key":
        yield from (("user", e.value) for e in incident.entities if e.kind == "user" and e.role in _ABOUT)
    elif target.kind == "host":
        mine = _places(incident, lambda entity: (entity.kind, entity.value) == ("host", target.value))
        for entity in incident.entities:
            if (
                entity.kind == "ip"
                and entity.role in _ABOUT
                and _places(incident, partial(operator.is_, entity)) & mine
            ):
                yield "ip", entity.value
    elif target.kind == "ip":
        mine = _places(incident, lambda entity: (entity.kind, entity.value) == ("ip", target.value)) - {""}
        for entity in incident.entities:
            if entity.kind == "host" and _places(incident, partial(operator.is_, entity)) & mine:
                yield "host", entity.value


def _is_subject_host(entity: Entity) -> bool:
    return entity.kind == "host" and entity.role in _ABOUT


def _places(incident: Incident, wanted: Callable[[Entity], bool]) -> set[str]:
    """Where in the alert the wanted entities are named."""
    return {_parent(path) for path in _paths(incident, wanted)}


def _paths(incident: Incident, wanted: Callable[[Entity], bool]) -> list[str]:
    """The fields that name the wanted entities."""
    ids = {fact_id for entity in incident.entities if wanted(entity) for fact_id in entity.facts}
    return [fact.path for fact in incident.facts if fact.id in ids] if ids else []


def _is_outsider(target: Target) -> bool:
    """Whether it need not be the customer's own: a name, a hash, a message, an address on the internet."""
    if target.kind == "ip":
        address = addresses.parse(target.value)
        return address is not None and not addresses.is_internal(address)
    return target.kind in ("domain", "url", "hash", "message")


def _is_rival(entity: Entity, target: Target) -> bool:
    """Whether it is another asset of the target's sort (a person or a machine); an alert has none, it is about all of them."""
    if target.kind == "alert":
        return False
    same_sort = (entity.kind in _IDENTITIES) == (target.kind in _IDENTITIES)
    return same_sort and entity.kind != "alert" and entity.value != target.value


def _parent(path: str) -> str:
    """The list element or object that a field stands in: "evidence[1]" for "evidence[1].user.name"."""
    cut = path.find("]")
    if cut >= 0:
        return path[: cut + 1]
    return path.rsplit(".", 1)[0] if "." in path else ""
