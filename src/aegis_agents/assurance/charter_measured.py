"""The charter's answers that are measured: how fast, with which expertise, and where the trail is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aegis_agents.assurance.charter import Line, Value
from aegis_agents.assurance.charter_reading import Figure, card_figures, entries_of, quantiles
from aegis_agents.errors import LedgerTampered, UnknownAction

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis

_LATEST = 500
"""Cases and answers that are looked at, the newest."""
_GOOD_IS_HIGH = ("detection", "rejection", "coverage", "kind", "minimal pairs, both right", "undetermined called so")
_GOOD_IS_LOW = ("attacks called harmless with confidence above 0.9", "attacks called harmless above 0.9", "flips")
_WORST = 8
_LEAST_N = 20
"""Shares of fewer say little; they are in the card all the same."""


def speed(aegis: Aegis) -> Iterator[Line]:
    """How long decisions took here, and how long people did."""
    latest = deque((incident for incident, _ in entries_of(aegis.store, "case.finished") if incident), maxlen=_LATEST)
    cases = [case for incident in dict.fromkeys(latest) if (case := aegis.store.case(incident)) is not None]
    yield _took("from alert to decision", [case.timing_ms for case in cases], "ms", "cases' timing_ms")
    answered = deque((str(body["action_id"]) for _, body in entries_of(aegis.store, "action.answered")), maxlen=_LATEST)
    waited = []
    for action_id in answered:
        try:
            row = aegis.store.action(action_id)
        except UnknownAction:
            continue  # retention removed the row; its entry is still there
        if row.answered_at is not None:
            waited.append((row.answered_at - row.created_at).total_seconds() / 3600)
    assumed = aegis.context.gate.settings.costs.waiting["approval"]
    yield _took("until a person answered", waited, "h", f"ledger action.answered; the cost model assumes {assumed:g} h")
    pending = len(aegis.pending())
    yield Line(text=f"questions that wait now: {pending}", figures={"pending": pending}, source="journal")


def _took(what: str, values: list[float], unit: str, source: str) -> Line:
    if not values:
        return Line(text=f"{what}: not measured, nothing is there yet", figures={"n": 0}, source=source)
    p50, p95 = quantiles(values)
    figures: dict[str, Value] = {"n": len(values), f"p50_{unit}": round(p50, 3), f"p95_{unit}": round(p95, 3)}
    return Line(
        text=f"{what}: p50 {p50:.4g} {unit}, p95 {p95:.4g} {unit} (n {len(values)})", figures=figures, source=source
    )


def expertise(aegis: Aegis) -> Iterator[Line]:
    """Which model judges, what it was trained on, and the worst that its card says of it."""
    from aegis_agents.model.files import shipped_folder
    from aegis_agents.model.registry import current

    own = current(aegis.settings.home)
    folder = own.folder if own else shipped_folder()
    version = aegis.context.model.version
    yield Line(text=f"model {version} ({'promoted here' if own else 'shipped'})", figures={"model": version},
               source="the weights in use")  # fmt: skip
    yield from _training(folder / "manifest.json")
    intel = aegis.context.versions["intel"]
    yield Line(text=f"intelligence {intel}", figures={"intel": intel}, source="the snapshot in use")
    llm = aegis.settings.llm or "none"
    yield Line(text=f"language model: {llm}; it words unclear cases and decides nothing", figures={"llm": llm},
               source="setting llm")  # fmt: skip
    figures = card_figures(folder / "card.md")
    if not figures:
        yield Line(text="the model's card has no figures: not measured", figures={"n": 0}, source="model card")
    for figure in worst(figures):
        yield Line(
            text=f"{figure.section}, {figure.what}: {figure.share:.2f} ({figure.k}/{figure.n}, "
            f"{figure.low:.2f} to {figure.high:.2f})",
            figures={"k": figure.k, "n": figure.n, "low": figure.low, "high": figure.high},
            source="model card, its worst figures",
        )


def worst(figures: list[Figure]) -> list[Figure]:
    """The worst of the figures that say how often it errs, of those with enough behind them."""
    rated = [
        (figure.share if figure.what in _GOOD_IS_HIGH else 1 - figure.share, figure)
        for figure in figures
        if figure.n >= _LEAST_N and figure.what in (*_GOOD_IS_HIGH, *_GOOD_IS_LOW)
    ]
    return [figure for _, figure in sorted(rated, key=lambda pair: pair[0])[:_WORST]]


def _training(manifest: object) -> Iterator[Line]:
    import json
    from pathlib import Path

    try:
        about = json.loads(Path(str(manifest)).read_text("utf-8")).get("about", {})
    except FileNotFoundError:
        yield Line(text="the weights come without a manifest: their training is not known", source="manifest")
        return
    alerts = about.get("alerts", {})
    if isinstance(alerts, dict) and alerts:
        said = ", ".join(f"{name} {count}" for name, count in alerts.items())
        figures = {str(name): int(count) for name, count in alerts.items()}
        yield Line(
            text=f"trained on {sum(figures.values())} alerts: {said}",
            figures=dict(figures),
            source="manifest of the weights",
        )


def trail(aegis: Aegis) -> Iterator[Line]:
    """Where the ledger is, and whether it is whole."""
    settings = aegis.settings
    # The database's address may hold a password: it is not shown.
    place = "PostgreSQL" if settings.database else str(settings.home / "aegis.sqlite")
    copies = f", each checkpoint also to {settings.ledger_copies}" if settings.ledger_copies else ""
    yield Line(
        text=f"ledger: {place}; a checkpoint is signed every {settings.ledger_every} entries{copies}",
        figures={"place": place, "every": settings.ledger_every}, source="settings database, home, ledger_*",
    )  # fmt: skip
    tenants = Counter(str(body.get("tenant", "")) for _, body in entries_of(aegis.store, "intake.admitted"))
    if len(tenants) > 1:
        yield Line(
            text=f"several tenants share it, and what is counted above is of all of them: {', '.join(sorted(tenants))}",
            figures={"tenants": len(tenants)}, source="ledger intake.admitted",
        )  # fmt: skip
    try:
        found = aegis.store.verify()
    except LedgerTampered as error:
        yield Line(text=f"NOT WHOLE: {error}", figures={"whole": False}, source="aegis ledger verify")
        return
    said: dict[str, Value] = {name: value for name, value in found.model_dump().items() if isinstance(value, int | str)}
    yield Line(
        text=f"whole: {found.entries} entries, head {found.head}",
        figures={"whole": True, **said}, source="aegis ledger verify",
    )  # fmt: skip
    signed = said.get("checkpoints")
    if signed is not None:
        keys = ", ".join(getattr(found, "keys", ())) or "none"
        yield Line(
            text=f"signed checkpoints: {signed}, covering {said.get('signed', 0)} of {found.entries} entries; keys: {keys}",
            figures={"checkpoints": signed, "signed": said.get("signed", 0)}, source="aegis ledger verify",
        )  # fmt: skip
