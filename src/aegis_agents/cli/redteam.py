"""`aegis redteam`: attack Aegis under your own settings; nothing is done and nothing of yours is touched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, print_json, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.assurance.redteam import Attempt, Report, Suite

_SHOWN = 20
"""Attacks that got through and are shown on the terminal; the report has them all."""


def redteam(
    suite: Annotated[
        list[str] | None, typer.Option("--suite", help="Only this one (see --list); may be given again.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the suites and do nothing.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the report here, as Markdown.")] = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Run the attack suites against your settings.

    Exit codes: 0 nothing got through; 1 something got through (or ended in an error of Aegis', which is no defence);
    2 wrong usage or settings, so that nothing was tried, or the report could not be written; 3 the model or the
    intelligence is not what it was (tampered).
    """
    from aegis_agents.assurance.redteam.run import SUITES, attack, chosen
    from aegis_agents.assurance.redteam.text import to_markdown
    from aegis_agents.errors import InputError
    from aegis_agents.settings import load_settings

    with spoken_errors(), _no_finding():
        try:
            wanted = chosen(suite or ())
        except InputError as error:  # wrong usage is 2: 1 means that something got through
            raise typer.BadParameter(str(error), param_hint="--suite") from error
        if listing:
            _list(SUITES)
            return
        if out is not None and (
            out.is_dir() or not out.parent.is_dir()
        ):  # said now, not after the minute that it takes
            raise typer.BadParameter(f"{out} can't be written: give a file in a folder that exists", param_hint="--out")
        found_settings = load_settings(settings)
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("getting ready", total=None)
            counted: dict[str, int] = {}

            def show(current: Suite, attempt: Attempt) -> None:
                counted[current.id] = counted.get(current.id, 0) + 1
                bar.update(task, description=f"{current.id}: {counted[current.id]} tried")

            report = attack(found_settings, wanted, on_attempt=show)
        if as_json:
            print_json(report.to_dict())
        else:
            _show(Console(), report)
        unwritten = out is not None and not _written(out, to_markdown(report), quiet=as_json)
    raise typer.Exit(report.exit_code or (2 if unwritten else 0))


@contextmanager
def _no_finding() -> Iterator[None]:
    """What keeps Aegis from being attacked at all (a policy that is none, weights that are missing) is no finding: 2."""
    from aegis_agents.errors import AegisError, IntelTampered, LedgerTampered, ModelTampered, SettingsError

    try:
        yield
    except (SettingsError, IntelTampered, LedgerTampered, ModelTampered):
        raise
    except AegisError as error:
        raise SettingsError(str(error)) from error


def _written(out: Path, text: str, *, quiet: bool) -> bool:
    """Whether the report could be written; what was found is on the terminal already."""
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        typer.echo(f"aegis: {out} can't be written: {error.strerror}", err=True)
        return False
    if not quiet:
        typer.echo(f"report: {out}")
    return True


def _list(suites: tuple[Suite, ...]) -> None:
    for suite in suites:
        typer.echo(f"{suite.id:<15} {suite.about} ({', '.join((*suite.owasp, *suite.atlas))})")


def _show(console: Console, report: Report) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("suite", "held", "got through", "not tried", "what it is"):
        table.add_column(name, justify="left" if name in ("suite", "what it is") else "right", overflow="fold")
    for suite in report.suites:
        attempts = report.of(suite.id)
        through = sum(a.result in ("got_through", "error") for a in attempts)
        untried = sum(a.result == "not_tried" for a in attempts)
        counts = (str(len(attempts) - through - untried), str(through), str(untried))
        style = "bold red" if through else "default"
        table.add_row(Text(suite.id, style=style), *counts[:1], Text(counts[1], style=style), counts[2], suite.about)
    console.print(table)
    for attempt in report.got_through[:_SHOWN]:
        console.print(
            Text(f"{attempt.result.replace('_', ' ')}: {attempt.suite}, {attempt.name}: {attempt.detail}", style="red")
        )
    if (more := len(report.got_through) - _SHOWN) > 0:
        console.print(f"and {more} more; see the report (--out)")
    if report.set_aside:
        console.print(Text(f"not taken over from your settings: {', '.join(report.set_aside)}", style="dim"))
    whole = "something got through" if report.got_through else "nothing got through"
    console.print(f"{len(report.attempts)} attempts in {report.seconds:.0f} s: {whole}")
