"""Collectors: labelled alerts from each source, with licence and origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import InputError
from aegis_agents.training.alerts import coherent_groups
from aegis_agents.training.alerts.dials import dial_groups
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.alerts.written import written_groups
from aegis_agents.training.corpus import FACT_CLASSES, Example
from aegis_agents.training.prepare.dataset import LabelledAlert, Side, Split
from aegis_agents.training.real import ait_windows, sigma_events

_SIDES: dict[int, Side] = {FACT_CLASSES.index(s): s for s in ("attack", "authorised", "wrong")}


class Source(NamedTuple):
    """Where alerts come from, under which licence, and how to read them."""

    name: str
    licence: str
    origin: str
    outside: bool
    read: Callable[[Path | None, bool], Iterator[Example]]
    """Called with the folder of outside data and whether the part for development is wanted."""
    needs_data: bool = False


def _flat(groups: Callable[..., Iterator[list[Example]]]) -> Callable[[Path | None, bool], Iterator[Example]]:
    return lambda _, held_out: (example for group in groups("develop" if held_out else "train") for example in group)


def _outside(read: Callable[..., Iterator[Example]]) -> Callable[[Path | None, bool], Iterator[Example]]:
    def collect(data: Path | None, held_out: bool) -> Iterator[Example]:
        if data is not None:
            yield from read(data, training=not held_out)

    return collect


SOURCES: tuple[Source, ...] = (
    Source("situations", "Apache-2.0", "written for Aegis, a file a writer", False, _flat(situation_groups)),
    Source("dials", "Apache-2.0", "written for Aegis, variants drawn", False, _flat(dial_groups)),
    Source("written", "Apache-2.0", "written for Aegis as whole alerts", False, _flat(written_groups)),
    Source("coherent", "Apache-2.0", "written for Aegis, rendered into native shapes", False, _flat(coherent_groups)),
    Source("ait-ads", "CC-BY-4.0", "AIT-ADS, Landauer et al. 2024, Zenodo 8263181", True, _outside(ait_windows), True),
    Source("sigma-regression", "DRL-1.1", "SigmaHQ regression tests", True, _outside(sigma_events), True),
)


def label(example: Example, source: Source, split: Split) -> LabelledAlert:
    """An example as a record that can be kept."""
    known = any(s >= 0 for s in example.stances)
    facts = zip(example.incident.facts, example.stances, strict=True)
    sides = {f.path: _SIDES[s] for f, s in facts if s > 0 and not f.derived}
    kind_unknown = source.outside and example.verdict != "true_positive"
    return LabelledAlert(
        family=example.family, source=source.name, licence=source.licence, origin=source.origin, outside=source.outside,
        split=split, format=example.format, alert=example.alert, verdict=example.verdict,
        verdict_known=not kind_unknown, severity=None if kind_unknown else example.severity,
        techniques=example.techniques, sides=sides if known else None,
    )  # fmt: skip


def collect(data: Path | None) -> Iterator[LabelledAlert]:
    """All alerts of all sources; those from outside only where `data` names a folder, which must have all of them.

    Raises InputError where it lacks one, before anything else is read.
    """
    asked = [(s, held_out) for s in SOURCES if data is not None or not s.needs_data for held_out in (False, True)]
    for source, held_out in asked:
        if source.needs_data:
            next(_read(source, data, held_out), None)  # what is missing is said now, not minutes later
    for source, held_out in asked:
        for example in _read(source, data, held_out):
            yield label(example, source, "develop" if held_out else "train")


def _read(source: Source, data: Path | None, held_out: bool) -> Iterator[Example]:
    try:
        yield from source.read(data, held_out)
    except FileNotFoundError as error:
        raise InputError(
            f"{source.name} is not in {data}: {error.filename} is missing", field="sources",
            fix="put it there, or prepare without --sources",
        ) from error  # fmt: skip
