"""What every command shares: how settings are opened, errors said, and JSON printed."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_agents.errors import AegisError, IntelTampered, LedgerTampered, ModelTampered, PolicyError, SettingsError

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis

_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may hold as it is, and a terminal obeys or nobody sees."""

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="A TOML file with settings.")]
By = Annotated[str, typer.Option("--by", help="Who answers.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON, one line each.")]
ActionId = Annotated[str, typer.Argument(help='As `aegis approvals` and cases show it: "act-...".')]
IncidentId = Annotated[str, typer.Argument(help='As cases show it: "inc-...".')]


def a_number(value: float | None) -> float | None:
    """A callback of options: no range keeps NaN out, since it is neither less nor more."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


@contextmanager
def open_aegis(settings: Path | None, **given: Any) -> Iterator[Aegis]:
    """Aegis with the settings of a file, if there is one; what is given besides wins.

    This process then connects to no other places than settings allow (`hardening.egress`).
    """
    from aegis_agents.aegis import Aegis
    from aegis_agents.hardening.egress import enforced

    with (
        Aegis.from_settings(settings, **given) if settings else Aegis(**given) as aegis,
        enforced(aegis.settings) as egress,
    ):
        try:
            yield aegis
        finally:
            if egress is not None and egress.refusals.total:
                egress.refusals.write(aegis.store)


def shown(text: str) -> str:
    """Text as a terminal may have it: what it would obey, or nobody would see, is named (see `sources.text`)."""
    from aegis_agents.sources.text import visible

    return "⟦".join(visible(part) for part in text.split("⟦"))  # what was made visible before stays as it is


def say(text: str, *, err: bool = False) -> None:
    """One line for people, whatever alerts, systems or arguments have put into it."""
    typer.echo(" ".join(shown(text).splitlines()), err=err)


def as_json(value: Any) -> str:
    """One value on one line; the same JSON whether a program reads it or a terminal shows it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def print_json(value: Any) -> None:
    """One value, one line."""
    sys.stdout.write(as_json(value) + "\n")
    sys.stdout.flush()


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Say our own errors in one line and leave with their exit code; anything else is a bug and shows its trace."""
    try:
        yield
    except (LedgerTampered, ModelTampered, IntelTampered) as error:
        say(f"aegis: tampered: {error}", err=True)
        raise typer.Exit(3) from error
    except (SettingsError, PolicyError) as error:
        say(f"aegis: {error}", err=True)
        raise typer.Exit(2) from error
    except AegisError as error:
        say(f"aegis: {error}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Say which extra to install where a package of it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        typer.echo(f'aegis: {error.name} is not installed: pip install "aegis-soc-agents[{extra}]"', err=True)
        raise typer.Exit(1) from error
