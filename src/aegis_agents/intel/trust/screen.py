"""Screening at ingest: what a feed brings is stored only if nothing speaks against it.

In this order, the first that fires decides: a feed that grew too fast is held back whole; text that speaks
to a machine; indicators that can't be one and aliases that would stand in for one; and, for prose that is
not of high trust, being about something else, being stuffed with words, contradicting what is trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.documents import EXACT_ONLY, Document, Embedder
from aegis_agents.intel.trust.contradiction import contradiction
from aegis_agents.intel.trust.injection import speaks_to_a_machine
from aegis_agents.intel.trust.outliers import off_topic, stuffed
from aegis_agents.intel.trust.plausible import implausible, stands_in
from aegis_agents.intel.trust.policy import KnownPassages, Quarantined, Reason, Screened, ScreenPolicy

_BATCH = 256


def screen(
    documents: Sequence[Document],
    *,
    known: KnownPassages,
    speaks_to_machines: Callable[[str], str | None],
    embed: Embedder,
    policy: ScreenPolicy = ScreenPolicy(),  # noqa: B008 - a frozen record
    released: Container[str] = frozenset(),
) -> Screened:
    """Sort documents into those that may be stored and those that are held back.

    `speaks_to_machines` says what a text seems to want of a machine reader, None for most texts (the gate's
    find_signs, which this layer can't import). `released` holds the sha256 of documents that a person let
    through: they are stored unseen. Nothing is lost: every document is in one list or the other.
    """
    floods = _floods(documents, known, policy)
    held: dict[int, tuple[Reason, str]] = {}
    prose: list[int] = []
    for row, document in enumerate(documents):
        if document.sha256 in released:
            continue
        if document.feed in floods:
            held[row] = ("flood", floods[document.feed])
        elif why := _by_itself(document, known, speaks_to_machines, policy):
            held[row] = why
        elif document.corpus not in EXACT_ONLY and not is_trusted(document, policy):
            prose.append(row)
    for at in range(0, len(prose), _BATCH):
        rows = prose[at : at + _BATCH]
        for row, vector in zip(rows, _unit(embed.embed([documents[r].to_embed for r in rows])), strict=True):
            if why := _beside(documents[row], vector, known, policy):
                held[row] = why
    return Screened(
        [d for row, d in enumerate(documents) if row not in held],
        [Quarantined(documents[row], *held[row]) for row in sorted(held)],
    )


def is_trusted(document: Document, policy: ScreenPolicy) -> bool:
    """Whether a document is believed without being compared with what is known."""
    return document.trust >= policy.trusted_from and (bool(document.signer) or not policy.trusted_signed)


def _floods(documents: Iterable[Document], known: KnownPassages, policy: ScreenPolicy) -> dict[str, str]:
    """Feeds that bring far more than they did, and how much."""
    found = {}
    for feed, brought in Counter(d.feed for d in documents).items():
        held = known.held(feed)
        if held and brought > max(policy.growth_floor, policy.growth * held):
            found[feed] = f"{feed} brings {brought} documents, {held} are held (more than {policy.growth:g} times)"
    return found


def _by_itself(
    document: Document, known: KnownPassages, speaks_to_machines: Callable[[str], str | None], policy: ScreenPolicy
) -> tuple[Reason, str] | None:
    """What a document shows alone, whoever brings it."""
    if said := speaks_to_a_machine(document, speaks_to_machines):
        return "injection", said
    if document.corpus in ("indicator", "warning"):
        return implausible(document, known.warned, policy)
    return stands_in(document)


def _beside(
    document: Document, vector: NDArray[np.float32], known: KnownPassages, policy: ScreenPolicy
) -> tuple[Reason, str] | None:
    """What prose shows beside what is trusted."""
    near = known.nearest(vector, policy.nearest)
    if why := off_topic(near, policy):
        return "off topic", why
    if why := stuffed(document, known.technique_names(), policy):
        return "stuffed", why
    if why := contradiction(document, near, known.named, policy):
        return "contradiction", why
    return None


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found
