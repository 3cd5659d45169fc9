"""`aegis monitor`: is the model still what it was, and may it still act alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, say, spoken_errors
from aegis_agents.errors import StoreError

if TYPE_CHECKING:
    from aegis_agents.monitor import Monitor, Status


def monitor(
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking, until it is ended.")] = False,
    as_json: JsonFlag = False,
    resume: Annotated[bool, typer.Option("--resume", help="Lift what fell back. Needs the role admin.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why autonomy may come back.")] = "",
    entry: Annotated[
        list[int] | None, typer.Option("--entry", help="Lift this fall-back alone, by its ledger entry.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who lifts it.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Look for drift, disagreement, overconfidence and probing; feed the canaries. Exit code 1 while autonomy has fallen back."""
    from aegis_agents.monitor import Monitor, ticks
    from aegis_agents.monitor import resume as lift

    with spoken_errors(), open_aegis(settings) as aegis:
        if resume:
            number = lift(aegis.store, aegis.settings, reason=reason, entries=entry or None, by=by)
            say(f"lifted (ledger entry {number})")
            return
        watching = Monitor(aegis)
        try:
            while True:
                try:
                    for tick in ticks(watching):
                        tick.function()
                    shown = _show(watching, as_json)
                except StoreError as error:  # a locked database must not end the watch
                    if not watch:
                        raise
                    say(f"aegis: {error}; looked again in {watching.settings.every_s:g} s", err=True)
                if not watch:
                    break
                time.sleep(watching.settings.every_s)
        finally:
            watching.keep()  # who comes next goes on here
    if shown.caution.fallen or shown.caution.unreadable:
        raise typer.Exit(1)


def _show(watching: Monitor, as_json: bool) -> Status:
    found = watching.status()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return found
    say(f"{found.model}: {found.cases} cases, {found.groups} different ones a day")
    if found.behind:
        say(f"  {found.behind} ledger entries behind: what was decided there was not looked at yet")
    if found.missing:
        say(f"  drift: {found.missing} more of them until there is a reference")
    for test in found.drift:
        say(
            f"  drift of {test.name}: stake {test.stake:.3g} of {test.needed:.0f} ({test.n} compared){_mark(test.shown)}"
        )
    for group in found.agreement:
        say(
            f"  people agree with {group.agreed}, contradict {group.contradicted} ({group.group}){_mark(group.test.shown)}"
        )
    if found.reviewed:
        say(f"  confidence: mean {found.mean_confidence:.2f}, right {found.right:.2f} of {found.reviewed}{_mark(found.calibration.shown)}")  # fmt: skip
    for month, error in found.errors.items():
        if error.error is not None:
            say(f"  calibration error {month}: {error.error:.3f} ({error.low:.3f} to {error.high:.3f}, by chance {error.chance:.3f}, n {error.n})")  # fmt: skip
        else:
            say(f"  calibration error {month}: too few reviews ({error.n})")
    last = found.canaries
    if last is not None:
        say(f"  canaries {last.at:%Y-%m-%d %H:%M}: {last.fed - len(last.wrong)} of {last.fed} right")
        for name, why in last.wrong.items():
            say(f"    {name}: {why}")
    for fell in found.caution.fallen:
        say(f"fallen back ({fell.scope} {fell.of}".rstrip() + f"): {fell.reason}; entry {fell.entry}")
    if found.caution.unreadable:
        say(f"fallen back (all): {found.caution.unreadable}")
    return found


def _mark(shown: bool) -> str:
    return "  SHOWN" if shown else ""
