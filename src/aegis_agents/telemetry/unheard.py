"""What stands in where nobody listens, so that the core need not ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from aegis_agents.records import Case

T = TypeVar("T")


class Nobody:
    """Stands in where nobody listens."""

    def steps(self, run: Iterable[T]) -> Iterable[T]:
        """The run itself."""
        return run

    def decided(self, case: Case) -> None:
        """Nothing."""


NOBODY: Final = Nobody()
