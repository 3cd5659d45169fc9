"""A prepared data set: labelled alerts with provenance, as JSON Lines beside a manifest of hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from aegis_agents.errors import InputError, ModelTampered
from aegis_agents.records import Severity, Verdict
from aegis_agents.records.base import Record
from aegis_agents.sources import parse
from aegis_agents.training.corpus import FACT_CLASSES, Example, stances_of

Split = Literal["train", "develop"]
Side = Literal["attack", "authorised", "wrong"]
ALERTS, MANIFEST = "alerts.jsonl", "manifest.json"


class LabelledAlert(Record):
    """One alert, what it was, which facts decide, and where it comes from.

    `verdict_known` False means that only "no attack" is known. `sides` maps paths of facts to
    the side they are on; None where nobody labelled the facts. `outside` marks what others
    recorded, whose text nobody here has read.
    """

    family: str
    source: str
    licence: str
    origin: str
    outside: bool
    split: Split
    format: str
    alert: dict[str, Any]
    verdict: Verdict
    verdict_known: bool = True
    severity: Severity | None = None
    techniques: tuple[str, ...] = ()
    sides: dict[str, Side] | None = None

    @property
    def id(self) -> str:
        """SHA-256 over the alert as canonical JSON."""
        return hashlib.sha256(json.dumps(self.alert, sort_keys=True, ensure_ascii=True).encode()).hexdigest()

    def example(self, format: str | None = None) -> Example:
        """The alert as the trainer reads it; `format` reads it as another one's ("generic": as nobody knows it)."""
        format = format or self.format
        incident = parse(self.alert, format=format)
        sides = self.sides
        if sides is None:
            stances = (-1,) * len(incident.facts)
        else:
            stances = stances_of(incident.facts, lambda f: FACT_CLASSES.index(sides.get(f.path, "neutral")))
        techniques = self.techniques if self.verdict == "true_positive" else ()
        severity = self.severity or "informational"
        return Example(
            incident, self.verdict, severity, techniques, stances, self.family, self.source, self.alert, format
        )


class Manifest(Record):
    """What a prepared set holds and what preparing it found. `digest` is over alerts.jsonl."""

    digest: str
    counts: dict[str, dict[str, int]]
    licences: dict[str, str]
    dropped: dict[str, int]
    checks: dict[str, Any]
    settings: dict[str, Any] = Field(default_factory=dict)


def write_dataset(folder: Path, alerts: Iterable[LabelledAlert], manifest: dict[str, Any]) -> Manifest:
    """Write both files, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = "".join(a.model_dump_json(exclude_defaults=True) + "\n" for a in alerts).encode()
    (folder / ALERTS).write_bytes(raw)
    made = Manifest(digest=hashlib.sha256(raw).hexdigest(), **manifest)
    (folder / MANIFEST).write_text(made.model_dump_json(indent=1), "utf-8")
    return made


def read_manifest(folder: Path) -> Manifest:
    """The manifest. Raises InputError if there is none or it is malformed."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValidationError) as error:
        raise InputError(
            f"no prepared data in {folder}: {error}", field="data", fix="run `aegis train prepare --out DIR` first"
        ) from error


def read_dataset(folder: Path) -> Iterator[LabelledAlert]:
    """The alerts. Raises InputError without a manifest, ModelTampered where the file is not what was prepared."""
    manifest = read_manifest(folder)
    raw = (folder / ALERTS).read_bytes()
    if (found := hashlib.sha256(raw).hexdigest()) != manifest.digest:
        raise ModelTampered(f"{folder / ALERTS} has SHA-256 {found}, its manifest says {manifest.digest}")
    for line in raw.splitlines():
        yield LabelledAlert.model_validate_json(line)
