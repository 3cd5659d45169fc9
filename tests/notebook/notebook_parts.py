"""What notebook tests share: the shipped example alerts and a firewall in memory."""

from __future__ import annotations

from importlib import resources

from aegis_agents.records import Target


class MemoryFirewall:
    """Blocks addresses in a set."""

    name = "memory-firewall"
    actions = frozenset({"block_ip"})

    def __init__(self) -> None:
        self.blocked: set[str] = set()

    def apply(self, action: str, target: Target, *, key: str, note: str) -> str:
        self.blocked.add(target.value)
        return "ref"

    def read(self, action: str, target: Target) -> bool | None:
        return target.value in self.blocked

    def undo(self, action: str, target: Target, *, key: str) -> str:
        self.blocked.discard(target.value)
        return ""


def example(name: str) -> str:
    """One of the shipped example alerts, as JSON text."""
    return (resources.files("aegis_agents.cli") / "demo_alerts" / f"{name}.json").read_text("utf-8")
