"""`aegis`: investigate alerts, answer what waits, check the ledger.

Exit codes: 0 done; 1 an alert, action or check failed (said on stderr); 2 wrong usage or
settings; 3 the ledger or the model is not what it was (tampered).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_agents._version import __version__
from aegis_agents.cli.evaluate import evaluate_model
from aegis_agents.cli.intel import intel_app
from aegis_agents.cli.model import model_app
from aegis_agents.cli.people import add_commands
from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors
from aegis_agents.cli.train import train_app

app = typer.Typer(help="Triage, intelligence, reasoning and approval for security incidents.", no_args_is_help=True, add_completion=False)  # fmt: skip
ledger_app = typer.Typer(help="The tamper-evident record of everything decided and done.", no_args_is_help=True)
app.add_typer(ledger_app, name="ledger")
app.add_typer(intel_app, name="intel")
app.add_typer(model_app, name="model")
app.add_typer(train_app, name="train")
add_commands(app)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def investigate(
    file: Annotated[
        str, typer.Argument(help="A file with an alert, or with one alert a line; - reads standard input.")
    ],
    as_json: JsonFlag = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="Decide as if live and touch nothing.")] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Cedar rules to add; they can't remove a shipped forbid.")
    ] = None,
    autonomy: Annotated[
        str | None, typer.Option("--autonomy", help="A ceiling: observe, recommend, ask, act_undo, act.")
    ] = None,
    format: Annotated[
        str | None, typer.Option("--format", help="The product format, if detection should not decide.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Judge alerts, show what decided, act or ask."""
    from aegis_agents.cli.batch import investigate_file

    with (
        spoken_errors(),
        open_aegis(settings, mode="shadow" if shadow else None, policy=policy, autonomy=autonomy) as aegis,
    ):
        failed = investigate_file(aegis, file, format=format, as_json=as_json)
    if failed:
        raise typer.Exit(1)


@app.command()
def recover(settings: SettingsFile = None) -> None:
    """After a crash: settle what was under way, decide what was left. Run it when nothing else uses this state."""
    with spoken_errors(), open_aegis(settings) as aegis:
        cases = aegis.recover()
        typer.echo(f"settled; {len(cases)} incident(s) decided")


@app.command()
def formats() -> None:
    """List the product formats that alerts may have."""
    from aegis_agents.sources import FORMATS

    for name in FORMATS:
        typer.echo(name)


app.command("eval")(evaluate_model)


@app.command()
def demo() -> None:
    """Investigate five example alerts in a throw-away state, approve one action, verify the ledger."""
    from aegis_agents.cli.demo import run_demo

    with spoken_errors():
        run_demo(Console())


@ledger_app.command()
def verify(settings: SettingsFile = None) -> None:
    """Check the whole chain; exit code 3 if it was altered."""
    with spoken_errors(), open_aegis(settings) as aegis:
        found = aegis.store.verify()
        typer.echo(f"ledger whole: {found.entries} entries, head {found.head}")


@ledger_app.command()
def show(
    incident: Annotated[str | None, typer.Option("--incident", help="Only this incident.")] = None,
    after: Annotated[int, typer.Option("--after", help="Entries after this number.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1000,
    settings: SettingsFile = None,
) -> None:
    """Print entries as JSON Lines."""
    with spoken_errors(), open_aegis(settings) as aegis:
        for entry in aegis.store.entries(incident_id=incident, after=after, limit=limit):
            print_json(entry.model_dump(mode="json"))


def main() -> None:
    """The entry point of the `aegis` command."""
    app()


if __name__ == "__main__":
    main()
