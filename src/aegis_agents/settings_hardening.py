"""Settings against abuse of Aegis itself: where it may connect to, whose signatures count, what one source may cost."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_FROZEN = ConfigDict(extra="forbid", frozen=True)
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,62}[a-z0-9_])?)*")

EgressMode = Literal["open", "configured", "listed"]


class HardeningSettings(BaseModel):
    """Settings against abuse of Aegis itself."""

    model_config = _FROZEN

    egress: EgressMode = "configured"
    """Where the `aegis` commands may connect to: anywhere, what the settings name and `egress_allow`, or that list alone."""
    egress_allow: tuple[str, ...] = ()
    """More places: "name", "*.name", an address, a network, each with ":port" behind it or without."""
    trusted_keys: Path | None = None
    """A file with public keys (`aegis sign`); what settings load is then loaded only if one of them signed it."""
    verify_minutes: float = Field(default=5.0, gt=0, le=1440)
    """How often a running service looks whether the files that it loaded are still the same."""
    llm_calls_per_hour: int = Field(default=600, ge=0)
    """Questions to the language model that one source may cause in an hour; then the fast path's answer stands."""
    llm_seconds_per_hour: float = Field(default=1800.0, ge=0)
    """Seconds of the language model that one source may cost in an hour."""
    alone_per_hour: int = Field(default=1000, ge=0)
    """Investigations of one source in an hour whose actions may run without a person; beyond it every action asks."""

    @field_validator("trusted_keys", mode="before")
    @classmethod
    def _path(cls, given: object) -> object:
        if given == "":
            raise ValueError("is empty: give a path, or leave it out")
        try:
            return Path(given).expanduser() if isinstance(given, str | Path) else given
        except RuntimeError as error:  # no such user
            raise ValueError(str(error)) from error

    @field_validator("egress_allow")
    @classmethod
    def _places(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            place_of(one)
        return given


def place_of(text: str) -> tuple[str, int | None]:
    """Host (a name, "*.name", an address or a network) and port of an entry. Raises ValueError saying what is wrong."""
    host, port = text.strip(), None
    try:
        return str(ipaddress.ip_network(host.strip("[]"), strict=True)).removesuffix("/32").removesuffix("/128"), None
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{text!r} is an address within a network, and no network") from error
    name, colon, number = host.rpartition(":")
    if colon:
        if not number.isascii() or not number.isdigit() or not 0 < int(number[:6]) < 65536:
            raise ValueError(
                f"{text!r} has no port from 1 to 65535 behind its colon (write an IPv6 address as [::1]:443)"
            )
        return place_of(name)[0], int(number)
    if host == "*" or not _NAME.fullmatch(host.lower().rstrip(".")) or host.replace(".", "").isdigit():
        raise ValueError(f'{text!r} is no name, "*.name", address or network (egress = "open" allows everything)')
    return host.lower().rstrip("."), port
