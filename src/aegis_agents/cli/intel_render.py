"""How intelligence looks on a terminal. Everything from a feed is printed as text, never as markup or control codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aegis_agents.cli.spoken import print_json

if TYPE_CHECKING:
    from aegis_agents.intel.diff import Difference
    from aegis_agents.intel.feeds.reports import FeedStatus, SyncReport
    from aegis_agents.intel.snapshot import SnapshotInfo
    from aegis_agents.intel.trust import Held
    from aegis_agents.records import Passage
    from aegis_agents.tools.indicator_report import IndicatorReport, IndicatorSource

_TEXT = 240
_STATUS_STYLE = {
    "new": "green", "unchanged": "dim", "failed": "red", "warned": "yellow", "established": "bold red",
    "reported": "yellow", "outdated": "dim", "unknown": "default", "added": "green", "removed": "red",
    "changed": "yellow",
}  # fmt: skip


def clean(value: object, length: int = 110) -> str:
    """Text on one line, no longer than `length`, in which nothing can move the cursor or turn the direction."""
    from aegis_agents.intel.documents import plain

    flat = plain(str(value))
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def age(seconds: float | None) -> str:
    """How long ago, in the largest whole unit."""
    if seconds is None:
        return "never"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _row(table: Table, *cells: object, style: str | None = None) -> None:
    table.add_row(*(Text(clean(cell)) for cell in cells), style=style)


def _provenance(feed: str, owner: str, trust: float, tlp: str) -> str:
    by = f" of {clean(owner, 40)}" if owner and owner != feed else ""
    return f"{clean(feed, 64) or 'shipped'}{by}, trust {trust:.1f}, TLP:{clean(tlp, 12).upper()}"


def show_passages(
    console: Console, passages: Sequence[Passage], *, as_json: bool, otherwise: str = "nothing found"
) -> None:
    """Each passage in three lines: what it is, the beginning of what it says, where it is from."""
    if as_json:
        for passage in passages:
            print_json(passage.model_dump(mode="json"))
        return
    if not passages and otherwise:
        console.print(otherwise)
    for passage in passages:
        head = Text(clean(passage.id, 80), style="bold").append(f"  {clean(passage.title)}", style="default")
        console.print(head.append(f"  {clean(passage.source, 20)} {passage.score:.3f}", style="dim"))
        console.print(Text(f"  {clean(passage.text, _TEXT)}"))
        console.print(Text(f"  {_provenance(passage.feed, passage.owner, passage.trust, passage.tlp)}", style="dim"))


def show_indicator(console: Console, report: IndicatorReport) -> None:
    """What all sources together say of a value, then each."""
    head = Text(clean(report.status), style=_STATUS_STYLE[report.status])
    console.print(head.append(f"  {report.kind} {clean(report.value)}", style="bold"))
    console.print(Text(f"  {report.note}"))
    for warning in report.warnings:
        console.print(Text(f"  warning: {clean(warning, 200)}", style="yellow"))
    if report.quorum:
        console.print(Text(f"  {clean(report.quorum, 300)}"))
    if report.sources:
        table = _table("source", "trust", "TLP", "last seen", "counts", "says")
        for source in report.sources:
            _source_row(table, source, own=source.indicator == f"{report.kind}:{report.value}")
        console.print(table)
    if report.left_out:
        console.print(Text(f"  and {report.left_out} more", style="dim"))


def _source_row(table: Table, source: IndicatorSource, *, own: bool) -> None:
    by = source.feed if source.owner in ("", source.feed) else f"{source.feed} ({source.owner})"
    seen = source.last_seen.date().isoformat() if source.last_seen else "not stated"
    if source.last_seen is None and source.fetched_at is not None:
        seen = f"read {source.fetched_at.date().isoformat()}"
    says = source.title if own else f"of {source.indicator}: {source.title}"
    _row(
        table, by, f"{source.trust:.1f}", source.tlp, seen,
        "yes" if source.counts else ("no" if source.current else "too old"), says,
        style=None if source.counts else "dim",
    )  # fmt: skip


def show_report(console: Console, report: SyncReport, *, as_json: bool) -> None:
    """One line on what became of a feed, and why where it failed."""
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    line = Text(clean(report.feed, 64), style="bold").append(f"  {report.status}", style=_STATUS_STYLE[report.status])
    counts = (
        ("added", report.added), ("updated", report.updated), ("removed", report.removed),
        ("quarantined", report.quarantined), ("skipped", report.skipped),
    )  # fmt: skip
    if told := ", ".join(f"{number} {name}" for name, number in counts if number):
        line.append(f"  {told}", style="default")
    console.print(line)
    if report.error:
        console.print(Text(f"  {clean(report.error, 600)}", style="red"))
        stale = "nothing of it is in use" if report.stale_seconds is None else f"in use is what it said {age(report.stale_seconds)} ago"  # fmt: skip
        console.print(Text(f"  {stale}"))
    for note in report.notes:
        console.print(Text(f"  {clean(note, 300)}", style="dim"))
    if report.quarantined:
        console.print(Text("  held back: aegis intel quarantine list", style="yellow"))


def show_feeds(console: Console, found: Sequence[FeedStatus], *, as_json: bool) -> None:
    """How each feed stands, and why it failed where it did."""
    if as_json:
        for status in found:
            print_json(status.model_dump(mode="json"))
        return
    if not found:
        console.print("no feeds are configured (setting `feeds`, or --feeds FILE)")
        return
    table = _table("feed", "kind", "trust", "TLP", "documents", "held back", "last good", "version")
    for status in found:
        good = "never" if status.stale_seconds is None else f"{age(status.stale_seconds)} ago"
        row = (status.feed, status.kind, status.trust, status.tlp, status.documents, status.quarantined, good, status.version)  # fmt: skip
        _row(table, *row, style="red" if status.error else ("yellow" if status.overdue else None))
    console.print(table)
    for status in found:
        if status.error:
            console.print(Text(f"{clean(status.feed, 64)}: {clean(status.error, 600)}", style="red"))


def show_held(console: Console, held: Sequence[Held], *, as_json: bool) -> None:
    """What waits in quarantine, oldest first."""
    if as_json:
        for entry in held:
            print_json(entry.model_dump(mode="json"))
        return
    if not held:
        console.print("nothing is held back")
        return
    table = _table("no.", "reason", "feed", "what", "detail")
    for entry in held:
        what = f"{entry.document.corpus} {entry.document.id}: {entry.document.title}"
        _row(table, entry.id, entry.reason, entry.document.feed, what, entry.detail)
    console.print(table)


def show_snapshots(console: Console, found: Sequence[SnapshotInfo], *, as_json: bool) -> None:
    """The snapshots, newest first."""
    if as_json:
        for one in found:
            print_json(one.model_dump(mode="json"))
        return
    table = _table("snapshot", "made", "documents", "feeds")
    table.columns[0].no_wrap = True  # it is copied from here
    for one in found:
        feeds = ", ".join(f"{name} {version}" for name, version in sorted(one.feeds.items())) or "shipped"
        made = one.made_at.isoformat(sep=" ", timespec="seconds")
        _row(table, one.id, made, one.documents, feeds, style="bold" if one.current else None)
    console.print(table)


def show_changes(console: Console, found: Sequence[Difference], *, as_json: bool) -> None:
    """What came, went or changed, one line each, and how many of each."""
    if as_json:
        for change in found:
            print_json(change.model_dump(mode="json"))
        return
    for change in found:
        line = Text(f"{change.kind:<8}", style=_STATUS_STYLE[change.kind])
        line.append(f"{change.corpus:<10} {clean(change.id, 80)}", style="default")
        console.print(line.append(f"  {clean(change.title, 80)}  [{clean(change.feed, 64)}]", style="dim"))
    counts = Counter(change.kind for change in found)
    console.print(Text(", ".join(f"{counts[kind]} {kind}" for kind in ("added", "removed", "changed"))))
