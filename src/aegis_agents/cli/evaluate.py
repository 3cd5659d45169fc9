"""`aegis eval`: measure the model in use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aegis_agents.cli.spoken import SettingsFile, needs_extra, print_json, spoken_errors


def evaluate_model(
    suite: Annotated[list[str] | None, typer.Option("--suite", help="Only this one; may be given again.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", exists=True, file_okay=False, help="A folder with the outside data that some suites need."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where the report and its plot go.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Measure the model in use on alerts that it was not trained on (needs the eval extra)."""
    with spoken_errors(), needs_extra("eval"):
        import sys

        from aegis_agents.assembly import open_model
        from aegis_agents.errors import InputError
        from aegis_agents.evaluation.run import OWN, SUITES, evaluate, to_markdown, write
        from aegis_agents.settings import load_settings

        wanted = [s for s in SUITES if s in suite] if suite else list(SUITES if data else OWN)
        if suite and set(suite) - set(SUITES):
            raise InputError(
                f"no suite {', '.join(set(suite) - set(SUITES))}", field="suite", fix=f"use {', '.join(SUITES)}"
            )
        found = evaluate(open_model(load_settings(settings)), wanted, data=data, progress=sys.stderr.isatty())  # type: ignore[arg-type]
        if out is not None:
            write(found, out)
            typer.echo(to_markdown(found))
        else:
            print_json(found)
