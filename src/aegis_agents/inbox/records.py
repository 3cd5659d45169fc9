"""What goes through the inbox: a message as a stream brought it, and the same taken by a worker."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

Priority = Literal["low", "normal", "high", "urgent"]
"""How likely serious an alert is, told before the model has seen it; a higher one overtakes, none waits for ever."""

State = Literal["waiting", "held", "done", "dead"]
"""Waiting for a worker, held by one, decided, or set aside because it can't be."""


class Message(NamedTuple):
    """An alert as a stream brought it, before anything was understood of it."""

    stream: str
    """The stream's name: limits and counts are by it."""
    native: str
    """The alert's own text."""
    position: str = ""
    """Where in the stream it stood, for streams that may bring it twice; the same one again is not taken in."""
    format: str | None = None
    """Its product format, where the stream knows it."""


class Mark(NamedTuple):
    """How far a part of a stream was read; kept together with the messages up to there, or not at all."""

    stream: str
    part: str
    """A partition, a file ..."""
    at: str


class Taken(NamedTuple):
    """What became of the messages of one `put`."""

    new: int
    """Alerts that wait now and did not before."""
    folded: int
    """Copies of one that is there."""
    known: int
    """Positions that had been taken in already."""
    dead: int
    """What is no alert: kept aside, with the reason."""
    storms: tuple[tuple[str, int], ...]
    """Incidents whose copies passed a power of ten with these: (incident id, copies)."""


class Held(NamedTuple):
    """An alert that a worker has taken."""

    number: int
    message: Message
    incident_id: str
    """The id that its incident has or will have."""
    priority: Priority
    copies: int
    attempts: int
    """How often it was taken, this time included."""
    received_at: datetime


class DeadLetter(NamedTuple):
    """What could not be worked on, whole, with the reason."""

    number: int
    message: Message
    why: str
    attempts: int
    received_at: datetime
    died_at: datetime


class Counts(NamedTuple):
    """How things stand."""

    waiting: int
    held: int
    done: int
    dead: int
    copies: int
    """Messages that were folded into others, ever."""
    oldest_s: float
    """Seconds that the one has waited which has waited longest; 0.0 if none waits."""
    by_stream: dict[str, int]
    """What waits, by stream."""
