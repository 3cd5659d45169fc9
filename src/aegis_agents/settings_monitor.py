"""Settings of `aegis monitor`: what is watched, and from which bound on autonomy falls back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class MonitorSettings(BaseModel):
    """Settings of `aegis monitor`."""

    model_config = _FROZEN
