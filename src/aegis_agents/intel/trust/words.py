"""Words of a passage as the checks on prose count them: function words, content words, sentences, ids."""

from __future__ import annotations

import re
from functools import lru_cache

_FUNCTION_WORDS = """
a an the and or but if of in on at to for from by with as is are was were be been being it its this that these those
which who whom what when where how than then so such can could may might must shall should will would do does did has
have had not no nor there their they them he she his her we our you your i my me us into over under via any all some
each other also only most more both about after before during through between within without up out off using used use
der die das den dem des ein eine einer eines einem einen und oder aber wenn von im am zu zum zur mit als ist sind war
waren wird werden auf für nicht auch sich es sie er wir bei nach aus dass kann können durch
le la les un une des et ou mais si de du en dans à au aux pour par avec est sont qui que ce cette ces il elle ils sur
el los las una y o pero del al con por para es son se su sus lo como más
il gli uno e ma di da nel nella per è sono che si non
os um uma em no na nos nas ao é são não mais
het een en van op te met voor zijn niet ook aan
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Of English, German, French, Spanish, Italian, Portuguese and Dutch."""

_WORD = re.compile(r"[^\W_](?:[\w.'’-]*[^\W_])?")
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+")
_TECHNIQUE = re.compile(r"(?<![\w./-])T\d{4}(?:\.\d{3})?(?![\w-])", re.I)
_CVE = re.compile(r"(?<![\w-])CVE-\d{4}-\d{4,12}(?!\w)", re.I)
_NUMBER = re.compile(r"(?<![\w.-])\d+(?:[.-]\d+)*(?![\w-])")


def words_of(text: str) -> list[str]:
    """Words in lower case, in order."""
    return [w.replace("’", "'") for w in _WORD.findall(text.lower())]


@lru_cache(maxsize=8192)  # the same trusted passages are near to many
def content_of(text: str) -> frozenset[str]:
    """What a text is about: stems of its words that are no function words."""
    return frozenset(stem(w) for w in words_of(text) if w not in FUNCTION_WORDS)


def sentences_of(text: str) -> list[str]:
    """Its sentences; a last one that was cut off (ATT&CK's package cuts descriptions) is left out if it isn't all."""
    found = [s for s in _SENTENCE.split(text.strip()) if s]
    return found[:-1] if len(found) > 1 and not re.search(r"[.!?)\"']$", found[-1]) else found


def stem(word: str) -> str:
    """A word without its ending, crudely: enough to see "disabled" and "disabling" as one."""
    for ending in ("ing", "ied", "ies", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def cves_in(text: str) -> list[str]:
    """CVE ids in upper case, each once."""
    return list(dict.fromkeys(m.upper() for m in _CVE.findall(text)))


def techniques_in(text: str) -> list[str]:
    """ATT&CK technique ids in upper case, each once; those in links are references, not claims."""
    return list(dict.fromkeys(m.upper() for m in _TECHNIQUE.findall(text)))


def numbers_in(text: str) -> frozenset[str]:
    """Numbers and dates that are no part of an id."""
    return frozenset(_NUMBER.findall(_CVE.sub(" ", _TECHNIQUE.sub(" ", text))))
