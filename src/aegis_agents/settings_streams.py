"""Settings of streams: where alerts come from by themselves."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class StreamSettings(BaseModel):
    """One stream: in a settings file a table [[streams]]."""

    model_config = _FROZEN

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """How it is remembered how far it was read: keep it."""
