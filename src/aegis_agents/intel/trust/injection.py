"""Text in a document that speaks to a machine reader. The detector is the gate's and is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aegis_agents.intel.documents import Document

WINDOW = 8_000
"""Characters that are read at a time. The gate's detector reads the beginning and the end of a long text alone."""
_OVERLAP = 500


def speaks_to_a_machine(document: Document, detector: Callable[[str], str | None]) -> str | None:
    """What a document seems to want of a machine and in which field, None if nothing. All of its text is read."""
    for field, text in _fields(document):
        for window in windows(text):
            if wanted := detector(window):
                return f"{field}: {wanted}"
    return None


def windows(text: str) -> Iterator[str]:
    """A text in stretches that overlap, so that no sentence is read in halves only."""
    if len(text) <= WINDOW:
        yield text
        return
    for at in range(0, len(text) - _OVERLAP, WINDOW - _OVERLAP):
        yield text[at : at + WINDOW]


def _fields(document: Document) -> Iterator[tuple[str, str]]:
    # Title and text are read at once, so that a sentence over both is seen and nothing is read twice.
    yield "title and text", f"{document.title} {document.text}"
    # What is one word is read apart too: words that are joined by dots or dashes are only looked for in those.
    yield from ((name, text) for name, text in _named(document) if " " not in text)
    apart = document.embedding_text or ""
    if not set(apart.split()) <= {*document.title.split(), *document.text.split()}:
        yield "embedding_text", apart
    if document.id.removeprefix(f"{document.feed}/") not in document.aliases:  # an indicator's is read as its alias
        yield "id", document.id
    for number, alias in enumerate(document.aliases):
        yield f"aliases[{number}]", alias
    yield "licence", document.licence


def _named(document: Document) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("title", document.title), ("text", document.text)
