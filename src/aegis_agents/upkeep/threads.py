"""LangGraph's checkpoints from one saver to another, by its own interface.

They are a convenience: what waits goes on from the journal where a checkpoint is missing. So one that can't be
read or kept is counted and left behind, and keeps nobody from moving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver


class Threads(NamedTuple):
    """How many checkpoints were copied, and of how many threads something could not be."""

    copied: int
    left: int


def copy_threads(source: BaseCheckpointSaver[Any], names: list[str], target: BaseCheckpointSaver[Any]) -> Threads:
    """Copy the checkpoints of these threads, what waits in them included. Once more does no harm."""
    copied, left = 0, 0
    for name in names:
        try:
            for found in list(source.list({"configurable": {"thread_id": name}}))[::-1]:  # parents first
                parent = found.parent_config or {
                    "configurable": {**found.config["configurable"], "checkpoint_id": None}
                }
                versions = found.checkpoint["channel_versions"]
                kept = target.put(parent, found.checkpoint, found.metadata, versions)
                for task, writes in _by_task(found.pending_writes or []).items():
                    target.put_writes(kept, writes, task)
                copied += 1
        except Exception:  # noqa: BLE001 - of any kind, by LangGraph or a driver: counted, said, and the journal has it
            left += 1
    return Threads(copied, left)


def _by_task(writes: list[tuple[str, str, Any]]) -> dict[str, list[tuple[str, Any]]]:
    tasks: dict[str, list[tuple[str, Any]]] = {}
    for task, channel, value in writes:
        tasks.setdefault(task, []).append((channel, value))
    return tasks
