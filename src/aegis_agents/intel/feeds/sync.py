"""From configured feeds to the store: fetch, read, screen, apply; a feed that fails leaves what was there.

What a feed said last stays in use until it says something better, and the report says how old that is. All feeds
of one call go into one snapshot. A feed's state is written after the snapshot: a crash in between means that it
is read again, never that it is believed to have been.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import AegisError, InputError
from aegis_agents.intel.changes import SHIPPED, Applied, Change, Delta
from aegis_agents.intel.documents import Corpus, Document, Embedder
from aegis_agents.intel.facade import Intel
from aegis_agents.intel.feeds.before import check_stamp, keeping, reworded, tightened
from aegis_agents.intel.feeds.config import Feed, FeedKind
from aegis_agents.intel.feeds.fetch import Fetched, fetch, forget_downloads
from aegis_agents.intel.feeds.formats import read
from aegis_agents.intel.feeds.parsed import Parsed
from aegis_agents.intel.feeds.reports import FeedStatus, SyncReport
from aegis_agents.intel.feeds.state import STATES, FeedStates, settings_of
from aegis_agents.intel.feeds.times import WHOLE
from aegis_agents.intel.readers import Reader
from aegis_agents.intel.trust.known import IntelKnown
from aegis_agents.intel.trust.policy import Quarantined, Screened, ScreenPolicy
from aegis_agents.intel.trust.quarantine import MAX_HELD, QUARANTINE, Quarantine
from aegis_agents.intel.trust.screen import screen

INSTEAD: dict[FeedKind, tuple[Corpus, ...]] = {
    "attack": ("technique", "mitigation", "group", "software"),
    "kev": ("kev",),
}
"""What a feed of a standard kind fills in place of what ships."""
DOWNLOADS = "downloads"
_LOOK_EVERY = 1.0
"""Seconds between looks at what is due, while watching."""
_NOTES = 5
"""Reasons for skipped and refused entries that a report gives; the counts are whole."""

Clock = Callable[[], dt.datetime]


class _Ready(NamedTuple):
    """A feed that was fetched, read and screened, and waits to be applied."""

    feed: Feed
    fetched: Fetched
    change: Change
    held: list[Quarantined]
    skipped: int
    notes: tuple[str, ...]


def utc_now() -> dt.datetime:
    """The time by this machine's clock."""
    return dt.datetime.now(dt.UTC)


class Syncer:
    """Brings configured feeds into an open Intel; nothing that is not configured is fetched.

    `directory` keeps their state, downloads and quarantine (as a rule where the snapshots are). `speaks_to_machines`
    says what a text seems to want of a machine reader (see `trust.screen`). `fetch` is the way to the sources.
    Safe to share between threads and processes: two never download one feed at once.
    """

    def __init__(
        self, intel: Intel, feeds: Sequence[Feed], directory: Path, *, embed: Embedder,
        speaks_to_machines: Callable[[str], str | None], screen_policy: ScreenPolicy | None = None,
        clock: Clock = utc_now, fetch: Callable[..., Fetched] = fetch,
    ) -> None:  # fmt: skip
        twice = [name for name, n in Counter(f.name for f in feeds).items() if n > 1]
        if twice:
            raise InputError(f"{twice[0]} is there twice", field="feeds", fix="give each feed its own name")
        self._intel, self._feeds, self._directory = intel, list(feeds), directory
        self._embed, self._speaks, self._policy = embed, speaks_to_machines, screen_policy or ScreenPolicy()
        self._clock, self._fetch = clock, fetch
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._states = FeedStates(directory / STATES)
        self.quarantine = Quarantine(directory / QUARANTINE)

    def sync(self, names: Sequence[str] = ()) -> list[SyncReport]:
        """Fetch these feeds (default: all) and take in what is new; one report each, in the order configured.

        A feed that fails does so alone. Raises InputError for a name that is not configured.
        """
        unknown = sorted(set(names) - {f.name for f in self._feeds})
        if unknown:
            known = ", ".join(f.name for f in self._feeds) or "none"
            raise InputError(f"{unknown[0]} is not configured", field="feed", fix=f"configured: {known}")
        reports: dict[str, SyncReport] = {}
        ready: list[_Ready] = []
        for feed in self._feeds:
            if names and feed.name not in names:
                continue
            try:
                found = self._prepare(feed)
            except Exception as error:  # noqa: BLE001 - a fault in one feed or its reader must not stop the others; it is recorded
                reports[feed.name] = self._failed(feed, error)
                continue
            if isinstance(found, SyncReport):
                reports[feed.name] = found
            else:
                ready.append(found)
        reports |= self._apply(ready)
        return [reports[f.name] for f in self._feeds if f.name in reports]

    def watch(self, stop: threading.Event, on_report: Callable[[SyncReport], None]) -> None:
        """Sync each feed whenever it is due, until `stop` is set; what is under way is finished."""
        while not stop.is_set():
            due = [f.name for f in self._feeds if self._states.due(f, self._clock())]
            for report in self.sync(due) if due else ():
                on_report(report)
            stop.wait(_LOOK_EVERY)

    def status(self) -> list[FeedStatus]:
        """How each configured feed stands, as far as the reader may see it."""
        now, held = self._clock(), self.quarantine.count()
        counts: Counter[str] = Counter()
        for feeds in self._intel.counts().values():
            counts.update(feeds)
        found = []
        for feed in self._feeds:
            state, stale = self._states.get(feed.name), self._states.stale_for(feed, now)
            found.append(
                FeedStatus(
                    feed=feed.name, kind=feed.kind, owner=feed.publisher, trust=feed.trust, tlp=feed.tlp,
                    documents=counts[feed.name], quarantined=held.get(feed.name, 0), version=state.version,
                    last_tried=state.last_tried, last_good=state.last_good,
                    stale_seconds=None if stale is None else stale.total_seconds(),
                    overdue=stale is None or stale.total_seconds() > 2 * feed.every_seconds,
                    error=state.last_error, snapshot=state.snapshot,
                )
            )  # fmt: skip
        return found

    def release(self, id: int, by: str) -> str:
        """Take in what the quarantine held, since `by` says so; answers the snapshot's id.

        Raises as `Quarantine.release`, and InputError if the store refuses it or its feed's settings are stricter
        by now; then it goes on being held. What was released and is not stored (a crash in between) is taken in.
        """
        held = self.quarantine.get(id)
        document, again = held.document, held.state == "released"
        if again and any(d.sha256 == document.sha256 for d in self._intel.lookup(document.id)):
            again = False  # the quarantine says who decided it
        for feed in self._feeds:
            if feed.name == document.feed:
                check_stamp(document, feed)
        if not again:
            self.quarantine.release(id, by)  # first, so that of two who decide at once only one does
        try:
            change = Change(document.feed, self._states.get(document.feed).version, [document], complete=False)
            if refused := self._intel.take_in([change]).refused:
                raise InputError(f"{document.id} {refused[0].why}", field="id", fix="drop it, or change its feed")
        except BaseException:
            self.quarantine.hold(id)
            raise
        return self._intel.snapshot_id

    def remove(self, name: str, by: str) -> SyncReport:
        """Give up what a feed brought, since `by` says so: documents, what is held back, state and downloads.

        While it is configured the next sync fetches it anew, whatever it grew by. What a feed of kind attack or
        kev replaced comes back when the directory is next opened. Raises InputError if nothing is known of it.
        """
        if not by.strip():
            raise InputError("is empty", field="by", fix="say who decides")
        known = {h.feed for h in self._intel.manifest.held} | {s.name for s in self._states.all()}
        if name == SHIPPED or name not in known | set(self.quarantine.count()):
            raise InputError(f"{name} brought nothing", field="feed", fix="see aegis intel feeds")
        applied = self._intel.take_in([Change(name, "removed", [], complete=True)])
        dropped = self.quarantine.drop_all(name, by)
        forget_downloads(self._directory / DOWNLOADS, name)
        self._states.removed(name, by, self._clock())
        return SyncReport(
            feed=name, status="removed", removed=sum(d.removed for d in applied.deltas), snapshot=applied.snapshot,
            notes=(f"{dropped} held back are dropped",) if dropped else (),
        )  # fmt: skip

    def close(self) -> None:
        """Release the quarantine's file."""
        self.quarantine.close()

    def _prepare(self, feed: Feed) -> _Ready | SyncReport:
        now, state = self._clock(), self._states.get(feed.name)
        fetched = self._fetch(feed, state, now=now, downloads=self._directory / DOWNLOADS)
        if fetched.status == "unchanged":
            self._states.unchanged(
                feed, now, etag=fetched.etag, last_modified=fetched.last_modified, cursor=fetched.cursor
            )
            return SyncReport(feed=feed.name, status="unchanged", snapshot=self._intel.snapshot_id, stale_seconds=0.0)
        parsed = read(fetched.blobs, feed, fetched_at=now)
        self._intel.refresh()  # the screen compares with what others brought meanwhile too
        seen = self._intel.seen_by(Reader(tenant=feed.tenant or "default", clearance="red"))
        documents = [d.model_copy(update={"signer": fetched.signer}) for d in parsed.documents] if fetched.signer else parsed.documents  # fmt: skip
        # Compared with what its own readers may see: what the quarantine says of it quotes that.
        shown = self._intel.seen_by(Reader(tenant=feed.tenant, clearance=feed.tlp))
        known = IntelKnown(shown, seen.lookup, self._held_of, self._policy)

        def sift(given: Sequence[Document]) -> Screened:
            return screen(
                given, known=known, speaks_to_machines=self._speaks, embed=self._embed, policy=self._policy,
                released=self.quarantine.released(),
            )  # fmt: skip

        sorted_out = sift(documents)
        # A page of a collection is never whole in itself; whether all of them were fetched is known where they were.
        complete = fetched.whole and (parsed.complete or feed.kind == "taxii")
        if complete and parsed.skipped and not parsed.documents:
            fix = f"check that the feed is of kind {feed.kind}"
            raise InputError(f"nothing it says is usable: {parsed.skipped[0].why}", field=f"feed {feed.name}", fix=fix)
        removed = parsed.removed if complete else (*parsed.removed, *reworded(seen, feed, documents))
        change = Change(
            feed.name, parsed.version, sorted_out.accepted, complete, removed,
            INSTEAD.get(feed.kind, ()) if complete else (),
        )  # fmt: skip
        if complete and sorted_out.quarantined:
            change = keeping(seen, feed, change, sorted_out.quarantined, sift)
        return _Ready(feed, fetched, change, sorted_out.quarantined, *_left_out(fetched, parsed))

    def _held_of(self, feed: str) -> int:
        return sum(h.documents for h in self._intel.manifest.held if h.feed == feed)

    def _apply(self, ready: Sequence[_Ready]) -> dict[str, SyncReport]:
        """All in one snapshot; where that can't be, each alone, so that one can't keep the others out."""
        if not ready:
            return {}
        try:
            applied = self._intel.take_in([r.change for r in ready])
        except (AegisError, OSError) as error:
            if len(ready) == 1:
                return {ready[0].feed.name: self._failed(ready[0].feed, error)}
            return {name: report for r in ready for name, report in self._apply([r]).items()}
        reports = {}
        for r in ready:
            try:
                reports[r.feed.name] = self._succeeded(r, applied)
            except AegisError as error:  # of the quarantine or the states: it is read again the next time
                reports[r.feed.name] = self._failed(r.feed, error)
        return reports

    def _succeeded(self, ready: _Ready, applied: Applied) -> SyncReport:
        feed, fetched = ready.feed, ready.fetched
        self.quarantine.put(ready.held)
        delta = next((d for d in applied.deltas if d.feed == feed.name), Delta(feed.name))
        refused = [f"{r.corpus} {r.id}: {r.why}" for r in applied.refused if r.feed == feed.name]
        counts = {
            "documents": len(ready.change.documents), "skipped": ready.skipped + len(refused), "quarantined": len(ready.held),
            WHOLE: int(ready.change.complete),
        }  # fmt: skip
        self._states.succeeded(
            feed, self._clock(), etag=fetched.etag, last_modified=fetched.last_modified, sha256=fetched.sha256,
            cursor=fetched.cursor, signer=fetched.signer, snapshot=applied.snapshot, version=ready.change.version,
            counts=counts,
        )  # fmt: skip
        full = ready.held and self.quarantine.count().get(feed.name, 0) >= MAX_HELD
        fuller = (f"the quarantine keeps {MAX_HELD:,} of a feed at most: drop some, or remove it",) if full else ()
        return SyncReport(
            feed=feed.name, status="new", added=delta.added, updated=delta.changed, removed=delta.removed,
            quarantined=len(ready.held), skipped=counts["skipped"],
            notes=(*fuller, *ready.notes, *(f"{q.document.id}: {q.reason}: {q.detail}" for q in ready.held[:_NOTES]), *refused[:_NOTES]),
            snapshot=applied.snapshot, stale_seconds=0.0,
        )  # fmt: skip

    def _failed(self, feed: Feed, error: Exception) -> SyncReport:
        now = self._clock()
        said = str(error) if isinstance(error, AegisError | OSError) else f"{type(error).__name__}: {error} (a fault of ours; report it)"  # fmt: skip
        anew = False
        try:
            anew = self._tighten(feed)
        except (AegisError, OSError) as other:
            said += f"; what it said before is not yet under its new settings: {other}"
        state = self._states.failed(feed, said, now, anew=anew)
        stale = self._states.stale_for(feed, now)
        return SyncReport(
            feed=feed.name, status="failed", error=state.last_error, snapshot=self._intel.snapshot_id,
            stale_seconds=None if stale is None else stale.total_seconds(),
        )  # fmt: skip

    def _tighten(self, feed: Feed) -> bool:
        """Settings that became stricter hold at once, also for a feed that can't be read anew; whether any did."""
        state = self._states.get(feed.name)
        if state.settings == settings_of(feed) or (change := tightened(self._intel, feed, state.version)) is None:
            return False
        self._intel.take_in([change])
        return True


def _left_out(fetched: Fetched, parsed: Parsed) -> tuple[int, tuple[str, ...]]:
    """How many entries were not usable, and the first reasons."""
    skipped = [*fetched.skipped, *parsed.skipped]
    return len(skipped), tuple(f"{s.where}: {s.why}" for s in skipped[:_NOTES])
