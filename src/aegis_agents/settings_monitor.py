"""Settings of `aegis monitor`: what is watched, and from which bound on autonomy falls back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class MonitorSettings(BaseModel):
    """Settings of `aegis monitor`."""

    model_config = _FROZEN

    fall_back: bool = True
    """Whether autonomy falls back when a watch finds something; False only writes down what was found."""
    every_s: float = Field(default=60.0, ge=1, le=86_400)
    """Seconds between two looks at what is new."""
    reference: int = Field(default=200, ge=40, le=5_000)
    """Groups of near-duplicates, the first of a model version here, that later ones are compared with."""
    doubt: float = Field(default=0.05, gt=0, le=0.5)
    """Most probability that a model version under which nothing changes ever falls back for drift, disagreement or
    calibration."""
    most_disagreement: float = Field(default=0.3, gt=0, lt=1)
    """Share of verdicts that people contradict, above which (shown, not guessed) autonomy falls back."""
    most_overconfidence: float = Field(default=0.1, ge=0, lt=1)
    """How far confidence may lie above the share that was right."""
    canary_minutes: float = Field(default=60.0, ge=0, le=525_600)
    """Minutes between two rounds of canaries; 0 feeds none."""
    canary_seconds: float = Field(default=60.0, gt=0, le=86_400)
    """How long a round of canaries may take."""
    probe_share: float = Field(default=0.3, gt=0, lt=1)
    """Share of new wordings of one alert that move the answer, above which (shown) they are a search for the boundary."""
    probe_doubt: float = Field(default=0.001, gt=0, le=0.5)
    """Most probability that a group of near-duplicates whose share is no higher is ever taken for probing."""
    honeytokens: bool = True
    """Whether honeytokens are planted and looked for in what leaves."""
