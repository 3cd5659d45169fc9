"""Deciding again after a crash, with the versions that intake pinned, as far as they are still there.

What is pinned: the intelligence snapshot, which is opened again where it was not pruned. What is not, and why:
the model is whichever is loaded (another one's weights are not kept beside it); memory only goes forward; policy,
autonomy and assets are always today's, since a rule that was added meanwhile must bind. What differs is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from aegis_agents.context import Context
from aegis_agents.errors import AegisError
from aegis_agents.intel import Intel


class Pinned(NamedTuple):
    """What to decide with, and what to say of it in the case."""

    context: Context
    notes: tuple[str, ...]


@contextmanager
def pinned(context: Context, pins: Mapping[str, str], directory: Path) -> Iterator[Pinned]:
    """The context with the snapshot that `pins` names, if `directory` still holds it, and notes of what differs."""
    opened: Intel | None = None
    wanted = pins.get("intel", "none")
    if context.intel is not None and wanted not in ("none", context.intel.snapshot_id):
        try:
            opened = Intel.open(
                directory, context.model, build_if_missing=False, snapshot=wanted, reader=context.intel.reader
            )
        except AegisError:
            pass  # pruned, or made for another model: the note says which one decided
    try:
        used = context if opened is None else replace(context, intel=opened)
        yield Pinned(used, differing(pins, used.versions))
    finally:
        if opened is not None:
            opened.close()


def differing(pins: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """A note naming the versions that are not the pinned ones; none if all are."""
    names = sorted(name for name in {*pins, *now} if pins.get(name) != now.get(name))
    if not names:
        return ()
    told = ", ".join(f"{name} {now.get(name, 'none')} instead of {pins.get(name, 'none')}" for name in names)
    return (f"decided again after it was cut off, with other versions than it was taken in with: {told}",)
