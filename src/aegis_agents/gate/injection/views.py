"""The ways one text can be read: as it stands, with disguises taken off, and what is encoded in it."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

LIMIT: Final = 16_384
"""Characters of one field that are read: its beginning and its end, since padding is cheap in front."""


class View(NamedTuple):
    """One reading of a text, and how it was come by."""

    via: str
    text: str


_TAG_BASE = 0xE0000
_MARK = re.compile(r"⟦U\+([0-9A-F]{4,6})⟧")
"""How aegis_agents.sources shows a hidden character."""
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{3,7}\U000e007f")
"""Flags of regions are spelled with tag characters too."""
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{8,}")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}(?:[ :-]?[0-9A-Fa-f]{2}){15,}(?![0-9A-Fa-f])")
_BASE85 = re.compile(r"(?<!\S)(?:<~)?[!-~]{40,}(?:~>)?(?!\S)")
_PLAIN_TOKEN = re.compile(r"[\w./:\\=&?%+-]+")
_BASE32 = re.compile(r"(?<![A-Z0-9])[A-Z2-7]{32,}={0,6}")
_BITS = re.compile(r"(?<![01])[01]{8}(?:\s+[01]{8}){11,}")
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4}){6,}|(?:\\x[0-9a-fA-F]{2}){6,}")
_PERCENT = re.compile(r"%(?:25)*20|%(?:25)*3[aAcC]|\+\w+\+")
_ALIKE = str.maketrans(
    "асеорхуіјѕһԁցԛԝкмнтвАВЕНІКМОРСТХαοειρυν",
    "aceopxyijshdgqwkmhtbABEHIKMOPCTXaoeipuv",
)
"""Cyrillic and Greek letters that look Latin."""
_JOINED = re.compile(r"[-_.+/]+|(?<=[a-z])(?=[A-Z])")
_ENTITY = re.compile(r"&#?\w{2,8};")
_BLANKS = re.compile(r"\s{2,}|[\t\n\r]")
_LAYERS: Final = 3
"""Times that one coding is taken off another."""


def views(text: str) -> Iterator[View]:
    """The readings, each at most LIMIT characters; the plain one first."""
    if len(text) > LIMIT:
        text = f"{text[: LIMIT * 3 // 4]}\n{text[-LIMIT // 4 :]}"
    plain = _unmark(text)
    if not plain.isascii():
        yield from _hidden(plain)
        plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", plain))
        latin = plain.translate(_ALIKE)
        if latin != plain:
            yield View("as it is written", plain)
        plain = latin
    yield View("plain", plain)
    if _BLANKS.search(plain):
        yield View("one space for many", _BLANKS.sub(" ", plain))
    if " " not in plain.strip():
        yield View("joined words", _JOINED.sub(" ", plain))
    if _PERCENT.search(plain):
        yield View("percent-encoding", _unquoted(plain))
    if _ENTITY.search(plain):
        yield View("HTML entities", html.unescape(plain))
    if _ESCAPES.search(plain):
        yield View("escapes", _ESCAPES.sub(_unescape, plain))
    yield from _encoded(plain, _LAYERS)


def _unquoted(text: str) -> str:
    for _ in range(_LAYERS):
        undone = unquote(text.replace("+", " "))
        if undone == text:
            break
        text = undone
    return text


def _unmark(text: str) -> str:
    if "⟦U+" not in text:
        return text
    return _MARK.sub(lambda match: chr(min(int(match[1], 16), 0x10FFFF)), text)


def _hidden(text: str) -> Iterator[View]:
    spelled = "".join(_TAGS.findall(_FLAG.sub("", text)))
    if spelled:
        yield View("tag characters", "".join(chr(ord(char) - _TAG_BASE) for char in spelled))
    for run in _SELECTORS.findall(text):
        yield View("variation selectors", _from_selectors(run))


def _from_selectors(run: str) -> str:
    """256 variation selectors can spell bytes: U+FE00 to U+FE0F are 0 to 15, U+E0100 on are 16 to 255."""
    data = bytes((ord(c) - 0xFE00) if ord(c) < 0xFFFF else min(ord(c) - 0xE0100 + 16, 255) for c in run)
    return data.decode("utf-8", "replace")


def _unescape(match: re.Match[str]) -> str:
    return "".join(chr(int(code, 16)) for code in re.findall(r"\\[ux]([0-9a-fA-F]{2,4})", match[0]))


def _encoded(text: str, layers: int) -> Iterator[View]:
    """What is encoded in a text, and in that again, `layers` deep."""
    found: list[View] = []
    for match in _BASE64.finditer(text):
        token = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        if len(token) % 4 != 1:
            found += _readable("base64", _decode(base64.b64decode, token + "=" * (-len(token) % 4)))
    for match in _HEX.finditer(text):
        found += _readable("hexadecimal", _decode(bytes.fromhex, re.sub("[ :-]", "", match[0])))
    for match in _BASE32.finditer(text):
        token = match[0].rstrip("=")
        found += _readable("base32", _decode(base64.b32decode, token + "=" * (-len(token) % 8)))
    for match in _BASE85.finditer(text):
        if not _PLAIN_TOKEN.fullmatch(match[0]):
            token = match[0].removeprefix("<~").removesuffix("~>")
            for decoder in (base64.b85decode, base64.a85decode):
                found += _readable("base85", _decode(decoder, token))
    for match in _BITS.finditer(text):
        found += _readable("binary digits", bytes(int(bits, 2) for bits in match[0].split()))
    for view in found:
        yield view
        if layers > 1 and len(view.text) >= 24:
            yield from _encoded(view.text, layers - 1)


def _decode(decoder: object, token: str) -> bytes:
    try:
        return decoder(token)  # type: ignore[no-any-return, operator]
    except (binascii.Error, ValueError):  # it only looked encoded
        return b""


def _readable(via: str, data: bytes) -> Iterator[View]:
    """The decoded text, when it is text at all: UTF-8, or UTF-16 as PowerShell's -EncodedCommand."""
    if len(data) < 12:
        return
    encoding = "utf-16-le" if data[1:20:2].count(0) > 6 else "utf-8"
    text = data.decode(encoding, "replace")
    if sum(char.isprintable() or char.isspace() for char in text) >= 0.95 * len(text) and "\ufffd" not in text:
        yield View(via, text)
