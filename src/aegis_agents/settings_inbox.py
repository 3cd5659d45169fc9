"""Settings of the inbox: how much may wait, what is folded, how often an alert is tried."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class InboxSettings(BaseModel):
    """Settings of the inbox."""

    model_config = _FROZEN

    most_waiting: int = Field(default=1_000_000, ge=1)
    """As many may wait; then streams stop reading, and HTTP answers 503 (what other processes put is seen a little later)."""
    fold_minutes: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    """Alerts of one stream that differ in times and serial numbers alone are one incident for so long after the first;
    0 folds exact copies only."""
    hold_s: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    """How long a worker may keep an alert without a sign of life before another takes it."""
    attempts: int = Field(default=5, ge=1)
    """How often an alert is tried before it is set aside; one whose worker ends without a word was tried too."""
    rate_per_stream: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """Alerts a second that one stream may bring before those of others overtake its own; 0 leaves all alike."""
    kept_days: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """Days after which a message that was worked on is forgotten (its case is not)."""
