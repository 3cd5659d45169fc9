"""What Aegis asks of a model, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aegis_agents.records import Assessment, Incident


class IncidentModel(Protocol):
    """The one question set, asked of one model."""

    @property
    def version(self) -> str:
        """Name and content hash of the weights, as every verdict records it."""
        ...

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        """Judge an incident; facts whose ids are in `masked` are treated as not there.

        Facts that were encoded before are not encoded again, so that asking with
        another mask costs only the head.
        """
        ...

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        """The same for a batch, in order."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), 384), for retrieval."""
        ...

    def embed_incident(self, incident: Incident) -> NDArray[np.float32]:
        """One unit vector, shape (384,), for finding similar incidents and techniques."""
        ...
