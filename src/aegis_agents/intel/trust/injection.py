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
    yield "title", document.title
    yield "text", document.text
    yield "title and text", f"{document.title[-_OVERLAP:]} {document.text[:_OVERLAP]}"  # a sentence over both
    if document.embedding_text is not None and document.embedding_text != document.text:
        yield "embedding_text", document.embedding_text
    yield "id", document.id
    for number, alias in enumerate(document.aliases):
        yield f"aliases[{number}]", alias
    yield "licence", document.licence
