"""Settings against abuse of Aegis itself: where it may connect to, and whose signatures count."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class HardeningSettings(BaseModel):
    """Settings against abuse of Aegis itself."""

    model_config = _FROZEN
