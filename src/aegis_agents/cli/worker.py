"""`aegis worker`: takes alerts from the inbox and decides them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from aegis_agents.cli.spoken import SettingsFile, say, spoken_errors


def worker(
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, max=1024, help="Workers to run, each a process; 1 by default.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing waits any more.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Decide what waits in the inbox, until it is told to stop; what is under way is finished first.

    A worker that dies is started again, and what it held is decided by another. Exit code 3 if the ledger, the model or
    the intelligence is not what it was; nothing is decided any more then.
    """
    with spoken_errors():
        from aegis_agents.fleet.opening import open_aegis
        from aegis_agents.fleet.processes import Processes, alone
        from aegis_agents.fleet.stopping import told_to_stop
        from aegis_agents.settings import load_settings

        found = load_settings(settings)
        count = processes or found.worker.processes
        opener = partial(open_aegis, settings)
        with told_to_stop() as stop:
            if count == 1:
                ended = alone(stop, opener, until_empty=once)
            else:
                fleet = Processes(
                    opener, count, restarts=found.worker.restarts, until_empty=once, say=partial(say, err=True)
                )
                ended = fleet.run(stop)
    if ended.why:
        say(f"aegis: {ended.why}", err=True)
    say(f"{ended.decided} alert(s) decided, {ended.dead} set aside, {ended.again} to be tried again", err=True)
    if ended.code:
        raise typer.Exit(ended.code)
