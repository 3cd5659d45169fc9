"""`aegis review` and `aegis autonomy`: say what was right, and see what Aegis may do alone because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aegis_agents.cli.spoken import ActionId, JsonFlag, SettingsFile, open_aegis, print_json, say, shown, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.agents.offering import ReviewItem
    from aegis_agents.gate.earned.standing import Standing

review_app = typer.Typer(help="Say of past decisions whether they were right: that is how autonomy is earned.", no_args_is_help=True)  # fmt: skip
autonomy_app = typer.Typer(help="What Aegis may do alone, and why.", no_args_is_help=True)

_By = Annotated[str | None, typer.Option("--by", help="Who answers; with a token it can only be the token's holder.")]
_FACTS = 60
"""Facts of an incident that are printed; --json has them all."""


@review_app.command("next")
def review_next(
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1,
    by: _By = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Show what you should review next. Some are shown blind: the facts, and nothing of what Aegis thought."""
    with spoken_errors(), open_aegis(settings) as aegis:
        items = aegis.reviews(limit, by=by)
        for item in items:
            if as_json:
                print_json(item.model_dump(mode="json"))
            else:
                _show_item(Console(), item)
        if not items and not as_json:
            typer.echo("nothing to review")


@review_app.command("give")
def review_give(
    action_id: ActionId,
    right: Annotated[bool, typer.Option("--right", help="It would have been right to act without asking.")] = False,
    wrong: Annotated[bool, typer.Option("--wrong", help="It would not.")] = False,
    unclear: Annotated[
        bool, typer.Option("--unclear", help="The facts don't say; counts against acting alone.")
    ] = False,
    verdict: Annotated[
        str | None, typer.Option("--verdict", help="What it was: true_positive, benign_positive, false_positive.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    by: _By = None,
    settings: SettingsFile = None,
) -> None:
    """Say whether a decision was right."""
    if right + wrong + unclear != 1:
        raise typer.BadParameter("give one of --right, --wrong and --unclear")
    with spoken_errors(), open_aegis(settings) as aegis:
        correct = None if unclear else right
        found = aegis.review(action_id, correct=correct, verdict=verdict, note=note, by=by)
        typer.echo(f"recorded as entry {found.seq}" + ("" if found.counts else f": {found.why}"))
        if found.change is not None:
            typer.echo(f"{found.cell} now: {found.change}")
        typer.echo(_line(found.standing))


@review_app.command("status")
def review_status(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """Show for each cell what was shown so far, and what is missing until the next level."""
    with spoken_errors(), open_aegis(settings) as aegis:
        found = aegis.standings()
        if as_json:
            for standing in found:
                print_json(standing.model_dump(mode="json"))
            return
        table = Table(box=None, pad_edge=False)
        for name in ("cell", "level", "campaigns", "errors", "blind", "error rate below", "missing until the next"):
            table.add_column(name, overflow="fold")
        for s in found:
            level = s.level + (" (asleep: no review lately)" if s.asleep else "")
            figures = (str(s.campaigns), str(s.errors), str(s.blind), f"{s.bound:.3f}")
            table.add_row(*(Text(cell) for cell in (s.cell, level, *figures, _missing(s))))
        Console().print(table)


@autonomy_app.command("show")
def autonomy_show(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """Show the matrix in force: configured, earned or shipped."""
    with spoken_errors(), open_aegis(settings) as aegis:
        rows = aegis.autonomy_in_force()
        if as_json:
            for row in rows:
                print_json(row.model_dump(mode="json"))
            return
        table = Table(box=None, pad_edge=False)
        for name in ("cell", "level", "from", "shown by"):
            table.add_column(name, overflow="fold")
        for row in rows:
            shown = f"entry {row.evidence}, confidence {row.threshold}" if row.evidence is not None else ""
            table.add_row(*(Text(cell) for cell in (row.cell, row.level, row.source, shown)))
        Console().print(table)


@autonomy_app.command("demote")
def autonomy_demote(
    cell: Annotated[str, typer.Argument(help='As in "block_ip/standard".')],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    by: _By = None,
    settings: SettingsFile = None,
) -> None:
    """Take back at once what a cell has earned; needs the role admin."""
    with spoken_errors(), open_aegis(settings) as aegis:
        say(f"{cell} asks again (entry {aegis.demote(cell, by=by, reason=reason)})")


def _line(s: Standing) -> str:
    return f"{s.cell}: {s.level}, {s.campaigns} campaigns, {s.errors} errors, error rate below {s.bound:.3f}; {_missing(s)}"  # fmt: skip


def _missing(s: Standing) -> str:
    if s.next is None:
        return "no more can be earned"
    parts = [f"{s.missing} more without an error"] if s.missing else []
    parts += [f"{s.missing_blind} more blind"] if s.missing_blind else []
    parts += [f"{s.open} offered, unanswered"] if s.open else []
    parts += [f"{s.held_back} beyond a day's most"] if s.held_back else []
    parts += [f"entry {s.doubted} was not borne out"] if s.doubted else []
    return f"{s.next}: {', '.join(parts) or 'shown'}"


def _show_item(console: Console, item: ReviewItem) -> None:
    """Everything from an alert is printed as text, never as markup."""
    head = f"{item.action_id}  {item.source}: {item.title[:110]}" + ("  [blind]" if item.blind else "")
    console.print(Text(shown(head), style="bold"))
    table = Table.grid(padding=(0, 1))
    for _ in range(3):
        table.add_column(overflow="fold")
    for fact in item.facts[:_FACTS]:
        parts = (fact.path, " ".join(fact.value.split())[:200], fact.trust)
        table.add_row(*(Text(shown(part)) for part in parts))
    console.print(table)
    if len(item.facts) > _FACTS:
        console.print(f"{len(item.facts) - _FACTS} more facts: --json has them all")
    if not item.blind:
        console.print(Text(f"Aegis: {item.verdict} {item.confidence:.2f}, {item.outcome}"))
        console.print(Text(shown(item.summary or "")))
    console.print(Text(shown(item.question)))
    console.print(Text(f"aegis review give {item.action_id} --right | --wrong | --unclear"))
