"""Does an address of the alert lie in a range, or a list of addresses, that another fact names?"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from aegis_agents.records import Entity
from aegis_agents.sources.keys import word_set
from aegis_agents.sources.relation import Relation, View, named
from aegis_agents.sources.shapes import IPAddress, as_ip, ips_in, is_internal

_MOST_RANGES: Final = 200
"""Of one alert; who stands in none of so many is not called outside, since more may have been named."""
_MOST_ADDRESSES: Final = 12
_READ: Final = 2000
"""Characters of a value; what was not read whole excludes nobody."""
_CIDR = re.compile(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})/(\d{1,2})(?![\w.]\d)")
_CIDR6 = re.compile(r"(?<![\w:])([0-9A-Fa-f:]{2,39})/(\d{1,3})(?!\w)")
_PATH_CIDR = re.compile(r"(?<!\d)((?:\d{1,3}[._]){3}\d{1,3})_(\d{1,2})(?!\d)")
_ENDS = re.compile(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})\s?(?:-|–|\.\.|to)\s?((?:\d{1,3}\.){3}\d{1,3})(?![\w.]\d)")
_LISTING: Final = word_set("allowed allowlist known scanner scanners expected sources egress published pool")


class _Range(NamedTuple):
    first: IPAddress
    last: IPAddress
    text: str
    view: View

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
            return False
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)


def range_relations(views: Sequence[View], entities: Sequence[Entity]) -> list[Relation]:
    """Inside and outside, for each named range and each address that takes part in the event."""
    by_id = {view.fact.id: view for view in views}
    addresses = [
        (address, entity, by_id[entity.facts[0]])
        for entity in entities
        if entity.kind == "ip" and entity.role != "observed" and entity.facts and entity.facts[0] in by_id
        and (address := as_ip(entity.value)) is not None
    ][:_MOST_ADDRESSES]  # fmt: skip
    if not addresses:
        return []
    return [*_placed(_ranges(views), addresses), *_listed(views, addresses)]


def _placed(ranges: Sequence[_Range], addresses: Sequence[tuple[IPAddress, Entity, View]]) -> Iterator[Relation]:
    """Inside one range of a field, or outside all of them: a field that lists several (or a list of them) says one thing."""
    fields: dict[str, list[_Range]] = defaultdict(list)
    for span in ranges:
        fields[span.view.keys.joined].append(span)
    all_read = len(ranges) < _MOST_RANGES
    for spans in fields.values():
        for address, entity, view in addresses:
            of_its_kind = [s for s in spans if s.view.fact.id != view.fact.id and s.first.version == address.version]
            which = f"{view.keys.leaf or 'address'} {entity.value}"
            inside = next((s for s in of_its_kind if address in s), None)
            # An address of the organization lies outside every public range, which says nothing; who came from outside
            # one that names where they should come from says much.
            telling = [s for s in of_its_kind if entity.role == "actor" or is_internal(address) == is_internal(s.first)]
            if inside is not None:
                said = f"inside named range: {which} in {inside.text}"
            elif telling and all_read and all(len(s.view.fact.value) <= _READ for s in spans):
                said = f"outside named range: {which} not in {', '.join(s.text for s in telling[:3])}"
            else:
                continue
            other = (inside or telling[0]).view
            yield Relation(
                "address_in_range", f"address {said} {named(other, other.fact.value)}", (view.fact, other.fact)
            )


def _ranges(views: Sequence[View]) -> list[_Range]:
    found: list[_Range] = []
    for view in views:
        text = view.fact.value[:_READ]
        if "/" in text:
            for match in _CIDR.finditer(text):
                found.extend(_network(match.group(1), match.group(2), view))
            for match in _CIDR6.finditer(text) if ":" in text else ():
                found.extend(_network(match.group(1), match.group(2), view))
        if text.count(".") > 5:
            for match in _ENDS.finditer(text):
                first, last = as_ip(match.group(1)), as_ip(match.group(2))
                if first is not None and last is not None and int(first) < int(last):
                    found.append(_Range(first, last, match.group(), view))
        if "_" in view.fact.path:  # labels whose keys hold the range, since values may not: subnet_10.0.9.0_24
            for match in _PATH_CIDR.finditer(view.fact.path):
                found.extend(_network(match.group(1).replace("_", "."), match.group(2), view))
        if len(found) >= _MOST_RANGES:
            break
    return found[:_MOST_RANGES]


def _network(address: str, length: str, view: View) -> Iterator[_Range]:
    try:
        network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        return
    if network.prefixlen >= 4:  # "everything" is no range
        yield _Range(network.network_address, network.broadcast_address, f"{address}/{length}", view)


def _listed(views: Sequence[View], addresses: Sequence[tuple[IPAddress, Entity, View]]) -> Iterator[Relation]:
    for view in views:
        listing = view.keys.words & _LISTING or (view.fact.trust == "organization" and "," in view.fact.value)
        listed = ips_in(view.fact.value[:_READ]) if listing and as_ip(view.fact.value) is None else []
        for _, entity, own in addresses if listed else ():
            if own.fact.id == view.fact.id or entity.role == "peer":
                continue
            which = f"{own.keys.leaf} {entity.value}"
            if entity.value in listed:
                text = f"address is one of those named: {which} {named(view, view.fact.value)}"
            elif len(view.fact.value) <= _READ:
                text = f"address is not one of those named: {which} {named(view, view.fact.value)}"
            else:
                continue
            yield Relation("address_listed", text, (own.fact, view.fact))
