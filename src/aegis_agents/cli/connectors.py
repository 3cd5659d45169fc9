"""`aegis connectors`: which systems can act, and whether they would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aegis_agents.cli.spoken import SettingsFile, print_json, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.settings import Settings
    from aegis_agents.tools.connectors.asking import Answered
    from aegis_agents.tools.connectors.config import ConnectorEntry

connectors_app = typer.Typer(help="The systems that can act: which are configured, and whether they would.", no_args_is_help=True)  # fmt: skip

ConnectorsFile = Annotated[
    Path | None, typer.Option("--connectors", help="A TOML file with connectors, in place of the settings' own.")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON, one line each.")]
_STYLE = {"ok": "green", "silent": "yellow", "failed": "bold red"}


@connectors_app.command("list")
def list_connectors(
    connectors: ConnectorsFile = None, as_json: JsonFlag = False, settings: SettingsFile = None
) -> None:
    """List what is configured, in the order in which it is asked. Nothing is contacted.

    Exit code 1 if the packages of one are missing."""
    with spoken_errors():
        entries = _entries(_settings(settings), connectors)
        if as_json:
            for entry in entries:
                print_json(_row(entry))
        else:
            _show_entries(Console(), entries)
    if any(entry.missing for entry in entries):
        raise typer.Exit(1)


@connectors_app.command("check")
def check_connectors(
    names: Annotated[list[str] | None, typer.Argument(help="Only these (default: all).")] = None,
    connectors: ConnectorsFile = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Ask each system a harmless question with the configured credentials. Nothing is changed anywhere.

    Exit code 1 if one did not answer, or does not let us."""
    from aegis_agents.tools.connectors.asking import ask
    from aegis_agents.tools.connectors.assign import assign

    with spoken_errors():
        entries = _entries(_settings(settings), connectors)
        _check_names(names, entries)
        built = [entry.build() for entry in entries if not names or entry.name in names]
        assign(built)
        answers = []
        for connector in built:
            answers.append(ask(connector))
            _show_answer(Console(), answers[-1], as_json=as_json)
    if any(answer.state == "failed" for answer in answers):
        raise typer.Exit(1)


def _settings(file: Path | None) -> Settings:
    from aegis_agents.settings import load_settings

    return load_settings(file)


def _entries(settings: Settings, file: Path | None) -> list[ConnectorEntry]:
    from aegis_agents.tools.connectors.config import read_connectors

    chosen = file or settings.connectors
    return [] if chosen is None else read_connectors(chosen, settings.connector_secrets)


def _check_names(names: list[str] | None, entries: list[ConnectorEntry]) -> None:
    from aegis_agents.errors import InputError

    known = {entry.name for entry in entries}
    for name in names or ():
        if name not in known:
            raise InputError(f"no connector is called {name}", field="NAMES", fix="see aegis connectors list")


def _row(entry: ConnectorEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "actions": sorted(entry.takes),
        "targets": list(entry.targets),
        "missing": list(entry.missing),
        "extra": entry.made.extra if entry.missing else "",
    }


def _show_entries(console: Console, entries: list[ConnectorEntry]) -> None:
    from aegis_agents.records import CATALOGUE

    if not entries:
        console.print("no connector is configured (setting connectors = FILE)")
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("name", "kind", "actions", "targets", "missing"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            missing = f'pip install "aegis-soc-agents[{entry.made.extra}]"' if entry.missing else ""
            texts = (entry.name, entry.kind, ", ".join(sorted(entry.takes)), ", ".join(entry.targets) or "all", missing)
            table.add_row(*(Text(text) for text in texts))
        console.print(table)
    left = sorted(CATALOGUE.keys() - {action for entry in entries for action in entry.takes})
    if left:
        console.print(Text(f"by none of these: {', '.join(left)}", style="dim"))


def _show_answer(console: Console, answer: Answered, *, as_json: bool) -> None:
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    line = Text(f"{answer.state:7}", style=_STYLE[answer.state]).append(f" {answer.name}", style="bold")
    line.append(f" ({answer.kind}: {', '.join(answer.actions)})", style="dim").append(
        f"  {answer.said}", style="default"
    )
    console.print(line, soft_wrap=True)
