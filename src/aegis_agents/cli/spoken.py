"""What every command shares: how settings are opened, errors said, and JSON printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_agents.errors import AegisError, IntelTampered, LedgerTampered, ModelTampered, SettingsError

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="A TOML file with settings.")]
By = Annotated[str, typer.Option("--by", help="Who answers.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON, one line each.")]


def open_aegis(settings: Path | None, **given: Any) -> Aegis:
    """Aegis with the settings of a file, if there is one; what is given besides wins."""
    from aegis_agents.aegis import Aegis

    return Aegis.from_settings(settings, **given) if settings else Aegis(**given)


def print_json(value: Any) -> None:
    """One value, one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Say our own errors in one line and leave with their exit code; anything else is a bug and shows its trace."""
    try:
        yield
    except (LedgerTampered, ModelTampered, IntelTampered) as error:
        typer.echo(f"aegis: tampered: {error}", err=True)
        raise typer.Exit(3) from error
    except SettingsError as error:
        typer.echo(f"aegis: {error}", err=True)
        raise typer.Exit(2) from error
    except AegisError as error:
        typer.echo(f"aegis: {error}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Say which extra to install where a package of it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        typer.echo(f'aegis: {error.name} is not installed: pip install "aegis-soc-agents[{extra}]"', err=True)
        raise typer.Exit(1) from error
