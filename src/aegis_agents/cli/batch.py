"""`aegis investigate` over a file or standard input: one answer an alert, in order, whatever is wrong with some."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import Progress

from aegis_agents.aegis import Aegis
from aegis_agents.cli.render import show_case
from aegis_agents.cli.spoken import print_json, shown
from aegis_agents.errors import InputError
from aegis_agents.records import Case
from aegis_agents.sources import Limits, read_documents, read_lines

_MOST_LINE = Limits().max_bytes
_MOST_WHOLE = 500_000_000
"""Bytes of a file that is read whole."""


def _documents(file: str, as_json: bool) -> Iterator[tuple[int, Any]]:
    """Alerts with their lines. A pipe of JSON Lines is answered as it comes; anything else is read whole."""
    if file == "-":
        given = sys.stdin.buffer
        return (
            read_lines(_lines(given)) if as_json else read_documents(given.read(_MOST_WHOLE + 1), max_bytes=_MOST_WHOLE)
        )
    try:
        with Path(file).open("rb") as opened:
            return read_documents(opened.read(_MOST_WHOLE + 1), max_bytes=_MOST_WHOLE)
    except OSError as error:
        raise InputError(f"{error.strerror}: {file}", field="FILE", fix="give a file that can be read, or -") from error


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a stream; of one that is too long no more than shows that it is, so that it fills no memory."""
    while line := stream.readline(_MOST_LINE + 1):
        yield line
        while len(line) > _MOST_LINE and not line.endswith(b"\n"):
            line = stream.readline(_MOST_LINE + 1)


def _answers(
    aegis: Aegis, documents: Iterator[tuple[int, Any]], format: str | None
) -> Iterator[tuple[int, Case | InputError]]:
    for line, document in documents:
        if isinstance(document, InputError):
            yield line, document
            continue
        try:
            yield line, aegis.investigate(document, format=format)
        except InputError as error:
            yield line, error.at_line(line)


def investigate_file(aegis: Aegis, file: str, *, format: str | None, as_json: bool) -> int:
    """Investigate every alert of the file; returns how many could not be read. Raises InputError if the file can't."""
    failed = 0
    console, told = Console(), Console(stderr=True)
    documents = _documents(file, as_json)
    with Progress(console=told, transient=True, disable=not told.is_terminal) as progress:
        task = progress.add_task("investigating", total=None)
        for line, answer in _answers(aegis, documents, format):
            progress.advance(task)
            if isinstance(answer, InputError):
                failed += 1
                if as_json:
                    print_json({"error": str(answer), "line": line})
                else:
                    told.print(shown(f"error: {answer}"), markup=False, style="red", soft_wrap=True)
            elif as_json:
                print_json(answer.to_dict())
            else:
                show_case(console, answer)
    return failed
