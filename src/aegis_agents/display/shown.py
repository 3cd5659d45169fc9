"""Text as it may be shown: hidden characters named, what is too long cut with a count, markup escaped.

Whatever stands in a case or an incident came from outside. It reaches a page through `text` alone (or through
`el`, which calls it), so that no field can end an element, open another, or say something that is not seen.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from typing import Final

MOST: Final = 2000
"""Characters of one value on a page; `text` takes another limit."""

# Controls but tab and line feed, soft hyphen, joiners, blanks that are letters, bidirectional and zero-width
# characters, lone surrogates, tags and non-characters: they hide, turn around, or are no legal XML.
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_MARKS: Final = 2
"""Combining characters in a row that a language needs; more of them draw over the lines above and below."""


def visible(value: object) -> str:
    """The text with characters that can't be seen as ⟦U+202E⟧; line feeds and tabs stay."""
    shown = value if isinstance(value, str) else "" if value is None else str(value)
    if shown.isascii() and shown.isprintable():
        return shown
    return _few_marks(_HIDDEN.sub(lambda m: f"⟦U+{ord(m.group()):04X}⟧", shown.replace("\r\n", "\n")))


def _few_marks(shown: str) -> str:
    """Piled up combining characters, counted instead of drawn."""
    if not shown or max(shown) < "\u0300":
        return shown
    kept: list[str] = []
    run = 0
    for character in shown:
        if unicodedata.category(character) in ("Mn", "Me"):
            run += 1
            if run <= _MARKS:
                kept.append(character)
            continue
        if run > _MARKS:
            kept.append(f"⟦+{run - _MARKS} marks⟧")
        run = 0
        kept.append(character)
    if run > _MARKS:
        kept.append(f"⟦+{run - _MARKS} marks⟧")
    return "".join(kept)


def cut(value: object, limit: int = MOST) -> str:
    """Visible text of about `limit` characters at most: its beginning and its end, and how much is missing.

    Both ends stay, since padding in front is the cheap way to push something out of sight.
    """
    raw = value if isinstance(value, str) else "" if value is None else str(value)
    if len(raw) > limit:
        tail = limit // 4
        head = limit - tail
        return f"{visible(raw[:head])} ⟦… {len(raw) - limit:,} characters cut …⟧ {visible(raw[len(raw) - tail :])}"
    return visible(raw)


def one_line(value: object, limit: int = MOST) -> str:
    """`cut`, with line feeds and tabs as signs."""
    return cut(value, limit).replace("\n", " ⏎ ").replace("\t", " ⇥ ")


def cells(shown: str) -> int:
    """How many columns of a fixed-width font a text takes."""
    if shown.isascii():
        return len(shown)
    return sum(_width(c) for c in shown)


def fit(value: object, columns: int) -> str:
    """One line of at most so many columns: beginning and end of what is longer, with … between."""
    shown = one_line(value, max(4 * columns, 80))
    if cells(shown) <= columns:
        return shown
    tail = max(0, (columns - 1) // 4)
    head = columns - 1 - tail
    return _take(shown, head) + "…" + _take(shown[::-1], tail)[::-1]


def _take(shown: str, columns: int) -> str:
    taken = 0
    for at, character in enumerate(shown):
        taken += _width(character)
        if taken > columns:
            return shown[:at]
    return shown


@lru_cache(maxsize=8192)
def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    # Symbols and pictographs come from a font of other widths; two columns hold any of them.
    wide = unicodedata.east_asian_width(character) in "WF" or unicodedata.category(character) == "So"
    return 2 if wide else 1


class Markup(str):
    """HTML or SVG that is finished: `el` puts it in as it is."""

    __slots__ = ()


def text(value: object, limit: int = MOST) -> Markup:
    """A value as HTML text: visible, cut, escaped. What is Markup already stays as it is."""
    if isinstance(value, Markup) or (type(value) is str and len(value) <= limit and _PLAIN(value)):
        return Markup(value)
    return Markup(html.escape(cut(value, limit), quote=True))


_PLAIN: Final = re.compile(r"[ !#-%(-;=?-~]*").fullmatch
"""Printable ASCII without a character of markup: it is its own HTML."""


def el(name: str, *children: object, **attributes: object) -> Markup:
    """An element. Children that are not Markup, and all attributes, are escaped.

    `class_` is class, other underscores become hyphens (`aria_label`); an attribute that is None is left out,
    one that is True has no value. Attributes are named by this package, never by data.
    """
    opened = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        known = key if "_" not in key else key.rstrip("_").replace("_", "-")
        opened.append(known if value is True else f'{known}="{text(value)}"')
    start = " ".join(opened)
    if not children and name in _ALONE:
        return Markup(f"<{start}/>")
    return Markup(f"<{start}>{''.join(map(text, children))}</{name}>")


_ALONE: Final = frozenset({"rect", "line", "path", "circle", "br", "polygon"})


def join(parts: object) -> Markup:
    """Finished parts, one after another; what is not Markup is escaped."""
    return Markup("".join(map(text, parts)))  # type: ignore[call-overload]
