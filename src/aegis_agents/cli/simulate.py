"""`aegis simulate` and `aegis backtest`: what would have run, before it does."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.assurance.backtest import Backtest
    from aegis_agents.assurance.simulate import Simulation


class EarnedWhen(StrEnum):
    """Which of what reviews have unlocked the replay decides with."""

    then = "then"
    now = "now"
    none = "none"


_Policy = Annotated[Path | None, typer.Option("--policy", help="Cedar rules to try.")]
_With = Annotated[Path | None, typer.Option("--with", help="A TOML file with settings to try instead of yours.")]
_Autonomy = Annotated[str | None, typer.Option("--autonomy", help="A ceiling to try.")]


def simulate(
    since: Annotated[str, typer.Option("--since", help="From when: 2026-11-01, 30d, 12h.")],
    policy: _Policy = None,
    tried: _With = None,
    autonomy: _Autonomy = None,
    until: Annotated[str | None, typer.Option("--until", help="To when.")] = None,
    earned: Annotated[
        EarnedWhen,
        typer.Option(
            "--earned",
            help="What reviews had unlocked at that time (so that the difference is the rules' alone), what they have "
            "unlocked by now, or nothing.",
        ),
    ] = EarnedWhen.then,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Replay the ledger's decisions through other rules and show what would have run. Nothing is done or written."""
    from aegis_agents.agents.earning import Earning, Hindsight, rule_from
    from aegis_agents.assembly import open_gate
    from aegis_agents.assurance.backtest import confirmed
    from aegis_agents.assurance.replay import parse_since, replay
    from aegis_agents.assurance.simulate import summarise
    from aegis_agents.errors import InputError
    from aegis_agents.gate.earned.cells import NOTHING_EARNED
    from aegis_agents.settings import load_settings

    with spoken_errors(), open_aegis(settings) as aegis:
        now = datetime.now(UTC)
        start, end = parse_since(since, now), parse_since(until, now, "until") if until else None
        if end is not None and end <= start:
            raise InputError(f"{until} is not after {since}", field="until", fix="give a later time")
        other = load_settings(tried or settings, policy=policy, autonomy=autonomy, home=aegis.settings.home)
        gate = open_gate(other, aegis.context.intel)
        rule = rule_from(other)
        by_now = Earning(aegis.store, rule).now(aegis.context.model.version) if earned == "now" else NOTHING_EARNED
        had = Hindsight(aegis.store, rule) if earned == "then" else lambda seq, model, at: by_now
        replayed = replay(aegis.context, gate, since=start, until=end, earned=had)
        found = summarise(replayed, confirmed(aegis.store))
        if as_json:
            print_json(found.to_dict())
        else:
            _show(Console(), found)


def _show(console: Console, found: Simulation) -> None:
    console.print(f"{found.decisions} decisions over {len(found.incidents)} incidents replayed")
    if found.left_out:
        console.print(Text(f"{len(found.left_out)} left out, the first: {found.left_out[0].reason}"))
    if found.other_model:
        console.print(f"{found.other_model} were decided by another model: masked questions are answered by today's")
    counts = Table("", "execute", "ask", "recommend", "refuse", box=None)
    for name, verbs in (("as it was", found.verbs_before), ("as it would be", found.verbs_after)):
        counts.add_row(name, *(str(verbs[verb]) for verb in ("execute", "ask", "recommend", "refuse")))
    console.print(counts)
    console.print(
        f"alone and against a confirmed verdict: {found.wrong_before} of {found.known_before} as it was, "
        f"{found.wrong_after} of {found.known_after} as it would be"
    )
    marks = {"more": ("+", "red"), "less": ("-", "green"), "other_rule": ("=", "dim")}
    for change in found.changes:
        r, (mark, style) = change.replayed, marks[change.direction]
        line = Text(f"{mark} {r.at:%Y-%m-%d %H:%M}Z ", style=style)
        line.append(f"{r.proposal.action} {r.proposal.target.kind}:{r.proposal.target.value[:80]}  ", style="default")
        line.append(f"{r.before.verb} ({r.before.rule}) → {r.after.verb} ({r.after.rule})", style=style)
        line.append(f"  was {r.outcome}, truth {change.truth or 'not known'}  {r.incident.id}", style="dim")
        console.print(line)


def backtest(
    file: Annotated[
        Path, typer.Argument(help='Closed cases, one a line: {"alert": {...}, "verdict": "true_positive"}.')
    ],
    policy: _Policy = None,
    autonomy: _Autonomy = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Decide closed cases as Aegis would now, in shadow and without memory, and compare with what they were."""
    from aegis_agents.assurance.backtest import Backtest, backtest_file, read_closed

    found, console = Backtest(), Console(stderr=as_json)
    with (
        spoken_errors(),
        open_aegis(settings, policy=policy, autonomy=autonomy) as aegis,
        tempfile.TemporaryDirectory(prefix="aegis-backtest-") as home,
    ):
        cases = list(read_closed(file))
        steps = backtest_file(aegis, cases, home=Path(home))
        for step in track(steps, "deciding", len(cases), console=console, disable=not console.is_terminal):
            found = step
    for line in found.failed:
        typer.echo(f"aegis: {line}", err=True)
    if as_json:
        print_json(found.to_dict())
    else:
        _show_backtest(console, found)
    if found.failed:
        raise typer.Exit(1)


def _show_backtest(console: Console, found: Backtest) -> None:
    said = {
        "detection": "attacks that were called attacks", "rejection": "others that were called harmless",
        "coverage": "decided at all", "wrong_alone": "done alone and wrong, of all done alone",
        "contained_alone": "attacks contained alone", "closed_attacks": "attacks closed alone",
    }  # fmt: skip
    values: dict[str, Any] = found.to_dict()
    table = Table(box=None)
    for name in ("", "share", "95 % interval", "n"):
        table.add_column(name)
    for name, words in said.items():
        rate = values[name]
        if rate["n"]:
            low, high = rate["interval"]
            table.add_row(words, f"{rate['share']:.3f}", f"{low:.3f} to {high:.3f}", f"{rate['hits']}/{rate['n']}")
        else:
            table.add_row(words, "none", "", "0")
    console.print(table)
    console.print(f"{found.asked} questions to people")
