"""The user's own documents as passages: Markdown, PDF, plain text, JSON.

Read `passages` for the cutting. A file that can't be read costs itself only.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from aegis_agents.errors import InputError, IntelError, LimitExceeded
from aegis_agents.intel.documents import Document, plain
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import Collected, SkipLog, provenance, read_json, result, sound, visible
from aegis_agents.intel.feeds.formats.passages import Passage, cut, markdown
from aegis_agents.intel.feeds.parsed import Blob, Parsed
from aegis_agents.intel.feeds.unpack import decode_text

MAX_PAGES = 2000
MAX_FILE_PASSAGES = 5000
"""Passages of one file, 4.5 million characters; what is behind them is listed as left out."""

MAX_STRINGS = 200_000

MAX_SECONDS = 30.0
"""Time on the processor for one PDF; pages take milliseconds. pypdf bounds a page, but 20 KB can hold 2,000 pages that
share one costly drawing."""


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """One document for each passage, under "feed/path#number"; its title is the path of headings."""
    skips = SkipLog()
    collected = Collected(skips)
    came = provenance(feed, fetched_at)
    for blob in blobs:
        path = _relative(blob.name)
        reader = _READERS.get(PurePosixPath(path).suffix.lower())
        if reader is None:
            skips.add(blob.name, f"is none of {', '.join(sorted(_READERS))}")
            continue
        number = 0
        try:
            for number, passage in enumerate(reader(blob, skips), 1):
                if number > MAX_FILE_PASSAGES:
                    skips.add(blob.name, f"has more than {MAX_FILE_PASSAGES} passages: the rest is left out")
                    break
                document = Document(
                    corpus="document", id=f"{feed.name}/{path}#{number}", title=visible(passage.title) or path,
                    text=visible(passage.text), **came,
                )  # fmt: skip
                collected.put(document, blob.name)
        except InputError as error:
            skips.add(blob.name, error.message)
        else:
            if number == 0:
                skips.add(blob.name, "has no text")
    return result(feed, f"of {fetched_at.date().isoformat()}", collected, skips)


def _relative(name: str) -> str:
    """A file's name as it may stand in an id: a path that stays inside, without unprintable characters.

    It is never opened; "../../etc/passwd" is a name here, but one that reads like a lie.
    """
    parts = [p for p in sound(plain(name.replace("\\", "/"))).split("/") if p not in ("", ".", "..")]
    return "/".join(parts)[:300] or "file"


def _markdown(blob: Blob, skips: SkipLog) -> Iterator[Passage]:
    return markdown(decode_text(blob), PurePosixPath(_relative(blob.name)).stem)


def _text(blob: Blob, skips: SkipLog) -> Iterator[Passage]:
    stem = PurePosixPath(_relative(blob.name)).stem
    return (Passage(stem, piece) for piece in cut(re.split(r"\n\s*\n", decode_text(blob))))


def _json(blob: Blob, skips: SkipLog) -> Iterator[Passage]:
    """The texts of a JSON value, each behind the name of its field; without recursion."""
    stem = PurePosixPath(_relative(blob.name)).stem
    lines: list[str] = []
    stack: list[tuple[str, object]] = [("", _json_value(blob))]
    while stack:
        name, value = stack.pop()
        if isinstance(value, dict):
            stack += [(str(k), v) for k, v in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(name, v) for v in reversed(value)]
        elif isinstance(value, str) and value.strip():
            lines.append(f"{name}: {value}" if name else value)
            if len(lines) > MAX_STRINGS:
                raise LimitExceeded(f"has more than {MAX_STRINGS:,} texts", field=blob.name, fix="split the file")
    return (Passage(stem, piece) for piece in cut(lines))


def _json_value(blob: Blob) -> object:
    if not blob.name.lower().endswith(".jsonl"):
        return read_json(blob)
    try:
        return [json.loads(line) for line in decode_text(blob).split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON Lines: {error}", field=blob.name, fix="check the file") from error


def _pdf(blob: Blob, skips: SkipLog) -> Iterator[Passage]:
    """The text of each page, which the title numbers. Pictures of text (scans) have none."""
    try:
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise IntelError(f'{error.name} is not installed: pip install "aegis-soc-agents[feeds]"') from error
    stem = PurePosixPath(_relative(blob.name)).stem
    # Besides its own errors pypdf lets through what goes wrong inside a damaged file, which may be nearly anything
    # but a lack of memory.
    broken = (
        PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError,
        NotImplementedError, RecursionError, OSError, EOFError, LookupError,
    )  # fmt: skip
    fix = "print it to PDF again"
    try:
        pdf = PdfReader(io.BytesIO(blob.content))
        if pdf.is_encrypted:
            raise InputError("is encrypted", field=blob.name, fix="give it without a password")
        pages = len(pdf.pages)
    except broken as error:
        raise InputError(f"can't be read as PDF: {error}", field=blob.name, fix=fix) from error
    end = time.thread_time() + MAX_SECONDS

    def in_time(*_: object) -> None:
        if time.thread_time() > end:
            raise LimitExceeded(f"takes longer than {MAX_SECONDS:g} s: the rest is left out", field=blob.name, fix=fix)

    if pages > MAX_PAGES:
        skips.add(blob.name, f"has {pages} pages: those behind page {MAX_PAGES} are left out")
    for number in range(min(pages, MAX_PAGES)):
        try:
            in_time()
            text = pdf.pages[number].extract_text(visitor_operand_before=in_time)
        except broken as error:
            skips.add(f"{blob.name}: page {number + 1}", f"can't be read: {error}")
            continue
        yield from (Passage(f"{stem}, page {number + 1}", piece) for piece in cut(re.split(r"\n\s*\n", text)))


_READERS: dict[str, Callable[[Blob, SkipLog], Iterator[Passage]]] = {
    ".md": _markdown, ".markdown": _markdown, ".txt": _text, ".json": _json, ".jsonl": _json, ".pdf": _pdf,
}  # fmt: skip
