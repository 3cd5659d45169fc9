"""`aegis`: investigate alerts, answer what waits, check the ledger.

Exit codes: 0 done; 1 an alert, action or check failed (said on stderr); 2 wrong usage or
settings; 3 the ledger, the model or the intelligence is not what it was (tampered).
"""

from __future__ import annotations

import sys
from datetime import timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aegis_agents._version import __version__
from aegis_agents.cli.argument_help import keep_argument_help
from aegis_agents.cli.ask import ask
from aegis_agents.cli.backup import backup, restore
from aegis_agents.cli.charter import print_charter
from aegis_agents.cli.cluster import cluster
from aegis_agents.cli.connectors import connectors_app
from aegis_agents.cli.database import database_app, migrate
from aegis_agents.cli.evaluate import evaluate_model
from aegis_agents.cli.hardening import hardening
from aegis_agents.cli.inbox import inbox_app
from aegis_agents.cli.intel import intel_app
from aegis_agents.cli.ledger import ledger_app
from aegis_agents.cli.model import model_app
from aegis_agents.cli.monitor import monitor
from aegis_agents.cli.people import add_commands
from aegis_agents.cli.redteam import redteam
from aegis_agents.cli.report import report
from aegis_agents.cli.review import autonomy_app, review_app
from aegis_agents.cli.serve import serve
from aegis_agents.cli.sign import sign
from aegis_agents.cli.simulate import backtest, simulate
from aegis_agents.cli.spoken import JsonFlag, SettingsFile, a_number, open_aegis, say, spoken_errors
from aegis_agents.cli.stream import stream
from aegis_agents.cli.train import train_app
from aegis_agents.cli.worker import worker

keep_argument_help()
app = typer.Typer(
    help="Triage, intelligence, reasoning and approval for security incidents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its traces print local variables: alerts, tokens, keys
)
app.add_typer(ledger_app, name="ledger")
app.add_typer(intel_app, name="intel")
app.add_typer(inbox_app, name="inbox")
app.add_typer(model_app, name="model")
app.add_typer(train_app, name="train")
app.add_typer(review_app, name="review")
app.add_typer(autonomy_app, name="autonomy")
app.add_typer(connectors_app, name="connectors")
add_commands(app)
app.add_typer(database_app, name="database")
for command in (ask, serve, migrate, backup, restore, sign, hardening, monitor, worker, cluster, stream):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def investigate(
    file: Annotated[
        str, typer.Argument(help="A file with one alert, an array of them, or one a line; - reads standard input.")
    ],
    as_json: JsonFlag = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Decide as if live, and do nothing: the answers say would_execute.")
    ] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Cedar rules to add; they can't remove a shipped forbid.")
    ] = None,
    autonomy: Annotated[
        str | None,
        typer.Option("--autonomy", help="The most that is done alone: observe, recommend, ask, act_undo or act."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option("--format", help="The product format (see `aegis formats`); without it it is detected."),
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Judge alerts, show what decided, then act or ask. Exit code 1 if one could not be read; the others are judged."""
    from aegis_agents.cli.batch import investigate_file

    with (
        spoken_errors(),
        open_aegis(settings, mode="shadow" if shadow else None, policy=policy, autonomy=autonomy) as aegis,
    ):
        failed = investigate_file(aegis, file, format=format, as_json=as_json)
    if failed:
        raise typer.Exit(1)


@app.command()
def recover(
    stale_after: Annotated[
        float,
        typer.Option(
            "--stale-after", metavar="MINUTES", min=0, max=525_600, callback=a_number,
            help="Age from which work begun on another machine, which can't be asked after, counts as given up.",
        ),
    ] = 15.0,
    settings: SettingsFile = None,
) -> None:  # fmt: skip
    """After a crash: finish what dead processes had begun. Safe beside others at work."""
    with spoken_errors(), open_aegis(settings) as aegis:
        for case in (cases := aegis.recover(timedelta(minutes=stale_after))):
            say(f"{case.incident_id}: {case.verdict}")
        typer.echo(f"settled; {len(cases)} incident(s) decided")


@app.command()
def formats() -> None:
    """List the product formats that alerts may have."""
    from aegis_agents.sources import FORMATS

    for name in FORMATS:
        typer.echo(name)


app.command("eval")(evaluate_model)
app.command()(simulate)
app.command()(backtest)
app.command()(report)
app.command()(redteam)
app.command("charter")(print_charter)


@app.command()
def demo() -> None:
    """Investigate five example alerts in a state that is thrown away, approve one action, verify the ledger."""
    from aegis_agents.cli.demo import run_demo

    with spoken_errors():
        run_demo(Console())


def main() -> None:
    """The entry point of the `aegis` command."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            output.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 must not end a batch
    app()


if __name__ == "__main__":
    main()
