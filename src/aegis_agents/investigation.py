"""One alert on its way to a case, step by step as the caller likes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aegis_agents.records import Case, Incident

if TYPE_CHECKING:
    from aegis_agents.recovering import Recovering


class Investigation:
    """One alert on its way to a case, which `Aegis.begin` answers: go through it once, then ask for its case.

    Nothing is taken in before the first step. What is left in the middle stays undecided until the same alert comes
    again, or `recover` decides it.
    """

    def __init__(self, aegis: Recovering, incident: Incident, native: str) -> None:
        self._aegis, self._incident, self._native = aegis, incident, native
        self.incident_id = incident.id
        self.new = False
        """Whether it was decided here; False for an alert whose case was there before."""

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The steps as they finish: (agent, what it added); none if there is a case already."""
        for step in self._aegis._drive(self._incident, self._native):
            self.new = True
            yield step

    def case(self) -> Case:
        """Its case. Raises InputError before the last step."""
        return self._aegis.case(self.incident_id)
