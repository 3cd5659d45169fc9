"""Looks for honeytokens in what is about to leave: fake secrets that are planted where nobody has a reason to read them.

Whatever sends something out asks `stopped` first. Nothing is armed until `aegis monitor` has planted some
(`monitor/honeytokens.py`), and then a look costs some microseconds a kilobyte. It finds them in any case and with anything
between their characters, backwards, in hexadecimal and in base64; not encrypted, nor cut in pieces over several messages.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

_OTHER: Final = re.compile(r"[^a-z0-9]+")
LEAST: Final = 10
"""Letters and digits of a token; of fewer, innocent text might hold one."""


class _Needle(NamedTuple):
    name: str
    plain: tuple[str, ...]
    encoded: tuple[str, ...]


class _Armed(threading.local):
    """Whether this thread is telling of a leak: what tells is not asked again."""

    telling = False


_needles: tuple[_Needle, ...] = ()
_listeners: tuple[Callable[[str, str], None], ...] = ()
_state, _lock = _Armed(), threading.Lock()


def arm(tokens: Mapping[str, str]) -> None:
    """Look for these from now on, by name. Raises ValueError for one that is too short."""
    global _needles
    made = {name: _needle(name, token) for name, token in tokens.items()}
    with _lock:
        _needles = (*(needle for needle in _needles if needle.name not in made), *made.values())


def listen(listener: Callable[[str, str], None]) -> None:
    """Tell `listener` of each leak that is stopped: the token's name, and by which way it would have left."""
    global _listeners
    with _lock:
        if listener not in _listeners:
            _listeners = (*_listeners, listener)


def disarm() -> None:
    """Look for nothing any more, and tell nobody."""
    global _needles, _listeners
    with _lock:
        _needles, _listeners = (), ()


def leaked(text: str) -> str | None:
    """The name of a honeytoken that the text holds; None where it holds none."""
    if not _needles:
        return None
    plain, unbroken = _OTHER.sub("", text.casefold()), "".join(text.split())  # base64 is often broken into lines
    for needle in _needles:
        if any(part in plain for part in needle.plain) or any(part in unbroken for part in needle.encoded):
            return needle.name
    return None


def stopped(text: str, way: str) -> str:
    """Why a text must not leave, "" while it may; whoever listens is told. `way` is where to: "write path", "log"."""
    name = leaked(text)
    if name is None:
        return ""
    if not _state.telling:
        _state.telling = True
        try:
            for listener in _listeners:
                try:
                    listener(name, way)
                except Exception:  # noqa: BLE001, S112 - whoever can't write it down must not let it leave, nor break who asks
                    continue
        finally:
            _state.telling = False
    return f"it holds the honeytoken {name!r}, which must never leave"


def _needle(name: str, token: str) -> _Needle:
    plain = _OTHER.sub("", token.casefold())
    if len(plain) < LEAST:
        raise ValueError(f"the honeytoken {name!r} has fewer than {LEAST} letters and digits")
    raw = token.encode()
    encoded = []
    for before in range(3):  # base64 reads three bytes at a time: a token can begin at any of them
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = whole[(before * 8 + 5) // 6 : len(whole) - 1]
        encoded += [inner, inner.replace("+", "-").replace("/", "_")]
    hexed = raw.hex()
    return _Needle(name, (plain, plain[::-1], hexed), tuple(dict.fromkeys(encoded)))
