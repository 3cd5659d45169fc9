"""What the agents work with. It travels in LangGraph's runtime context, never in the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from aegis_agents.gate import Gate
from aegis_agents.gate.caution import NO_CAUTION, Caution
from aegis_agents.gate.earned.cells import NOTHING_EARNED, EarnedAutonomy
from aegis_agents.hardening.limits import SourceLimits
from aegis_agents.intel import Intel
from aegis_agents.ledger import Store
from aegis_agents.model import IncidentModel
from aegis_agents.settings_hardening import HardeningSettings
from aegis_agents.tools import WritePath
from aegis_agents.tools.indicator_report import FeedTimes

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True)
class Context:
    """Dependencies of one Aegis; shared by all its incidents. `intel` None: no snapshot could be loaded."""

    model: IncidentModel
    intel: Intel | None
    gate: Gate
    store: Store
    write_path: WritePath
    mode: Literal["live", "shadow"] = "live"
    llm: BaseChatModel | None = None
    llm_seconds: float = 30.0
    """How long the language model may take, by the wall clock."""
    memory_strength: float = 2.0
    """What a confirmed case that is just alike adds to its verdict, in log-odds."""
    indicator_strength: float = 1.5
    """Most that established indicators add to an attack, in log-odds."""
    feed_times: Callable[[], FeedTimes] = FeedTimes
    """What ages of indicators are measured by."""
    earned: Callable[[datetime], EarnedAutonomy] = lambda _: NOTHING_EARNED
    """What reviewed decisions have unlocked at a time."""
    caution: Callable[[datetime], Caution] = lambda _: NO_CAUTION
    """What has fallen back by now, and was not lifted."""
    limits: SourceLimits = field(default_factory=lambda: SourceLimits(HardeningSettings()))
    """What one source may cost within an hour."""

    @property
    def versions(self) -> dict[str, str]:
        """What decides: pinned at intake, named in every decision."""
        return {
            "model": self.model.version,
            "intel": self.intel.snapshot_id if self.intel else "none",
            "memory": self.intel.memory_version if self.intel else "none",
            **self.gate.versions,
        }
