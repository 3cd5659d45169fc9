"""How a case looks on a terminal. Everything from an alert is printed as text, never as markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from aegis_agents.cli.spoken import shown
from aegis_agents.records import ActionReport, Case

if TYPE_CHECKING:
    from aegis_agents.ledger import JournalRow

_VERDICT_STYLE = {
    "true_positive": "bold red", "benign_positive": "green", "false_positive": "green", "undetermined": "bold yellow",
}  # fmt: skip
_OUTCOME_STYLE = {
    "executed": "bold",
    "awaiting_approval": "yellow",
    "refused": "red",
    "failed": "red",
    "unconfirmed": "red",
}
_SHOWN = 110


def _cut(text: str, length: int = _SHOWN) -> str:
    flat = " ".join(shown(text).split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def _evidence_table(case: Case) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for item in case.evidence:
        if item.kind == "fact":
            weight = Text(f"{item.weight:+.2f}", style="red" if item.weight > 0 else "green")
            line = Text(f"{_cut(item.path)}  ", style="dim").append(_cut(item.value), style="default")
            table.add_row(weight, line.append(f"  [{item.id}, {item.trust}]", style="dim"))
        else:
            table.add_row(Text("intel", style="cyan"), Text(_cut(f"{item.id} {item.title}")))
    return table


def _action_line(action: ActionReport) -> Text:
    line = Text("  ").append(action.outcome.replace("_", " "), style=_OUTCOME_STYLE.get(action.outcome, "default"))
    line.append(f"  {action.action} ").append(f"{action.target.kind}:{_cut(action.target.value, 60)}", style="bold")
    return line.append(f"  {action.rule}", style="dim").append(f"  {action.action_id}", style="dim")


def show_case(console: Console, case: Case) -> None:
    """One panel: the verdict, the facts that decided, what was done or waits."""
    head = Text(case.verdict.replace("_", " "), style=_VERDICT_STYLE[case.verdict])
    head.append(f"  {case.confidence:.2f}", style="default").append(f"  severity {case.severity}", style="default")
    if case.techniques:
        head.append(f"  {' '.join(case.techniques)}", style="cyan")
    head.append(f"  {case.timing_ms:.0f} ms", style="dim")
    if case.copies > 1:
        head.append(f"  {case.copies:,} alerts alike", style="dim")
    parts: list[Text | Table] = [head, _evidence_table(case)]
    parts += [_action_line(action) for action in case.actions]
    parts += [Text(f"  note: {_cut(note)}", style="dim") for note in case.notes]
    title = Text(_cut(f"{case.source}: {case.title}", 80))
    subtitle = Text(_cut(case.incident_id), style="dim")
    console.print(Panel(Group(*parts), title=title, subtitle=subtitle, title_align="left"))


def show_pending(console: Console, rows: Sequence[JournalRow]) -> None:
    """What waits for a person, oldest first."""
    if not rows:
        console.print("nothing waits for approval")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("action id", no_wrap=True)  # it is copied from here
    for name in ("action and target", "why it waits"):
        table.add_column(name, overflow="fold")
    for row in rows:
        what = f"{row.proposal.action} {row.target.kind}:{row.target.value}"
        table.add_row(*(Text(_cut(cell)) for cell in (row.action_id, what, row.decision.reason)))
    console.print(table)
