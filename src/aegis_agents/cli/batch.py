"""`aegis investigate` over a file or standard input: one answer an alert, in order, whatever is wrong with some."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from aegis_agents.aegis import Aegis
from aegis_agents.cli.render import show_case
from aegis_agents.errors import InputError
from aegis_agents.records import Case
from aegis_agents.sources import read_documents, read_lines


def _documents(file: str, as_json: bool) -> Iterator[tuple[int, Any]]:
    """Alerts with their lines. A pipe of JSON Lines is answered as it comes; anything else is read whole."""
    if file == "-":
        return read_lines(sys.stdin.buffer) if as_json else read_documents(sys.stdin.buffer.read())
    try:
        return read_documents(Path(file).read_bytes())
    except OSError as error:
        raise InputError(f"{error.strerror}: {file}", field="FILE", fix="give a file that can be read, or -") from error


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
                    sys.stdout.write(json.dumps({"error": str(answer), "line": line}, ensure_ascii=False) + "\n")
                else:
                    told.print(f"error: {answer}", markup=False, style="red")
            elif as_json:
                sys.stdout.write(json.dumps(answer.to_dict(), ensure_ascii=False) + "\n")
            else:
                show_case(console, answer)
            sys.stdout.flush()
    return failed
