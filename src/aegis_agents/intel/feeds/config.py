"""A feed: where intelligence comes from, how far it is trusted, and who may see it. All of it is the user's word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from aegis_agents.intel.documents import Tlp
from aegis_agents.records.base import Record

FeedKind = Literal[
    "attack", "kev", "epss", "stix", "taxii", "misp", "warninglist", "sigma", "react", "indicators", "documents",
]  # fmt: skip
"""attack: ATT&CK as a STIX bundle. stix: any STIX 2.1 bundle. taxii: a TAXII 2.1 collection. misp: a MISP feed
(manifest.json) or one event. warninglist: MISP's. indicators: a list as CSV, JSON or plain lines. documents: the
user's own Markdown, PDF, text or JSON files."""

TrustLevel = Literal["high", "medium", "low"]

TRUST: dict[TrustLevel, float] = {"high": 0.9, "medium": 0.6, "low": 0.3}
"""What a level counts as on a passage; 1.0 is kept for what ships with the package."""

STANDARD: frozenset[FeedKind] = frozenset({"attack", "kev"})
"""Kinds that take the place of what ships with the package, and that other passages are then measured against."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Feed(Record):
    """One configured feed. Exactly one of `url` and `path`.

    `owner` is who publishes it: two feeds of one owner are one voice in the quorum (default: its name).
    `internal` allows addresses inside the organisation; without it nothing but public ones is contacted.
    `token` is sent as it is in `header` ("Bearer …", or a key alone with header = "X-Api-Key").
    `public_key` (Ed25519, 64 hexadecimal digits) demands a detached signature at the same place with ".sig" behind.
    `max_age_days` overrides how long an indicator counts after it was last seen.
    """

    name: str
    kind: FeedKind
    url: str | None = None
    path: Path | None = None
    trust: TrustLevel = "low"
    owner: str = ""
    licence: str = "not stated"
    tlp: Tlp = "amber"
    tenant: str = ""
    every_seconds: Annotated[int, Field(ge=5)] = 3600
    internal: bool = False
    username: str | None = None
    password: SecretStr | None = None
    header: str = "Authorization"
    token: SecretStr | None = None
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024 * 1024
    max_age_days: Annotated[int, Field(ge=1)] | None = None

    @field_validator("name")
    @classmethod
    def _named(cls, value: str) -> str:
        if not _NAME.fullmatch(value) or value == "shipped":
            raise ValueError('use small letters, digits and hyphens, at most 64, and not "shipped"')
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Feed:
        if (self.url is None) == (self.path is None):
            raise ValueError("give either url or path")
        if self.url is not None and not re.match(r"https?://[^\s/]+", self.url):
            raise ValueError("url must begin with https:// or http://")
        if self.kind == "taxii" and self.url is None:
            raise ValueError("a TAXII collection has a url")
        if self.kind in STANDARD and (self.trust != "high" or self.tenant or self.tlp != "clear"):
            raise ValueError(
                f'kind {self.kind} replaces what ships: say trust = "high" and tlp = "clear", without tenant'
            )
        return self

    @property
    def publisher(self) -> str:
        """Who speaks through this feed."""
        return self.owner or self.name
