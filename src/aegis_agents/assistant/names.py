"""Names of threat groups and software: which passage is meant by "APT29" or "Cozy Bear"."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aegis_agents.intel import Intel

_ALSO = re.compile(r"Also known as: ([^.]{1,2000})\.")
_MOST_NAMES, _LONGEST = 50, 60


class Subject(NamedTuple):
    """Something that intelligence has a passage of: its corpus and id."""

    corpus: str
    id: str


class IntelNames:
    """Lower-case name → group or software of the snapshot in use, read anew when that changes. Safe between threads."""

    def __init__(self, intel: Intel | None) -> None:
        self._intel = intel
        self._lock = threading.Lock()
        self._snapshot = ""
        self._names: dict[str, Subject] = {}

    def get(self, name: str) -> Subject | None:
        """What bears this name."""
        return self.table().get(name)

    def table(self) -> dict[str, Subject]:
        """All names."""
        if self._intel is None:
            return {}
        snapshot = self._intel.snapshot_id
        with self._lock:
            if snapshot != self._snapshot:
                self._names, self._snapshot = self._read(self._intel), snapshot
            return self._names

    def _read(self, intel: Intel) -> dict[str, Subject]:
        # The most trusted first, an own name before an alias: nobody takes a known name over.
        documents = sorted(intel.documents(corpora=("group", "software")), key=lambda d: (-d.trust, d.id))
        found: dict[str, Subject] = {}
        for document in documents:
            found.setdefault(document.title.casefold()[:_LONGEST], Subject(document.corpus, document.id))
        for document in documents:
            also = _ALSO.search(document.text)
            for alias in also[1].split(", ")[:_MOST_NAMES] if also else ():
                found.setdefault(alias.casefold()[:_LONGEST], Subject(document.corpus, document.id))
        return found
