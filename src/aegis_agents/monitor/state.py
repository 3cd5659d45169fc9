"""What is known of the model so far: a function of the ledger's entries and the cases they name, kept between looks."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from aegis_agents.errors import LedgerError
from aegis_agents.gate.caution import FellBack
from aegis_agents.monitor.agreement import Agreement
from aegis_agents.monitor.calibrated import Calibrated
from aegis_agents.monitor.drift import Drift
from aegis_agents.monitor.probing import Cluster, Probing
from aegis_agents.monitor.said import Said
from aegis_agents.monitor.signs import Campaigns, Signs
from aegis_agents.settings_monitor import MonitorSettings

FORMAT = 1
"""Raised when the state means something else: an older one is then computed anew."""
MOST_MODELS = 4
_MOST_BYTES = 64 * 1024 * 1024


class Watched(BaseModel):
    """One version of the model: the tests, and what they are fed."""

    cases: int = 0
    """Cases that it decided; groups of near-duplicates are fewer."""
    drift: Drift = Drift()
    agreement: Agreement = Agreement()
    calibrated: Calibrated = Calibrated()
    reviewed: Campaigns = Campaigns()


class State(BaseModel):
    """All of it. `read` is how far each kind of entry was read."""

    format: int = FORMAT
    seed: str = ""
    read: dict[str, int] = {}
    models: dict[str, Watched] = {}
    probing: Probing = Probing()
    unreadable: int = 0
    """Entries or cases that could not be read, and were left out."""
    told: set[str] = set()
    """What an alarm was raised for, and no person has lifted; looked at where nothing falls back (`fall_back` false)."""

    def of(self, model: str) -> Watched:
        """The tests of one version; that which nothing was heard of for longest is forgotten for a fifth."""
        watched = self.models.pop(model, None) or Watched()
        while len(self.models) >= MOST_MODELS:
            del self.models[next(iter(self.models))]
        self.models[model] = watched
        return watched

    def decided(self, signs: Signs, settings: MonitorSettings) -> Cluster | None:
        """Take in a decided case; answers the group of near-duplicates that it belongs to."""
        watched = self.of(signs.model)
        watched.cases += 1
        group = self.probing.add(signs, settings.probe_share)
        if group is None or group.first_today:
            watched.drift.add(signs, self.seed, settings.reference)
        return group

    def said(self, said: Said, signs: Signs, at: datetime, settings: MonitorSettings) -> None:
        """Take in what a person said of a case."""
        watched, month = self.of(signs.model), at.strftime("%Y-%m")
        watched.agreement.add(said, signs.source, signs.links, month, settings.most_disagreement)
        if said.right is not None and watched.reviewed.first(signs.links):
            watched.calibrated.add(signs.confidence, said.right, month, settings.most_overconfidence)

    def resumed(self, fallen: Iterable[FellBack]) -> None:
        """A person lifted these: their tests begin anew, under every version of the model."""
        causes = dict.fromkeys((*fell.cause.partition(".")[::2], fell.like) for fell in fallen)
        kinds = {kind for kind, _, _ in causes}
        for watched in self.models.values():
            if "drift" in kinds:  # one reference for all four
                watched.drift = watched.drift.again()
            if "calibration" in kinds:
                watched.calibrated = watched.calibrated.again()
            for kind, name, _ in causes:
                if kind == "agreement":
                    watched.agreement.again(name)
        likes = {like for kind, _, like in causes if kind == "probing"}
        sources = {name.removeprefix("source:") for kind, name, _ in causes if kind == "probing" and name}
        self.probing.clusters = [
            c for c in self.probing.clusters if c.like not in likes and not (c.told and c.source in sources)
        ]
        lifted = {(".".join(filter(None, (kind, name))), like) for kind, name, like in causes}
        self.told = {
            key for key in self.told
            if not ("drift" in kinds and key.startswith("drift."))
            and not any(key == key_of(cause, like) or (not like and key.partition(" ")[0] == cause) for cause, like in lifted)
        }  # fmt: skip

    def packed(self) -> str:
        """As text for the ledger: compressed JSON."""
        return base64.b85encode(zlib.compress(self.model_dump_json().encode(), 6)).decode()


def key_of(cause: str, about: str = "") -> str:
    """What an alarm is about: its cause, and which group of near-duplicates or version of the model."""
    return f"{cause} {about}".rstrip()


def unpacked(body: dict[str, Any] | None) -> State | None:
    """The state that an entry holds; None where it is gone or of another format. Raises LedgerError for what is none."""
    if body is None or body.get("format") != FORMAT:
        return None
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(base64.b85decode(str(body["state"])), _MOST_BYTES)
        if inflate.unconsumed_tail:
            raise ValueError("it is too long")
        return State.model_validate_json(text)
    except (KeyError, ValueError, ValidationError, zlib.error) as error:
        raise LedgerError(f"the monitor's state can't be read: {error}"[:300]) from error
