"""Text from alerts, made safe to look at: what can't be seen is named.

Attackers hide text from people (zero-width and tag characters) or turn it around
(bidirectional controls). Such characters become marks like ⟦U+202E⟧. The opening
bracket of the mark is itself escaped, so that a mark can't be forged.
"""

from __future__ import annotations

import re
from typing import Final

EMPTY: Final = "(empty)"
"""How an empty value is written: that a field is there and empty can be what decides."""

# Control characters but tab and line feed; soft hyphen and joiners; letters and spaces drawn as nothing;
# zero-width and bidirectional controls; lone surrogates; variation selectors but U+FE0F (emoji use it
# everywhere, and one selector alone can't spell anything); annotation marks; tag characters; our own bracket.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u27e6\u2800\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LINE_END = re.compile("\r\n?|\u0085")


def _mark(match: re.Match[str]) -> str:
    return f"⟦U+{ord(match.group()):04X}⟧"


def visible(text: str) -> str:
    """The text with hidden characters as ⟦U+XXXX⟧ and line ends as line feeds; the rest is untouched."""
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(_mark, _LINE_END.sub("\n", text))


def shorten(text: str, limit: int) -> str:
    """At most about `limit` characters: the first three quarters and the last quarter.

    Both ends are kept, since padding in front is the cheap way to push something out of sight.
    """
    if len(text) <= limit:
        return text
    head, tail = limit - limit // 4, limit // 4
    return f"{text[:head]} ⟦… {len(text) - head - tail} characters cut …⟧ {text[len(text) - tail :]}"
