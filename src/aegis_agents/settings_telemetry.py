"""Settings of traces, metrics and logs: all of it is off unless it is set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class TelemetrySettings(BaseModel):
    """Settings of traces, metrics and logs."""

    model_config = _FROZEN
