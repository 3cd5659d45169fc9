"""`aegis sign`: sign what Aegis is to load, so that nothing else is (`hardening.trusted_keys`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_agents.cli.spoken import say, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.ledger.signing import Signer


def sign(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files, and folders of models: those get a signed list of their files.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The private key; kept where Aegis itself can't read it.")
    ] = None,
    new_key: Annotated[Path | None, typer.Option("--new-key", help="Make a key here, and print its public half.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Whose key it is, as in soc-lead; with --new-key.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Print the public half of the key, and sign nothing.")] = False,
    check: Annotated[
        Path | None, typer.Option("--check", help="Check the files against these public keys, and sign nothing.")
    ] = None,
) -> None:  # fmt: skip
    """Sign files: FILE.sig goes beside each. Exit code 3 where --check finds one that is not signed."""
    from aegis_agents.errors import InputError

    with spoken_errors():
        if new_key is not None:
            typer.echo(_made(new_key, name))
            return
        if check is not None:
            _check(files or [], check)
            return
        if key is None:
            raise InputError("is missing", field="--key", fix="make one with --new-key FILE --name WHOSE")
        signer, whose = _opened(key, name)
        if public:
            typer.echo(signer.key(whose).line)
            return
        if not files:
            raise InputError("are missing", field="files", fix="name what is to be signed")
        for file in files:
            say(f"{_sign(file, signer, whose)} written")


def _made(file: Path, name: str | None) -> str:
    import re

    from aegis_agents.errors import InputError
    from aegis_agents.ledger.signing import Signer

    if not name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}", name):
        raise InputError("says whose key it is: letters, digits and . _ @ -", field="--name")
    signer = Signer(file)
    if file.exists() or signer.public.exists():
        raise InputError("is there already", field=str(file), fix="a key is never written over; choose another name")
    made = signer.key(name)
    signer.publish(made)
    return made.line


def _opened(key: Path, name: str | None) -> tuple[Signer, str]:
    """The signer, and whose key it is: as told, else as its public half beside it says."""
    from aegis_agents.errors import InputError
    from aegis_agents.ledger.notes import PublicKey
    from aegis_agents.ledger.signing import Signer

    if not key.is_file():
        raise InputError("there is no such key", field=str(key), fix="make one with --new-key FILE --name WHOSE")
    signer = Signer(key)
    known = signer.known()
    if name is None and not known:
        raise InputError("is missing", field="--name", fix=f"{signer.public} is not there to say whose key it is")
    return signer, name or PublicKey.read(known[0]).name


def _sign(file: Path, signer: Signer, whose: str) -> Path:
    from aegis_agents.errors import InputError
    from aegis_agents.hardening.models import LIST, MANIFEST, list_files, refuse_pickle
    from aegis_agents.hardening.signatures import sign_file

    if file.is_dir():
        refuse_pickle(file)
        listed = file / MANIFEST
        if not listed.is_file():
            listed = file / LIST
            try:
                listed.write_bytes(list_files(file))
            except OSError as error:
                raise InputError(f"can't be written: {error.strerror}", field=str(listed)) from error
        file = listed
    return sign_file(file, signer, whose)


def _check(files: list[Path], keys: Path) -> None:
    from aegis_agents.errors import InputError
    from aegis_agents.hardening.signatures import check, note_beside
    from aegis_agents.hardening.trust import read_whole, trusted

    known, wrong = trusted(keys), 0
    for file in files:
        content, _ = read_whole(file)
        try:
            found = check(file.name, content, note_beside(file), known)
            say(f"{file}: signed by {found.by} at {found.at}")
        except InputError as error:
            wrong += 1
            say(f"{file}: {error.message}", err=True)
    if wrong:
        raise typer.Exit(3)
