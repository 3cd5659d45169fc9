"""Which addresses an allowed name stands for: those it was answered with, and of one kind for as long as it is known.

Against DNS rebinding: a name that was answered with public addresses is not believed when it is suddenly answered with
one inside the organisation or on this machine, nor the other way round.
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

from aegis_agents.hardening.places import Place, Places

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Kind = Literal["public", "internal", "loopback", "never"]

_MOST = 20_000
"""Names and addresses remembered; a wildcard allows any number of them."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_HERE = ("localhost", "")
_SCOPE = re.compile(r"[A-Za-z0-9_.-]{1,15}")  # an interface, or its number
_ANY = (ipaddress.IPv4Address(0), ipaddress.IPv6Address(0))


def plain_name(host: Any) -> str | None:
    """A host as it is asked for: small letters, without the root's dot, in ASCII; None for none."""
    if host is None:
        return None
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("utf-8", "backslashreplace")
    name = str(host).lower().removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return name  # falls under no entry
    return name


@lru_cache(maxsize=4096)
def plain(host: str) -> Address | None:
    """The address that a text is, IPv4 also where it is mapped or translated into IPv6; None if it is none.

    What only a resolver reads as an address ("127.1", "0x7f.1") is none, and so a name that is not allowed. The
    unspecified address is this machine: that is where the kernel connects to.
    """
    number, scoped, scope = host.partition("%")
    if scoped and not (":" in number and _SCOPE.fullmatch(scope)):
        return None  # to a resolver "127.0.0.1%told.example" is a name, and it asks for it
    try:
        address = ipaddress.ip_address(number)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return ipaddress.IPv4Address("127.0.0.1") if address in _ANY else address


@lru_cache(maxsize=4096)
def kind_of(address: Address) -> Kind:
    """Where an address lies."""
    if address.is_loopback:
        return "loopback"
    from aegis_agents.intel.feeds.addresses import reach

    return reach(address)


class Pins:
    """Thread-safe."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.RLock()  # the collector may run anything here, and that may connect
        self._kinds: OrderedDict[str, frozenset[Kind]] = OrderedDict()
        self._names: OrderedDict[Address, set[str]] = OrderedDict()

    def may_ask(self, name: str) -> bool:
        """Whether a name may be looked up."""
        return bool(self._places.named(name)) or (name in _HERE and self._places.loopback)

    def may_connect(self, address: Address, port: int | None) -> bool:
        """Whether an address may be connected to: it is listed, an allowed name's, or this machine where that is allowed."""
        if (address.is_loopback and self._places.loopback) or self._places.listed(address, port):
            return True
        with self._lock:
            names = tuple(self._names.get(address, ()))
        return any(place.port is None or port in (None, place.port) for n in names for place in self._places.named(n))

    def pin(self, name: str, answers: Iterable[str]) -> set[str]:
        """Remember what a name was answered with; answers those of them that it may stand for."""
        addresses = {text: address for text in answers if (address := plain(text)) is not None}
        if name in _HERE:
            good = {text: address for text, address in addresses.items() if address.is_loopback}
            with self._lock:
                for address in good.values():
                    _keep(self._names, address, self._names.get(address, set()) | {name})
            return set(good)
        entries = self._places.named(name)
        if not entries:
            return set()
        with self._lock:
            bound = self._kinds.get(name) or _allowed_kinds(entries)
            good = {
                text: address for text, address in addresses.items()
                if bound is None or kind_of(address) in bound or self._places.listed(address, None)
            }  # fmt: skip
            if bound is None:  # the first answer binds
                good = {t: a for t, a in good.items() if kind_of(a) != "never" or self._places.listed(a, None)}
                bound = frozenset(kind_of(address) for address in good.values())
            if good:
                _keep(self._kinds, name, bound)
            for address in good.values():
                _keep(self._names, address, self._names.get(address, set()) | {name})
        return set(good)


def _allowed_kinds(entries: Iterable[Place]) -> frozenset[Kind] | None:
    """What the entries say of a name; None where they leave it to its first answer."""
    said = {entry.internal for entry in entries}
    if None in said:
        return None
    return frozenset(("public", "internal", "loopback")) if True in said else frozenset(("public",))


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _MOST:
        kept.popitem(last=False)
