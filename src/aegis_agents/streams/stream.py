"""What a stream is, and what it hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aegis_agents.inbox.records import Mark, Message

if TYPE_CHECKING:
    from aegis_agents.streams.intake import Intake

SHOWN_BYTES = 65_536
"""Of what is too long to be an alert, so much is set aside."""


class Entry(NamedTuple):
    """A message, and how far the stream is read once it is in the inbox; either may be missing."""

    message: Message | None
    mark: Mark | None = None


class Stream(Protocol):
    """Where alerts come from. One run is one try: what breaks is raised, and the runner tries again later."""

    def run(self, intake: Intake, *, once: bool) -> None:
        """Read until `intake.stop` is set; with `once`, until there is nothing more now.

        Everything read goes through `intake.put`, in order. Raises StreamError and OSError for what may pass, Stopped
        (from `put`) when it was told to stop before all was taken in.
        """
        ...


@dataclass(slots=True)
class Tally:
    """What one stream did since its start; each figure is written by one thread."""

    read: int = 0
    """Messages handed over and taken in."""
    new: int = 0
    folded: int = 0
    known: int = 0
    dead: int = 0
    too_long: int = 0
    """Messages of which only the beginning was taken, to be set aside."""
    dropped: int = 0
    """Messages lost because nobody could be told to wait (UDP), or that came while it stopped."""
    refused: int = 0
    """Connections that were turned away, files that are none."""
    waits: int = 0
    """Times it waited because the inbox was full or away."""
    failures: int = 0
    """Times it broke and was begun again."""
    last_error: str = ""

    def differs(self, before: Tally) -> bool:
        """Whether anything has happened since."""
        return self != before


def too_long(where: str, most: int, beginning: bytes) -> str:
    """What is set aside for a message that is longer than it may be: no JSON, so that it can't pass for an alert."""
    shown = beginning[:SHOWN_BYTES].decode("utf-8", "surrogateescape")
    return f"longer than {most} bytes, {where}; it begins: {shown}"


def entries_of(messages: Iterable[Message], mark: Callable[[int], Mark | None] = lambda _: None) -> list[Entry]:
    """Messages as entries; `mark` gives each one's by its index."""
    return [Entry(message, mark(index)) for index, message in enumerate(messages)]
