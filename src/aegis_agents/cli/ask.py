"""`aegis ask`: a question in plain language, an answer that cites."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.assistant import Answer, Event


def ask(
    question: Annotated[
        str, typer.Argument(help="What you want to know; - reads one question a line from standard input.")
    ],
    case: Annotated[str | None, typer.Option("--case", help="The case that it is about, by its id.")] = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Ask about a case, the queue or threat intelligence. It reads and proposes, and never acts."""
    with spoken_errors(), open_aegis(settings) as aegis:
        questions = (line.strip() for line in sys.stdin) if question == "-" else iter([question])
        for one in questions:
            if not one:
                continue
            events = aegis.ask_stream(one, case, thread="terminal")
            answer = next((e.answer for e in events if e.answer), None) if as_json else show(Console(), events)
            if as_json and answer is not None:
                print_json(answer.to_dict())


def show(console: Console, events: Iterator[Event]) -> Answer | None:
    """Print the words as they come, then what they rest on. All of it as text, never as markup."""
    answer = None
    for event in events:
        if event.kind == "token":
            console.print(Text(event.text), end="", soft_wrap=True)
        answer = event.answer or answer
    console.print()
    if answer is None:
        return None
    for cite in answer.cites:
        console.print(Text(f"  [{cite.id}] {cite.kind}: {cite.text}  ({cite.ref})", style="dim"), soft_wrap=True)
    for p in answer.proposals:
        told = f"  proposal: {p.action} {p.target.kind}:{p.target.value}  {p.verb}  {p.rule}"
        console.print(Text(" ".join(told.split()), style="yellow"), soft_wrap=True)
    for note in answer.notes:
        console.print(Text(f"  note: {note}", style="dim"), soft_wrap=True)
    if not answer.answered and answer.looked_at:
        console.print(Text(f"  looked at: {', '.join(answer.looked_at)}", style="dim"), soft_wrap=True)
    return answer
