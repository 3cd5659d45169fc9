"""`aegis stream`: brings alerts in from where the settings say, into the inbox. It decides nothing; workers do."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Annotated

import typer

from aegis_agents.cli.spoken import SettingsFile, say, spoken_errors
from aegis_agents.errors import SettingsError


def stream(
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left to be read now.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Run all configured streams ([[streams]] of the settings) until it is told to stop; what was read is kept first.

    A stream that breaks is begun again, and the others go on. With --once it ends when all have been read to their end;
    exit code 1 if one of them broke.
    """
    with spoken_errors():
        from aegis_agents.fleet.stopping import told_to_stop
        from aegis_agents.inbox.opening import open_inbox
        from aegis_agents.settings import load_settings
        from aegis_agents.streams.runner import Runner, rates_of, summary

        found = load_settings(settings)
        if not found.streams:
            raise SettingsError("no stream is configured: add a table [[streams]] to the settings (docs/streams.md)")
        found.home.mkdir(parents=True, exist_ok=True)
        with told_to_stop() as stop, closing(open_inbox(found, rates=rates_of(found.streams))) as inbox:
            runner = Runner(found.streams, inbox, say=partial(say, err=True))
            say(f"reading {', '.join(one.name for one in found.streams)}", err=True)
            well = runner.run(stop, once=once)
        for name, tally in runner.tallies.items():
            say(f"{name}: {summary(tally)}")
    if once and not well:
        raise typer.Exit(1)
