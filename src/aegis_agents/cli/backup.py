"""`aegis backup` and `aegis restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aegis_agents.cli.database import settings_of
from aegis_agents.cli.spoken import JsonFlag, SettingsFile, print_json, say, spoken_errors
from aegis_agents.errors import InputError

_Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]


def backup(
    folder: _Folder,
    with_key: Annotated[
        bool,
        typer.Option(
            "--with-key",
            help="Take the private signing key along; whoever has the backup can then sign as this ledger.",
        ),
    ] = False,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Write everything that can't be made again into a new folder, of one moment, while others work."""
    from aegis_agents.upkeep.backup import back_up

    with spoken_errors():
        made = back_up(settings_of(settings), folder, with_key=with_key, say=lambda text: say(text, err=True))
        if as_json:
            print_json(made.model_dump(exclude={"files"}))
            return
        size = sum(kept.size for kept in made.files.values())
        say(
            f"{folder}: {len(made.files)} files, {size / 1e6:.1f} MB, {made.entries} ledger entries, verified and signed"
        )
        say(
            "the signing key is in it: keep it like the key"
            if with_key
            else "the signing key is not in it: keep ledger.key elsewhere"
        )


def restore(
    folder: Annotated[Path | None, typer.Argument(help="The folder of the backup.")] = None,
    here: Annotated[
        bool,
        typer.Option(
            "--here", help="No backup: go on with what is here, though it was set back (the anchor knows of more)."
        ),
    ] = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="A file of public keys to trust (aegis ledger key), kept elsewhere.")
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Say whether it could be restored here, and change nothing.")
    ] = False,
    no_look: Annotated[bool, typer.Option("--no-look", help="Ask no system what is in effect.")] = False,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Put a backup back into a home, or database, that is empty. The kill switch is engaged: nothing is done by itself."""
    from aegis_agents.hardening.egress import enforced
    from aegis_agents.ledger import read_keys
    from aegis_agents.upkeep.restore import check, spoken
    from aegis_agents.upkeep.restore import restore as put_back

    with spoken_errors():
        if (folder is None) != here:
            raise InputError("give a folder, or --here", field="FOLDER", fix="aegis restore FOLDER | --here")
        if folder is None:
            _go_on_here(settings, look=not no_look, as_json=as_json)
            return
        keys = read_keys(key) if key else ()
        if key and not keys:  # else the backup would vouch for itself, and nobody would have been told
            raise InputError(f"{key} holds no key", field="--key", fix="a line a key, as `aegis ledger key` prints it")
        if check_only:
            found = check(settings_of(settings), folder, keys)
            say(f"{folder}: whole, of {found.made_at}, {found.entries} ledger entries; it could be restored here")
            return
        chosen = settings_of(settings)
        with enforced(chosen):  # what is in effect is asked of the systems that settings name, and of no other
            restored = put_back(chosen, folder, keys=keys, look=not no_look, say=lambda text: say(text, err=True))
        if as_json:
            print_json(restored.model_dump(mode="json", exclude={"manifest": {"files"}}))
            return
        for line in spoken(restored):
            say(line)


def _go_on_here(settings: Path | None, *, look: bool, as_json: bool) -> None:
    from aegis_agents.hardening.egress import enforced
    from aegis_agents.upkeep.restore import spoken_items
    from aegis_agents.upkeep.rolled_back import go_on

    chosen = settings_of(settings)
    with enforced(chosen):
        done = go_on(chosen, look=look)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    say(
        f"goes on from {done.entries} ledger entries; at least {done.lost} later ones are lost (old anchor: {done.anchor})"
    )
    for line in spoken_items(done.read_back):
        say(line)
    say(f"nothing is done before you remove {done.kill_switch}")
