"""`aegis inbox`: what waits to be investigated, what could not be, and putting alerts in by hand."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, print_json, say, shown, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.inbox.inbox import Inbox
    from aegis_agents.inbox.records import DeadLetter

inbox_app = typer.Typer(
    help="Alerts that wait for a worker, and those that could not be decided.", no_args_is_help=True
)

Numbers = Annotated[list[int] | None, typer.Argument(help="As `aegis inbox dead` shows them.")]
Every = Annotated[bool, typer.Option("--all", help="All that were set aside.")]
_BATCH = 500
_PAGE = 50
_LONGEST_LINE = 5_000_001
"""Bytes: no alert may be longer, and a line without an end must not fill the memory."""


@inbox_app.command()
def status(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """How much waits, is being worked on, is done, and was set aside."""
    with spoken_errors(), closing(_open(settings)) as inbox:
        found = inbox.counts()
    if as_json:
        print_json(found._asdict())
        return
    say(f"waiting {found.waiting}, being worked on {found.held}, done {found.done}, set aside {found.dead}")
    say(f"copies of others {found.copies}")
    if found.waiting:
        say(f"the oldest has waited {found.oldest_s:.0f} s")
    for stream, count in sorted(found.by_stream.items(), key=lambda item: (-item[1], item[0])):
        say(f"  {stream}: {count}")


@inbox_app.command()
def put(
    file: Annotated[str, typer.Argument(help="JSON Lines, or one alert however it is laid out; - is standard input.")],
    stream: Annotated[str, typer.Option("--stream", help="The stream that it counts for.")] = "cli",
    format: Annotated[str | None, typer.Option("--format", help="The product format; without it, it is told.")] = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Take alerts in, to be investigated by a worker: on disk when this returns, and not decided.

    Once they are, putting the same file again adds nothing. What is no alert is set aside, see `aegis inbox dead`.
    """
    from aegis_agents.errors import AegisError, InputError
    from aegis_agents.inbox.records import Message

    total: Counter[str] = Counter()
    storms: dict[str, int] = {}
    with spoken_errors(), closing(_open(settings)) as inbox:
        try:
            with _opened(file) as read:
                natives = _natives(read)
                while some := list(islice(natives, _BATCH)):
                    taken = inbox.put([Message(stream, native, format=format) for native in some])
                    total.update(new=taken.new, folded=taken.folded, dead=taken.dead)
                    storms.update(taken.storms)
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror or error}", field=file) from error
        except AegisError:
            if total:  # what was put before an error is in
                _say_taken(total, storms, as_json=as_json)
            raise
        _say_taken(total, storms, as_json=as_json)


@inbox_app.command()
def dead(
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1000,
    after: Annotated[int, typer.Option("--after", min=0, help="Those with a higher number.")] = 0,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """What was set aside, oldest first, with the reason; in JSON with the whole text."""
    with spoken_errors(), closing(_open(settings)) as inbox:
        while limit > 0 and (some := inbox.dead(min(limit, _PAGE), after)):
            after, limit = some[-1].number, limit - len(some)
            for letter in some:
                print_json(_as_dict(letter)) if as_json else _say_letter(letter)


@inbox_app.command()
def replay(numbers: Numbers = None, every: Every = False, settings: SettingsFile = None) -> None:
    """Let what was set aside wait again, with all its tries. What still can't be read stays where it is."""
    _check_choice(numbers, every=every)
    with spoken_errors(), closing(_open(settings)) as inbox:
        count = inbox.replay(None if every else numbers)
    _say_count(count, numbers, "wait again")


@inbox_app.command()
def discard(numbers: Numbers = None, every: Every = False, settings: SettingsFile = None) -> None:
    """Remove what was set aside for good; `aegis inbox dead --json --limit 1000000 > FILE` keeps it elsewhere first."""
    _check_choice(numbers, every=every)
    with spoken_errors(), closing(_open(settings)) as inbox:
        count = inbox.discard(None if every else numbers)
    _say_count(count, numbers, "removed")


def _check_choice(numbers: list[int] | None, *, every: bool) -> None:
    if bool(numbers) == every:
        raise typer.BadParameter("give numbers, or --all", param_hint="NUMBER...")


def _say_count(count: int, numbers: list[int] | None, done: str) -> None:
    """Ends with 1 where numbers were given and none of them was there."""
    say(f"{count} of {len(set(numbers))} {done}" if numbers else f"{count} {done}")
    if numbers and not count:
        raise typer.Exit(1)


def _open(settings: Path | None) -> Inbox:
    from aegis_agents.inbox.opening import open_inbox
    from aegis_agents.settings import load_settings

    return open_inbox(load_settings(settings))


def _opened(file: str) -> BinaryIO:
    if file != "-":
        return Path(file).open("rb")
    return sys.stdin.buffer


def _natives(read: BinaryIO) -> Iterator[str]:
    """One text an alert: each line, or the whole where the first line is not an alert by itself.

    Nothing is left out: a line that is no alert is set aside whole, in pieces where it is longer than an alert may be.
    """
    first = next((line for line in _lines(read) if line.strip()), b"")
    if not _is_alert(first) and first.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):  # it goes on, or breaks off
        yield _text(first + read.read(_LONGEST_LINE))
    elif first:
        yield _text(first)
    yield from (_text(line) for line in _lines(read) if line.strip())


def _lines(read: BinaryIO) -> Iterator[bytes]:
    while line := read.readline(_LONGEST_LINE):
        yield line


def _is_alert(line: bytes) -> bool:
    """Whether it is one, or at least opens and closes as one."""
    from aegis_agents.errors import InputError
    from aegis_agents.sources import read_json

    try:
        read_json(line)
    except InputError:
        return line.rstrip().endswith(b"}")
    return True


def _text(line: bytes) -> str:
    """What is no UTF-8 is kept too, byte by byte."""
    return line.decode("utf-8-sig", "surrogateescape").strip("\r\n")


def _say_taken(total: Counter[str], storms: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        print_json({name: total[name] for name in ("new", "folded", "dead")} | {"storms": storms})
        return
    say(f"new {total['new']}, copies {total['folded']}, set aside {total['dead']}")
    for incident, copies in storms.items():
        say(f"a storm: {incident} has come {copies} times")


def _as_dict(letter: DeadLetter) -> dict[str, Any]:
    return letter._asdict() | {
        "message": letter.message._asdict(),
        "received_at": letter.received_at.isoformat(),
        "died_at": letter.died_at.isoformat(),
    }


def _say_letter(letter: DeadLetter) -> None:
    say(
        f"{letter.number}  {letter.died_at:%Y-%m-%d %H:%M:%S}Z  {letter.message.stream}  "
        f"after {letter.attempts} tries: {letter.why}"
    )
    say(f"    {shown(letter.message.native[:160])}")
