"""Indicators: what kind a value is, and the one form in which it is kept and looked up.

Reports are defanged ("hxxp://evil[.]example"), logs are not: both read alike here.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

IndicatorKind = Literal["ip", "net", "domain", "url", "email", "sha256", "sha1", "md5"]

MAX_LENGTH = 2048
"""Characters of a value; no URL that a browser takes is longer."""

_SCHEME = re.compile(r"^(?:h(?:xx|tt|\*\*)p(s?)|fxp|ftp)(?:\[:\]|:)//", re.I)
_SPACES = re.compile(r"\s{2,}")
_DOTS = re.compile(r"\s?(?:\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\[\.|\.\])\s?", re.I)
_ATS = re.compile(r"\s?(?:\[@\]|\(@\)|\[at\]|\(at\))\s?", re.I)
_COLONS = re.compile(r"\[:\]")
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})\.?")
_HASHES: dict[int, IndicatorKind] = {64: "sha256", 40: "sha1", 32: "md5"}
_HEX = re.compile(r"[0-9a-f]+")


class Indicator(NamedTuple):
    """A kind and a value in its one form."""

    kind: IndicatorKind
    value: str

    @property
    def key(self) -> str:
        """The alias under which the store knows it: "ip:203.0.113.7"."""
        return f"{self.kind}:{self.value}"


def refang(text: str) -> str:
    """Text with defanged addresses written out again."""
    text = _SPACES.sub(" ", text.strip())  # so that what follows takes linear time whatever is written
    text = _COLONS.sub(":", _ATS.sub("@", _DOTS.sub(".", text)))
    return _SCHEME.sub(lambda m: f"http{m[1] or ''}://" if m[0][0] in "hH" else "ftp://", text)


def read_indicator(value: str) -> Indicator | None:
    """The indicator that a value is, defanged or not; None if it is none. Never raises."""
    if not 3 <= len(value) <= MAX_LENGTH:
        return None
    text = refang(value)
    lower = text.lower()
    if len(lower) in _HASHES and _HEX.fullmatch(lower):
        return Indicator(_HASHES[len(lower)], lower)
    if "://" in text:
        return _url(text)
    try:
        if "/" in text:
            network = ipaddress.ip_network(text, strict=False)
            single = network.num_addresses == 1
            return Indicator("ip", str(network[0])) if single else Indicator("net", str(network))
        return Indicator("ip", str(_one_address(text)))
    except ValueError:
        pass  # no address: it may still be a name
    name, at, host = lower.rpartition("@")
    host = host.rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode().rstrip(".")  # other scripts have full stops of their own
        except UnicodeError:
            return None
    if len(host) > 253 or not _DOMAIN.fullmatch(host):
        return None
    if at:
        return Indicator("email", f"{name}@{host}") if name and not re.search(r"\s", name) else None
    return Indicator("domain", host)


def _one_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address without brackets and zone; one of IPv4 that is written as IPv6 is itself."""
    address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address


def _url(text: str) -> Indicator | None:
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https", "ftp") or re.search(r"\s", text):
        return None
    at = read_indicator(host)
    if at is None or at.kind not in ("ip", "domain"):
        return None
    shown = f"[{at.value}]" if ":" in at.value else at.value
    usual = {"http": 80, "https": 443, "ftp": 21}[parts.scheme]
    place = shown if port in (None, usual) else f"{shown}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return Indicator("url", f"{parts.scheme}://{place}{parts.path or '/'}{query}")
