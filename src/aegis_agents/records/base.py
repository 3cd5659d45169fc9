"""The common base of all records: frozen, strict about unknown fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """An immutable value. Unknown fields are an error, so that nothing is lost silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")
