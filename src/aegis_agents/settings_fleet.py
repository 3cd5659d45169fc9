"""Settings of `aegis worker` and `aegis cluster`: how much is taken at once, how long it is held."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class WorkerSettings(BaseModel):
    """Settings of `aegis worker` and `aegis cluster`."""

    model_config = _FROZEN
