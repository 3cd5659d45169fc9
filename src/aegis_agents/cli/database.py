"""`aegis database`: the PostgreSQL tables and their versions, for whoever administers them. And `aegis migrate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, print_json, say, spoken_errors
from aegis_agents.errors import SettingsError

if TYPE_CHECKING:
    from aegis_agents.settings import Settings
    from aegis_agents.upkeep.revisions import Revisions

database_app = typer.Typer(help="The tables on PostgreSQL: their version, and upgrading them.", no_args_is_help=True)


def settings_of(file: Path | None) -> Settings:
    """The settings of a file, or of the environment alone."""
    from aegis_agents.settings import load_settings

    return load_settings(file)


def _revisions(file: Path | None) -> Revisions:
    from aegis_agents.ledger.postgres_connection import Address
    from aegis_agents.upkeep.revisions import Revisions

    settings = settings_of(file)
    if settings.database is None:
        raise SettingsError(
            "database: is not set (AEGIS_DATABASE); a store in a file upgrades itself when it is opened"
        )
    return Revisions(Address(settings.database.get_secret_value(), settings.database_schema))


@database_app.command("upgrade")
def upgrade(
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql", metavar="FROM:TO",
            help='Print the SQL for a DBA and touch nothing: "0004:0005", or "head" for a schema with nothing in it.',
        ),
    ] = None,
    settings: SettingsFile = None,
) -> None:  # fmt: skip
    """Bring the tables to the version of this code. Others may be at work: what only adds lets older workers go on."""
    with spoken_errors():
        revisions = _revisions(settings)
        if sql is not None:
            revisions.sql(sys.stdout, sql)
            return
        before, after = revisions.upgrade()
        say(f"{after}: nothing to do" if before == after else f"{before} -> {after}")


@database_app.command("current")
def current(settings: SettingsFile = None) -> None:
    """Print the revision that the tables are of. Exit code 1 if this code works on another."""
    from aegis_agents.ledger.postgres import revision_of
    from aegis_agents.ledger.schema import VERSION

    with spoken_errors():
        found = _revisions(settings).current()
    mine = revision_of(VERSION)
    if found is None:
        say("no tables yet: they are made when Aegis first opens the database")
    elif found == mine:
        say(f"{found} (head)")
    else:
        behind = "run `aegis database upgrade`" if found < mine else "upgrade Aegis here"
        say(f"{found}; this code is of {mine}: {behind}")
        raise typer.Exit(1)


@database_app.command("history")
def history(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List the revisions, the first one first, and which were taken."""
    with spoken_errors():
        for step in _revisions(settings).history():
            if as_json:
                print_json(step._asdict())
            else:
                say(f"{step.number}  {'taken' if step.taken else 'to come'}  {step.what}")


@database_app.command("stamp")
def stamp(
    revision: Annotated[str, typer.Argument(help='What the tables are of, as in "0005".')],
    settings: SettingsFile = None,
) -> None:
    """Say which revision the tables are of, after a DBA ran the SQL by hand. They must say the same of themselves."""
    with spoken_errors():
        _revisions(settings).stamp(revision)
        say(f"{revision}: stamped")


def migrate(
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="ADDRESS",
            help="Where to: postgresql://user@host/name, without a password. AEGIS_DATABASE says it otherwise.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Give up a migration that was cut off; the target must hold nothing of it.")
    ] = False,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:  # fmt: skip
    """Bring the embedded store to PostgreSQL: all of it, once. Cut off at any point, give the same command again."""
    from aegis_agents.upkeep.moving import Move

    with spoken_errors():
        move = Move.of(settings_of(settings), to)
        if abandon:
            move.abandon()
            say(f"given up: {move.source} is in use again")
            return
        moved = move.plan() if dry_run else move.run(say=lambda text: say(text, err=True))
        if as_json:
            print_json(moved.to_dict())
            return
        for what, number in moved.rows.items():
            say(f"{number:>9}  {what}")
        if dry_run:
            say(f"would go from {move.source} to {move.target.shown}; nothing was changed")
        else:
            say(f"moved to {move.target.shown}: {moved.entries} ledger entries, head {moved.head[:16]}, verified")
            say("set AEGIS_DATABASE to it from now on; the file stays as it is and refuses to be written")
