"""The part of `Intel` that is about confirmed cases: each tenant has a memory of its own (see `cases`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.cases import CaseCounts, CaseMemory, FinalVerdict, SimilarCase
from aegis_agents.intel.opened import Opened
from aegis_agents.intel.readers import Reader
from aegis_agents.intel.store import unit


class Remembered:
    """Reads and writes the confirmed cases of the reader's tenant, and no other's."""

    def __init__(self, opened: Opened, reader: Reader) -> None:
        self._opened, self._reader = opened, reader

    @property
    def memory_version(self) -> str:
        """What the memory of cases has learned so far, as one name."""
        return self._cases.version

    def similar_cases(
        self, vector: NDArray[np.float32], k: int = 5, *, exclude_key: str | None = None
    ) -> list[SimilarCase]:
        """The k most similar confirmed cases of each side, one for each dedupe key (see `CaseMemory.similar`)."""
        return self._cases.similar(vector, k, exclude_key=exclude_key)

    def similar_to_text(self, text: str, k: int = 5) -> list[SimilarCase]:
        """The k confirmed cases nearest to a description."""
        return self._cases.similar(self._embed(text), k)[:k]

    def similar_to_case(self, case_id: str, k: int = 5) -> list[SimilarCase] | None:
        """The k confirmed cases nearest to a confirmed one, itself left out; None if it is not confirmed."""
        vector = self._cases.vector_of(case_id)
        if vector is None:
            return None
        return [c for c in self._cases.similar(vector, k + 1) if c.case_id != case_id][:k]

    def confirm_case(
        self, case_id: str, vector: NDArray[np.float32], verdict: FinalVerdict, title: str, dedupe_key: str
    ) -> None:
        """Remember a case whose verdict a person confirmed (see `CaseMemory.confirm`)."""
        self._cases.confirm(case_id, vector, verdict, title, dedupe_key)

    def case_counts(self) -> CaseCounts:
        """How many confirmed cases take part, and how many rows are kept without."""
        return self._cases.counts()

    @property
    def _cases(self) -> CaseMemory:
        return self._opened.cases(self._reader.tenant)

    def _embed(self, text: str) -> NDArray[np.float32]:
        return unit(self._opened.model.embed([text]), self._opened.store.manifest.dimensions)
