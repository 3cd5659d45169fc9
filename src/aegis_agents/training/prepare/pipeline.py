"""The whole preparation: collect, redact, drop duplicates, check, write; each step says what it dropped and why."""

from __future__ import annotations

import secrets
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_agents.errors import InputError
from aegis_agents.training.prepare import checks
from aegis_agents.training.prepare.collect import SOURCES, collect
from aegis_agents.training.prepare.dataset import LabelledAlert, Manifest, write_dataset
from aegis_agents.training.prepare.duplicates import without_duplicates
from aegis_agents.training.prepare.redact import Redactor

_SHOWN = 5


def prepare(
    out: Path, *, data: Path | None = None, likeness: float = 0.9, keep_contradicted: bool = False,
    console: Console | None = None,
) -> Manifest:  # fmt: skip
    """Prepare all sources into `out`.

    `data` is a folder with the outside sources, None to do without. `likeness` is the share of
    word triples from which an alert counts as a copy of another family's.
    `keep_contradicted` keeps outside alerts whose label everything else contradicts, which are
    dropped otherwise. Raises InputError where title and severity tell the verdict.
    """
    console = console or Console(stderr=True)
    redactor, dropped = Redactor(secrets.token_bytes(32)), Counter[str]()

    def say_dropped(alert: LabelledAlert, why: str) -> None:
        dropped[why] += 1
        if dropped[why] <= _SHOWN:
            console.print(f"  dropped {alert.source} {alert.family} {alert.id[:12]}: {why}", highlight=False)
        elif dropped[why] == _SHOWN + 1:
            console.print(f"  … more for the same reason: {why}", highlight=False)

    console.print("collecting")
    alerts: list[LabelledAlert] = list(collect(data))
    collected = Counter(a.source for a in alerts)
    for source, n in sorted(collected.items()):
        console.print(f"  {source}: {n}", highlight=False)

    console.print("redacting what others recorded")
    alerts = [a.model_copy(update={"alert": redactor.alert(a.alert, a.format)}) if a.outside else a for a in alerts]
    for kind, n in sorted(redactor.found.items()):
        console.print(f"  {kind}: {n} replaced", highlight=False)

    console.print("dropping duplicates")
    unique = without_duplicates(alerts, likeness=likeness)
    for alert, _, how in unique.dropped:
        say_dropped(alert, how)
    alerts = unique.alerts

    console.print("looking for poison")
    clean = []
    for alert in alerts:
        if alert.outside and checks.speaks_to_machines(alert):
            say_dropped(alert, "a field speaks to machine readers")
        else:
            clean.append(alert)
    suspects = [] if keep_contradicted else checks.contradicted(clean)
    for suspect in suspects:
        say_dropped(suspect.alert, "label contradicted by all other families")
    bad = {s.alert.id for s in suspects}
    alerts = [a for a in clean if a.id not in bad]
    words = checks.triggers(alerts)
    if words:
        shown = ", ".join(sorted(words)[:20])
        console.print(f"  {len(words)} words stand with one verdict (to be looked at): {shown}", highlight=False)

    console.print("looking for label leaks")
    own = [a for a in alerts if not a.outside]
    leaks = {what: checks.label_leak(own, what=what) for what in ("title and severity", "format and length")}
    leaks["title and severity, outside sources too"] = checks.label_leak(alerts)
    for what, leak in leaks.items():
        console.print(
            f"  {what}: AUC {leak.auc:.3f} ({leak.low:.3f} to {leak.high:.3f}), {leak.alerts} alerts", highlight=False
        )
    if leaks["title and severity"].leaks:
        raise InputError(
            "title and vendor severity tell the verdict", field="alerts",
            fix="give each situation one title and severity for all of its variants",
        )  # fmt: skip
    counts = {s: dict(Counter(f"{a.split} {a.verdict}" for a in alerts if a.source == s)) for s in sorted(collected)}
    found: dict[str, Any] = {
        "label_leak": {what: checks.summary(leak) for what, leak in leaks.items()},
        "redacted": dict(redactor.found),
        "trigger_words": words,
    }
    manifest = write_dataset(
        out, alerts,
        {
            "counts": counts, "licences": {s.name: s.licence for s in SOURCES if s.name in collected}, "dropped": dict(dropped),
            "checks": found, "settings": {"likeness": likeness, "keep_contradicted": keep_contradicted},
        },
    )  # fmt: skip
    console.print(
        f"kept {len(alerts)} of {sum(collected.values())} alerts in {out}, SHA-256 {manifest.digest}", highlight=False
    )
    return manifest
