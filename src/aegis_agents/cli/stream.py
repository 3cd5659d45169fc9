"""`aegis stream`: brings alerts in from where the settings say, into the inbox. It decides nothing; workers do."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from functools import partial
from typing import Annotated

import typer

from aegis_agents.cli.spoken import SettingsFile, say, spoken_errors
from aegis_agents.errors import AegisError, SettingsError


def stream(
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left to be read now.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Run all configured streams ([[streams]] of the settings) until it is told to stop; what was read is kept first.

    A stream that breaks is begun again, and the others go on. With --once it ends when all have been read to their end;
    exit code 1 if one of them broke.
    """
    with spoken_errors():
        from aegis_agents.aegis import Aegis
        from aegis_agents.fleet.stopping import told_to_stop
        from aegis_agents.hardening.egress import enforced
        from aegis_agents.inbox.copies import note_copies
        from aegis_agents.settings import load_settings
        from aegis_agents.streams.runner import Runner, summary
        from aegis_agents.watching import observed

        found = load_settings(settings)
        if not found.streams:
            raise SettingsError("no stream is configured: add a table [[streams]] to the settings (docs/streams.md)")
        found.home.mkdir(parents=True, exist_ok=True)

        def storm(incident_id: str, copies: int) -> None:
            try:
                note_copies(aegis.store, incident_id, copies)
            except AegisError as error:  # reading goes on: the count is in the inbox all the same
                say(f"{incident_id}: {copies} copies, which the ledger did not take: {error}", err=True)

        # With --once a signal may end it anywhere: what was read is kept with how far it was read.
        stopping = nullcontext(threading.Event()) if once else told_to_stop()
        with stopping as stop, Aegis(settings=found) as aegis, enforced(found) as egress, observed(aegis):
            runner = Runner(found.streams, aegis.inbox, say=partial(say, err=True), storm=storm)
            say(f"reading {', '.join(one.name for one in found.streams)}", err=True)
            try:
                well = runner.run(stop, once=once)
            finally:
                if egress is not None and egress.refusals.total:
                    egress.refusals.write(aegis.store)
        for name, tally in runner.tallies.items():
            say(f"{name}: {summary(tally)}")
    if once and not well:
        raise typer.Exit(1)
