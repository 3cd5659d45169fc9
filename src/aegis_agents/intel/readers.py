"""Who reads: a tenant and a clearance, and the rows of a segment that follow from them.

Rows lie in groups of one corpus, tenant and TLP marking, so that what a reader may see is a few
ranges of rows. Every read of the store takes them; none can be made without.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError
from aegis_agents.intel.documents import TLP_ORDER, Tlp

Range = tuple[int, int]
"""The first row, and the row after the last."""

_MAX_TENANT = 200


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes: what belongs to everyone or to `tenant`, marked no stricter than `clearance`.

    TLP:RED is for named persons (FIRST, TLP 2.0), so that it must be asked for. Raises InputError for
    a clearance that is no marking or a tenant that is no plain name.
    """

    tenant: str = "default"
    clearance: Tlp = "amber+strict"

    def __post_init__(self) -> None:
        if self.clearance not in TLP_ORDER:
            raise InputError(
                f"{self.clearance!r} is no TLP marking", field="clearance", fix=f"use {', '.join(TLP_ORDER)}"
            )
        if len(self.tenant) > _MAX_TENANT or not self.tenant.isprintable():
            raise InputError("is too long or not printable", field="tenant", fix="give the tenant's name")

    def sees(self, tenant: str, tlp: Tlp) -> bool:
        """Whether rows of this tenant and marking are for this reader."""
        return tenant in ("", self.tenant) and TLP_ORDER.index(tlp) <= TLP_ORDER.index(self.clearance)


class _Keeper(Reader):
    __slots__ = ()

    def sees(self, tenant: str, tlp: Tlp) -> bool:
        return True


KEEPER: Reader = _Keeper(tenant="", clearance="red")
"""The store itself, where it writes: what one tenant may not see must still be carried over."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one segment that may be read: ascending ranges that do not touch, less the dead rows.

    `dead` has an entry for every row of the segment; None where none is dead.
    """

    ranges: tuple[Range, ...]
    dead: NDArray[np.bool_] | None = None

    @staticmethod
    def of(ranges: Iterable[Range], dead: NDArray[np.bool_] | None = None) -> Rows:
        """Rows of these ranges, in whatever order they come; what touches is joined."""
        joined: list[Range] = []
        for lo, hi in sorted(ranges):
            if joined and lo <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(hi, joined[-1][1]))
            elif lo < hi:
                joined.append((lo, hi))
        gone = dead is not None and any(dead[lo:hi].any() for lo, hi in joined)
        return Rows(tuple(joined), dead if gone else None)

    @cached_property
    def count(self) -> int:
        """How many rows there are to read."""
        whole = sum(hi - lo for lo, hi in self.ranges)
        return whole if self.dead is None else whole - sum(int(self.dead[lo:hi].sum()) for lo, hi in self.ranges)

    def __contains__(self, row: int) -> bool:
        return any(lo <= row < hi for lo, hi in self.ranges) and (self.dead is None or not self.dead[row])

    def below(self, stop: int) -> Rows:
        """Those rows that come before `stop`."""
        return Rows.of([(lo, min(hi, stop)) for lo, hi in self.ranges if lo < stop], self.dead)

    def live(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Of rows that lie within the ranges, those that are not dead."""
        return rows if self.dead is None else rows[~self.dead[rows]]

    @cached_property
    def gone(self) -> NDArray[np.int32]:
        """Every dead row within the ranges, ascending."""
        if self.dead is None:
            return np.empty(0, np.int32)
        return np.concatenate([lo + np.flatnonzero(self.dead[lo:hi]) for lo, hi in self.ranges]).astype(np.int32)

    def dead_among(self, rows: NDArray[np.int32]) -> int:
        """How many of these rows, which ascend and lie within the ranges, are dead."""
        if self.dead is None or not len(rows):
            return 0
        if len(rows) < 30 * len(self.gone):  # a search costs as much as some thirty looks
            return int(np.count_nonzero(self.dead.take(rows)))
        at = np.minimum(np.searchsorted(rows, self.gone), len(rows) - 1)
        return int(np.count_nonzero(rows[at] == self.gone))

    @cached_property
    def all(self) -> NDArray[np.int32]:
        """Every row, ascending."""
        parts = [np.arange(lo, hi, dtype=np.int32) for lo, hi in self.ranges]
        return self.live(np.concatenate(parts)) if parts else np.empty(0, np.int32)

    @cached_property
    def bitmap(self) -> NDArray[np.uint8]:
        """One bit a row, the lowest first: the form that FAISS takes."""
        size = max((hi for _, hi in self.ranges), default=0)
        wanted = np.zeros(size, np.bool_)
        for lo, hi in self.ranges:
            wanted[lo:hi] = True
        if self.dead is not None:
            wanted &= ~self.dead[:size]
        return np.packbits(wanted, bitorder="little")
