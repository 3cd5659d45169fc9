"""Words for a ticket: what an alert's author wrote must not mention people, link anywhere, or be rendered.

A tracker reads markup wherever it stands, and some find mentions even in preformatted text. So whatever opens
markup is broken with a blank, and addresses of web pages are written as analysts write them (hxxp).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from aegis_agents.errors import ConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.addresses import value_of

_OPENS: Final = re.compile(r"([<{[])(?=\S)")  # <html>, {macro}, [link], [~mention], [code]
_CALLS: Final = re.compile(r"(?<![\w.+-])@(?=\w)")  # @here; not the @ of an address
_WEB: Final = re.compile(r"(?i)\bh(tt)p(s?)://|\b(?:ftp|file|javascript|data|mailto):(?=\S)|\bwww\.(?=\w)")


def inert(text: str, longest: int) -> str:
    """The text without effect: no control or invisible characters, no markup, no link, no mention, not too long."""
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    text = _WEB.sub(_defanged, text)
    text = _CALLS.sub("@ ", _OPENS.sub(r"\1 ", text))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def one_line(text: str, longest: int) -> str:
    """As inert(), on one line."""
    return inert(" ".join(text.split()), longest)


def short_hash(text: str) -> str:
    """16 hex digits that stand for a text: nothing of it gets into a query."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def marks(target: Target, key: str) -> tuple[str, str]:
    """(mark of what the ticket is about, mark of the very action): by the first it is read and closed, by the second
    it is opened once."""
    return short_hash(f"{target.kind}\0{target.value}"), short_hash(key)


def alert_of(action: ActionName, target: Target, name: str) -> str:
    """The alert that a ticket is about. Raises ConnectorError for another action or kind of target."""
    if action != "open_ticket":
        raise ConnectorError(f"{name} can't {action}")
    return value_of(target, "alert")


def title(alert: str, longest: int) -> str:
    """A ticket's title."""
    return one_line(f"Aegis: please look at alert {alert}", longest)


def body(alert: str, note: str, key: str, longest: int = 10_000) -> str:
    """A ticket's text, at most `longest` characters (1 000 or more): a long note is cut, what it is about never."""
    about = f"\n\nAlert: {one_line(alert, 500)}\nAction: {one_line(key, 200)}\nOpened by Aegis."
    return inert(note, longest - len(about)) + about


def _defanged(found: re.Match[str]) -> str:
    text = found.group()
    if text.lower().startswith("http"):
        return re.sub("(?i)^http", "hxxp", text).replace("://", "[:]//")
    return text.replace(":", "[:]").replace("www.", "www[.]").replace("WWW.", "WWW[.]")
