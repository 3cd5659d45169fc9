"""`aegis hardening`: what guards Aegis itself as it is set here, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, print_json, say, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.settings import Settings


def hardening(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """Show where Aegis may connect to, which files are signed, where secrets come from. Exit code 1 if something is wrong.

    No secret is shown, and none is looked up but a database's address.
    """
    from aegis_agents.settings import load_settings

    with spoken_errors():
        chosen = load_settings(settings)
        found: dict[str, Any] = {
            "egress": _egress(chosen), "files": _files(chosen), "secrets": _secrets(chosen),
            "limits": chosen.hardening.model_dump(include={"llm_calls_per_hour", "llm_seconds_per_hour", "alone_per_hour"}),
        }  # fmt: skip
        if as_json:
            print_json(found)
        else:
            _say(found)
    if any(file["wrong"] for file in found["files"]):
        raise typer.Exit(1)


def _egress(settings: Settings) -> dict[str, Any]:
    from aegis_agents.hardening.places import places_of

    mode = settings.hardening.egress
    return {"mode": mode, "places": ["anywhere"] if mode == "open" else places_of(settings).shown()}


def _files(settings: Settings) -> list[dict[str, str]]:
    """Each file that settings load something from: who signed it, or what is wrong; the shipped model is pinned in the code."""
    from aegis_agents.errors import InputError, SettingsError
    from aegis_agents.hardening.signatures import check, note_beside
    from aegis_agents.hardening.trust import read_whole, trusted
    from aegis_agents.hardening.watch import files_of, is_vouched_for

    keys, rows = trusted(settings.hardening.trusted_keys), []
    for file in files_of(settings):
        row = {"file": str(file), "signed_by": "", "wrong": ""}
        if is_vouched_for(file, settings):
            row["signed_by"] = "needs no signature"
        elif keys:
            try:
                row["signed_by"] = check(file.name, read_whole(file)[0], note_beside(file), keys).by
            except InputError as error:
                row["wrong"] = error.message
            except SettingsError as error:
                row["wrong"] = str(error)
        rows.append(row)
    return rows


def _secrets(settings: Settings) -> dict[str, str]:
    """Which secrets are set, and by what: "given", or the reference."""
    from aegis_agents.settings_secrets import secrets_of

    return secrets_of(settings)


def _say(found: dict[str, Any]) -> None:
    say(f"egress: {found['egress']['mode']}: {', '.join(found['egress']['places']) or 'nowhere'}")
    for file in found["files"]:
        say(f"{file['file']}: {file['wrong'] or file['signed_by'] or 'nobody has to sign it'}")
    for name, how in found["secrets"].items():
        say(f"secret {name}: {how}")
    for name, limit in found["limits"].items():
        say(f"{name}: {limit:g}")
