"""`aegis charter`: what a reviewer asks of an engine that acts, answered from configuration and measurement."""

from __future__ import annotations

import typer

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors


def print_charter(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """What is decided alone, what being wrong costs, how fast, how well, what a compromise could do, where the trail is."""
    from aegis_agents.assurance.charter import charter
    from aegis_agents.assurance.charter_text import to_text

    with spoken_errors(), open_aegis(settings) as aegis:
        found = charter(aegis)
        if as_json:
            print_json(found.to_dict())
        else:
            typer.echo(to_text(found))
