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
    from aegis_agents.tools.connectors.configured import ConfiguredConnector

connectors_app = typer.Typer(help="The systems that can act: which are configured, and whether they would.", no_args_is_help=True)  # fmt: skip

ConnectorsFile = Annotated[
    Path | None, typer.Option("--connectors", help="A TOML file with connectors, in place of the settings' own.")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON, one line each.")]
_NONE = "no connector is configured: name a TOML file in the setting connectors, or with --connectors (see docs/connectors.md)"
_STYLE = {"ok": "green", "silent": "yellow", "failed": "bold red"}


@connectors_app.command("list")
def list_connectors(
    connectors: ConnectorsFile = None, as_json: JsonFlag = False, settings: SettingsFile = None
) -> None:
    """List what is configured, in the order in which it is asked. Nothing is contacted.

    Exit code 1 if the packages of one are missing."""
    with spoken_errors():
        chosen = _settings(settings)
        entries = _entries(chosen, connectors)
        rows = [_row(entry) for entry in entries] + [_row_of(one) for one in _of_settings(chosen)]
        if as_json:
            for row in rows:
                print_json(row)
        else:
            _show_rows(Console(), rows)
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
        chosen = _settings(settings)
        entries, others = _entries(chosen, connectors), _of_settings(chosen)
        _check_names(names, {one.name for one in entries} | {one.name for one in others})
        built = [entry.build() for entry in entries if not names or entry.name in names]
        built += [one for one in others if not names or one.name in names]
        assign(built)
        if not built and not as_json:
            Console().print(Text(_NONE))
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
    from aegis_agents.assembly import read_connectors

    chosen = file or settings.connectors
    return [] if chosen is None else read_connectors(settings, chosen)


def _of_settings(settings: Settings) -> list[ConfiguredConnector]:
    """Those that settings of their own ask for, as the assembly adds them."""
    from aegis_agents.tools.connectors import NftablesConnector, WebhookConnector
    from aegis_agents.tools.connectors.configured import ConfiguredConnector

    found: list[WebhookConnector | NftablesConnector] = []
    if settings.webhook_url:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
        found.append(WebhookConnector(settings.webhook_url, secret))
    if settings.nftables:
        found.append(NftablesConnector(never=settings.nftables_never))
    return [ConfiguredConnector(one, name=one.name, kind=one.kind, actions=one.actions, targets=()) for one in found]


def _check_names(names: list[str] | None, known: set[str]) -> None:
    from aegis_agents.errors import InputError

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


def _row_of(connector: ConfiguredConnector) -> dict[str, Any]:
    actions = sorted(connector.actions)
    return {
        "name": connector.name,
        "kind": connector.kind,
        "actions": actions,
        "targets": [],
        "missing": [],
        "extra": "",
    }


def _show_rows(console: Console, rows: list[dict[str, Any]]) -> None:
    from aegis_agents.records import CATALOGUE
    from aegis_agents.tools.connectors import OutboxConnector

    if not rows:
        console.print(Text(_NONE))
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("name", "kind", "actions", "targets", "missing"):
            table.add_column(column, overflow="fold")
        for row in rows:
            missing = f'pip install "aegis-soc-agents[{row["extra"]}]"' if row["missing"] else ""
            targets = ", ".join(row["targets"]) or "all"
            texts = (row["name"], row["kind"], ", ".join(row["actions"]), targets, missing)
            table.add_row(*(Text(text) for text in texts))
        console.print(table)
    left = CATALOGUE.keys() - {action for row in rows for action in row["actions"]}
    for said, actions in (
        ("written to files in AEGIS_HOME/outbox", left & OutboxConnector.actions),
        ("recommended only, done by no connector", left - OutboxConnector.actions),
    ):
        if actions:
            console.print(Text(f"{said}: {', '.join(sorted(actions))}", style="dim"))


def _show_answer(console: Console, answer: Answered, *, as_json: bool) -> None:
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    line = Text(f"{answer.state:7}", style=_STYLE[answer.state]).append(f" {answer.name}", style="bold")
    line.append(f" ({answer.kind}: {', '.join(answer.actions)})", style="dim").append(
        f"  {answer.said}", style="default"
    )
    console.print(line, soft_wrap=True)
