"""Settings of `aegis worker` and `aegis cluster`: how much is taken at once, and when a worker stops taking."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class WorkerSettings(BaseModel):
    """Settings of `aegis worker` and `aegis cluster` (docs/running.md)."""

    model_config = _FROZEN

    processes: int = Field(default=1, ge=1, le=1024)
    """Processes of `aegis worker`; one uses one core and holds a model of its own."""
    threads: int = Field(default=1, ge=0)
    """Threads of each worker's encoder, in place of `threads`; 0 leaves it to ONNX Runtime."""
    batch: int = Field(default=8, ge=1, le=1000)
    """Alerts taken from the inbox at once; they are decided one after another."""
    idle_s: float = Field(default=0.5, gt=0, le=60)
    """Seconds until an inbox in which nothing waited is asked again."""
    longest_s: float = Field(default=600.0, gt=0, le=86_400)
    """Seconds after which a worker that is still at one alert counts as stuck: it ends, and another takes the alert."""
    least_free_mb: int = Field(default=64, ge=0)
    """While less is free on the disk that holds `home`, nothing is taken."""
    recover_s: float = Field(default=60.0, gt=0, le=86_400)
    """Seconds between looks for what workers that died had begun; one worker of all looks."""
    restarts: int = Field(default=5, ge=0, le=1000)
    """How often within five minutes a process may end by itself before `aegis worker` gives up."""
    watch: bool = True
    """Whether workers also watch the model (docs/monitor.md), one of them for all; off where `aegis monitor --watch` runs."""
    beside_server: bool = False
    """Whether `aegis serve` runs a worker beside it, in a thread of its own."""
    ray_token: Path | None = None
    """The file with Ray's token (default: where Ray looks; a local Ray gets `home`/ray.token, made at first use)."""

    @field_validator("ray_token")
    @classmethod
    def _given_path(cls, given: Path | None) -> Path | None:
        return given.expanduser() if given is not None else None
