"""`aegis ledger`: check it, read it, sign it, hand it out, and remove what is old.

Exit code 3: the ledger, or an export of it, is not what it was (tampered).
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_agents.cli.people import Said
from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, say, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.ledger import Verification
    from aegis_agents.records import Principal

ledger_app = typer.Typer(help="The tamper-evident record of everything decided and done.", no_args_is_help=True)

_MOST = 2**62
"""A database counts no further."""
_KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key", help="A file with the public keys that you trust, as `aegis ledger key` prints them; kept elsewhere."
    ),
]
_Against = Annotated[
    Path | None,
    typer.Option("--against", help="A file or folder with checkpoints kept elsewhere: finds a fork or a rollback."),
]


@ledger_app.command()
def verify(
    key: _KeyFile = None,
    against: _Against = None,
    export: Annotated[Path | None, typer.Option("--export", help="Check this export instead.")] = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Check the whole chain, its signatures and what was removed; exit code 3 if it was altered."""
    from aegis_agents.ledger import read_keys

    with spoken_errors():
        keys = None if key is None else read_keys(key)
        if export is not None:
            found = _check_export(export, keys or (), against)
        else:
            with open_aegis(settings) as aegis:
                found = aegis.store.verify(keys, against)
        if as_json:
            print_json(found.model_dump(mode="json") | {"unsigned": found.unsigned, "pinned": key is not None})
        else:
            typer.echo(f"ledger whole: {found.entries} entries, head {found.head}")
            typer.echo(_signed(found, pinned=key is not None))
            if found.removed:
                typer.echo(f"removed by retention, and proven: the bodies of {found.removed} entries")


@ledger_app.command()
def show(
    incident: Annotated[str | None, typer.Option("--incident", help="Only this incident.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind, as in case.finished.")] = None,
    after: Annotated[int, typer.Option("--after", min=0, max=_MOST, help="Entries after this number.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST, help="At most so many.")] = 1000,
    newest: Annotated[bool, typer.Option("--newest", help="The last --limit entries and not the first.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Print entries, oldest first, as JSON Lines; a body that retention removed is null."""
    with spoken_errors(), open_aegis(settings) as aegis:
        for entry in aegis.store.entries(incident_id=incident, after=after, limit=limit, kind=kind, newest=newest):
            print_json(entry.model_dump(mode="json"))


@ledger_app.command()
def checkpoint(settings: SettingsFile = None) -> None:
    """Sign what the ledger holds now and print the signed note, to be kept elsewhere."""
    with spoken_errors(), open_aegis(settings) as aegis:
        typer.echo(aegis.store.checkpoint(), nl=False)


@ledger_app.command()
def export(
    file: Annotated[str, typer.Argument(help="Where to write it; - is standard output.")] = "-",
    settings: SettingsFile = None,
) -> None:
    """Write the whole ledger as JSON Lines; tools/verify_ledger checks it without Aegis."""
    with spoken_errors(), open_aegis(settings) as aegis:
        if file == "-":
            aegis.store.export(sys.stdout)
            return
        say(f"{_export_to(aegis, Path(file))} entries written to {file}")


@ledger_app.command()
def prune(
    before: Annotated[str, typer.Option("--before", help="A date, as in 2026-01-31 (UTC), or a time with its zone.")],
    by: Said = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Write what is removed here first; given again, it is added to.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Remove bodies of entries, alerts and cases from before a date; the chain goes on proving what is left.

    What is open stays, and who earned or may do what. Needs the role admin.
    """
    with spoken_errors(), open_aegis(settings) as aegis:
        who = _admin(aegis, by)
        done = aegis.store.prune(_date(before), who, archive)
        for incident_id in aegis.store.forgotten():
            aegis.graph.checkpointer.delete_thread(incident_id)  # the graph's own copy of the alert
        typer.echo(f"{done.entries} bodies and {len(done.incidents)} alerts from before {done.before} removed")


@ledger_app.command()
def key(
    renew: Annotated[
        bool, typer.Option("--renew", help="Make a new key; the old one signs that, and is gone.")
    ] = False,
    by: Said = None,
    settings: SettingsFile = None,
) -> None:
    """Print the public keys that checkpoints are checked with; keep a copy where this machine can't change it."""
    with spoken_errors(), open_aegis(settings) as aegis:
        if renew:
            aegis.store.renew_key(_admin(aegis, by))
        elif not aegis.store.public_keys():
            aegis.store.checkpoint()
        for line in aegis.store.public_keys():
            typer.echo(line)


def _admin(aegis: Aegis, by: str | None) -> Principal:
    from aegis_agents.identity import identify

    own = aegis.settings.token
    token = own.get_secret_value() if own else None
    return identify(aegis.store, "admin", by=by, token=token, token_needed=aegis.settings.require_token)


def _date(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # OverflowError: its zone takes it out of the years that there are
        raise typer.BadParameter(f"{text!r} is no date (as in 2026-01-31)", param_hint="--before") from error


def _export_to(aegis: Aegis, file: Path) -> int:
    """Whole or not at all, and readable for its owner alone: alerts are confidential."""
    import os

    from aegis_agents.errors import InputError

    # No link is followed: in a folder of many users one could lead anywhere.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    try:
        part = file.with_name(file.name + ".part")
        with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as out:
            os.chmod(part, 0o600)  # noqa: PTH101 - it may have been there before
            count: int = aegis.store.export(out)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except (OSError, ValueError) as error:  # ValueError: a path without a name, as "/"
        raise InputError(f"can't be written: {error}", field=str(file)) from error
    return count


def _check_export(file: Path, keys: tuple[str, ...], against: Path | None) -> Verification:
    from aegis_agents.errors import InputError
    from aegis_agents.ledger import check_export

    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            return check_export(lines, keys, against)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't be read: {error}", field=str(file)) from error


def _signed(found: Verification, *, pinned: bool) -> str:
    if not found.keys:
        return "signatures not checked: there is no public key"
    trust = "" if pinned else " (keys as found beside the ledger; pin them with --key)"
    return f"signed: {found.checkpoints} checkpoints over {found.signed} entries, {found.unsigned} after them{trust}"
