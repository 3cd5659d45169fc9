"""What the screen asks of the store, answered by Intel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_agents.intel.documents import Corpus
from aegis_agents.intel.facade import Intel
from aegis_agents.intel.indicators import Indicator
from aegis_agents.intel.trust.policy import ScreenPolicy
from aegis_agents.intel.trust.warnings import Lookup, warned
from aegis_agents.intel.trust.words import words_of
from aegis_agents.records import Passage

GUARDED: tuple[Corpus, ...] = ("technique", "mitigation", "group", "software", "kev", "action")
"""Only feeds of kind attack and kev fill these: no flood of others can crowd the trusted ones out."""
_OPEN: tuple[Corpus, ...] = ("rule", "playbook", "report", "document")
_DEEPER = 3
"""Of the corpora that anybody fills, so many times k are read for those that are trusted."""


class IntelKnown:
    """`KnownPassages` over an open Intel; `lookup` and `held` come from the store.

    Trusted passages among the corpora that any feed may fill are found while they are among the 3 k nearest;
    the guarded corpora are searched apart and always found.
    """

    def __init__(
        self,
        intel: Intel,
        lookup: Lookup,
        held: Callable[[str], int],
        policy: ScreenPolicy = ScreenPolicy(),  # noqa: B008 - a frozen record
    ) -> None:
        self._intel, self._lookup, self._held, self._from = intel, lookup, held, policy.trusted_from
        self._names: dict[str, str] | None = None

    def nearest(self, vector: NDArray[np.float32], k: int) -> Sequence[Passage]:
        """The k trusted prose passages nearest to a unit vector."""
        if not np.any(vector):
            return []
        near = self._intel.search(vector=vector, corpora=GUARDED, k=k)
        near += self._intel.search(vector=vector, corpora=_OPEN, k=min(100, _DEEPER * k))
        return sorted((p for p in near if p.trust >= self._from), key=lambda p: -p.score)[:k]

    def named(self, ids: Sequence[str]) -> Sequence[Passage]:
        """The trusted passages of these CVE and ATT&CK ids."""
        found = [p for i in ids if (p := self._intel.cve(i) or self._intel.technique(i)) is not None]
        return [p for p in found if p.trust >= self._from]

    def technique_names(self) -> Mapping[str, str]:
        """The names of the techniques, read once."""
        if self._names is None:
            documents = self._intel.documents(corpora=("technique",))
            self._names = {" ".join(words_of(d.title.rpartition(": ")[2])): d.id.partition(".")[0] for d in documents}
        return self._names

    def warned(self, indicator: Indicator) -> str | None:
        """The warning list that an indicator is on."""
        return warned(indicator, self._lookup)

    def held(self, feed: str) -> int:
        """How many documents of a feed the store holds."""
        return self._held(feed)
