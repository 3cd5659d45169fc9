"""The egress allow-list, enforced in the process: a connection or look-up that is not on it does not happen.

What it is: an audit hook (PEP 578) on the events of Python's socket module, and a look at what `getaddrinfo` answers, so
that a connection goes to an address that an allowed name was answered with. What it is not: a sandbox. It does not see
C libraries that open sockets of their own (librdkafka, libpq, gRPC, uvloop), child processes, nor a hostile native
module, and a socket that connects by name has asked for the name before the hook hears of it (the connection is still
refused). The network's policy is the other half (docs/hardening.md).

A hook can't be removed, so there is one for the process, and it asks the policies in force: none, and it lets all pass.
With several, what one of them allows is allowed, since nobody can tell whose connection it is.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from aegis_agents.errors import EgressRefused
from aegis_agents.hardening.pins import Pins, plain, plain_name
from aegis_agents.hardening.places import Places, places_of
from aegis_agents.hardening.refusals import Refusals
from aegis_agents.settings import Settings

_LOCAL: Final = {getattr(socket, name) for name in ("AF_UNIX", "AF_NETLINK", "AF_ALG") if hasattr(socket, name)}
"""Families that never leave this machine: files' permissions and the kernel guard them."""

_in_force: tuple[Egress, ...] = ()
_changing = threading.Lock()
_installed = False


class Egress:
    """A policy in force until `lift`: `refusals` are what it refused."""

    def __init__(self, places: Places) -> None:
        self.places, self.pins, self.refusals = places, Pins(places), Refusals()

    def lift(self) -> None:
        """Take it out of force; the second time changes nothing."""
        global _in_force
        with _changing:
            _in_force = tuple(one for one in _in_force if one is not self)


def enforce(settings: Settings) -> Egress | None:
    """Put what settings say into force in this whole process; None where they say "open".

    For a process of Aegis' own (the `aegis` commands do it): a program that embeds Aegis decides for itself, since its
    own connections are refused too. Raises SettingsError for a reference to a database's secret that leads nowhere.
    """
    global _in_force, _installed
    if settings.hardening.egress == "open":
        return None
    made = Egress(places_of(settings))
    with _changing:
        if not _installed:
            import _socket

            # socket.getaddrinfo asks this one, whoever imported it and when.
            _socket.getaddrinfo = _watched(_socket.getaddrinfo)
            sys.addaudithook(_hook)
            _installed = True
        _in_force = (*_in_force, made)
    return made


@contextmanager
def enforced(settings: Settings) -> Iterator[Egress | None]:
    """`enforce` for as long as a block runs."""
    made = enforce(settings)
    try:
        yield made
    finally:
        if made is not None:
            made.lift()


def in_force() -> Egress | None:
    """What this process may connect to, the newest if several were made; None where nothing holds it."""
    return _in_force[-1] if _in_force else None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Called for every audit event of the interpreter: what is none of ours must cost next to nothing."""
    if _in_force and event[:7] == "socket.":
        check = _CHECKS.get(event)
        if check is not None:
            check(arguments)


def _asked_name(arguments: tuple[Any, ...]) -> None:
    """getaddrinfo, gethostbyname: a name that is not allowed is not even asked for, since asking already tells."""
    name = plain_name(arguments[0])
    if name is None or plain(name) is not None:
        return  # no name, or an address: nothing is asked
    if not any(one.pins.may_ask(name) for one in _in_force):
        _refuse(name, "name")


def _asked_and_pinned(arguments: tuple[Any, ...]) -> None:
    """What gethostbyname answers is not seen: the name is asked for once more, where it is."""
    _asked_name(arguments)
    name = plain_name(arguments[0])
    if name and plain(name) is None:
        socket.getaddrinfo(name, None)


def _connected(arguments: tuple[Any, ...]) -> None:
    """connect, sendto, sendmsg."""
    sock, where = arguments[0], arguments[1]
    if where is None or sock.family in _LOCAL:
        return  # connected before, and checked then
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        _refuse(f"address family {int(sock.family)}", "connect")
    host, port = plain_name(where[0]), where[1]
    address = plain(host or "0.0.0.0")  # noqa: S104 - what an empty host means to the kernel
    if address is None:
        if host != "localhost":  # it was resolved where nobody sees the answer
            _refuse(f"{host}:{port}", "connect by name")
        address = ipaddress.IPv4Address("127.0.0.1")
    if not any(one.pins.may_connect(address, port) for one in _in_force):
        _refuse(f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}", "connect")


def _looked_back(arguments: tuple[Any, ...]) -> None:
    """gethostbyaddr, getnameinfo: who belongs to an address is asked for those alone that may be connected to."""
    given = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
    host = plain_name(given)
    address = plain(host or "")
    if address is None:
        _asked_name((given,))
    elif not any(one.pins.may_connect(address, None) for one in _in_force):
        _refuse(str(address), "reverse look-up")


_CHECKS: Final[dict[str, Callable[[tuple[Any, ...]], None]]] = {
    "socket.getaddrinfo": _asked_name,
    "socket.gethostbyname": _asked_and_pinned,
    "socket.gethostbyaddr": _looked_back,
    "socket.getnameinfo": _looked_back,
    "socket.connect": _connected,
    "socket.sendto": _connected,
    "socket.sendmsg": _connected,
}


def _refuse(target: str, asked: str) -> None:
    for one in _in_force:
        one.refusals.add(target, asked)
    raise EgressRefused(
        f"{target!a:.300}: Aegis may not connect there ({asked}); if it should, name it in the setting that needs it or in "
        "hardening.egress_allow"
    )


def _watched(ask: Callable[..., Any]) -> Callable[..., Any]:
    """`getaddrinfo`, whose answers are kept for `connect`, less those that an allowed name may not have."""

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        if _in_force:
            _asked_name((host,))
        found = ask(host, *arguments, **named)
        name = plain_name(host)
        if not _in_force or name is None or plain(name) is not None:
            return found
        pinned = [one.pins.pin(name, [str(entry[4][0]) for entry in found]) for one in _in_force]
        kept = [entry for entry in found if any(str(entry[4][0]) in good for good in pinned)]
        if found and not kept:
            _refuse(f"{name} as {found[0][4][0]}", "answer that the name did not have before")
        return kept

    return getaddrinfo
