"""Words that say nothing of what a question is about, and how people shorten others."""

from __future__ import annotations

import re

_FUNCTION = """
all am an any are as at away be been before but can case cases could did do does down each else even ever every few
find first for from get give go got had has have he her here his how i if in into is it its just know let list look
made make many may me more most much must my name need new next no not now of off old on one only open or other our
out over own please put run say see seen set she should show so some such take tell than that the their them then
there these they thing this those time to too two under until up us use used user very was we well were what when
where which while who whom whose why will with without would yes yet you your system admin root guest test net reg
route ping page cmd last second third latest
"""
_WORDS = frozenset(_FUNCTION.split())
_CHAT_WORDS = {
    "y": "why", "u": "you", "ur": "your", "r": "are", "pls": "please", "plz": "please", "w/o": "without", "nr": "number",
    "thx": "thanks", "gimme": "give me", "wanna": "want to", "gonna": "going to", "whats": "what is", "whos": "who is",
    "hows": "how is", "abt": "about", "rn": "right now", "ppl": "people", "info": "information",
}  # fmt: skip
_CHAT = re.compile(rf"(?<![\w./\\@-])(?:{'|'.join(map(re.escape, _CHAT_WORDS))})(?![\w./\\@-])", re.I)


def function_words() -> frozenset[str]:
    """Words that say nothing of what a question is about."""
    return _WORDS


def written_out(text: str) -> str:
    """The text with chat words written out: "y closed pls" is "why closed please"."""
    return _CHAT.sub(lambda m: _CHAT_WORDS[m[0].lower()], text)
