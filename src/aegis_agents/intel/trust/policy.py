"""What screening goes by: its settings, what it needs to know of the store, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from aegis_agents.intel.documents import Document
from aegis_agents.intel.feeds.config import TRUST
from aegis_agents.intel.indicators import Indicator
from aegis_agents.records import Passage
from aegis_agents.records.base import Record

Reason = Literal["injection", "flood", "indicator", "warning list", "alias", "off topic", "stuffed", "contradiction"]
"""Why a document is held back. flood: its feed grew too fast. alias: it would be found in place of an indicator."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ScreenPolicy(Record):
    """Settings of the screen. Thresholds marked T were chosen on the tune part of evals/intel_poisoning.

    `trusted_from`: trust from which a document is not compared with what is known; it still may not carry an
    injection or a warned value. `trusted_signed` asks for a signature too.
    `growth`, `growth_floor`: a feed may bring at most `growth` times what the store holds of it; below
    `growth_floor` documents at once it may always, and so may a feed that the store holds nothing of.
    `widest_v4`, `widest_v6`: the shortest prefix that a network may have as an indicator.
    `widest_warning_v4`, `widest_warning_v6`: the same for an entry of a warning list.
    `longest_url`: characters; a longer one is mostly random and is never met again.
    `far` (T): cosine with the nearest trusted passage below which prose is about something else.
    `few_function_words` (T): share of "the", "of", "is"... below which a text of 30 words or more is a list of words.
    `topics` (T): so many different techniques, named by id or name, are stuffing in one passage.
    `nearest`: how many trusted passages a document is compared with.
    `copied` (T): share of a trusted passage's words from which a document is a copy of it.
    `alike` (T): cosine from which it is one whatever its words.
    `same_topic` (T): cosine from which a document that says "harmless" speaks against the trusted passage.
    """

    trusted_from: Share = TRUST["high"]
    trusted_signed: bool = False
    growth: Annotated[float, Field(ge=1.0)] = 10.0
    growth_floor: Annotated[int, Field(ge=0)] = 1000
    widest_v4: Annotated[int, Field(ge=0, le=32)] = 16
    widest_v6: Annotated[int, Field(ge=0, le=128)] = 32
    widest_warning_v4: Annotated[int, Field(ge=0, le=32)] = 8
    widest_warning_v6: Annotated[int, Field(ge=0, le=128)] = 16
    longest_url: Annotated[int, Field(ge=10)] = 1000
    far: Share = 0.2
    few_function_words: Share = 0.08
    topics: Annotated[int, Field(ge=2)] = 6
    nearest: Annotated[int, Field(ge=1, le=100)] = 10
    copied: Share = 0.6
    alike: Share = 0.9
    same_topic: Share = 0.4


class KnownPassages(Protocol):
    """What screening asks of the store. "Trusted" is trust from `ScreenPolicy.trusted_from`."""

    def nearest(self, vector: NDArray[np.float32], k: int) -> Sequence[Passage]:
        """The k trusted prose passages with the highest cosine with a unit vector, best first; `score` is the cosine.

        What is not trusted must not count towards k, or a flood of it could push the trusted ones out.
        """
        ...

    def named(self, ids: Sequence[str]) -> Sequence[Passage]:
        """The trusted passages that have one of these ids (CVE, ATT&CK of any release)."""
        ...

    def technique_names(self) -> Mapping[str, str]:
        """Names of techniques as `words.words_of` reads them, joined by spaces → the base technique's id."""
        ...

    def warned(self, indicator: Indicator) -> str | None:
        """The name of the warning list that an indicator is on, None if on none."""
        ...

    def held(self, feed: str) -> int:
        """How many documents of a feed the store holds."""
        ...


class Quarantined(NamedTuple):
    """A document that is held back, and why."""

    document: Document
    reason: Reason
    detail: str


class Screened(NamedTuple):
    """What may be stored, in the order given, and what is held back."""

    accepted: list[Document]
    quarantined: list[Quarantined]
