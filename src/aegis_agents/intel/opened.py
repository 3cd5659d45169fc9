"""The files that an `Intel` and its views share: the snapshot in use, its segments, the memories of cases."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from pathlib import Path

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.build import outdated
from aegis_agents.intel.cases import CaseMemory
from aegis_agents.intel.changes import Applied, Change, Plan, compare, storable, swap, unstorable
from aegis_agents.intel.documents import Corpus, Document, Embedder
from aegis_agents.intel.files import only_writer
from aegis_agents.intel.readers import KEEPER
from aegis_agents.intel.segments import SegmentPool
from aegis_agents.intel.snapshot import Manifest, current, point_to
from aegis_agents.intel.store import Store
from aegis_agents.intel.writer import Versions, write_next

CASES = "cases.sqlite"
"""The memory of confirmed cases of the tenant "default", in the directory of the snapshots."""

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def cases_file(tenant: str) -> str:
    """The name of the file of a tenant's confirmed cases: one for each, on every file system."""
    if tenant == "default":
        return CASES
    if _PLAIN.fullmatch(tenant):
        return f"cases-{tenant}.sqlite"
    # a dot is in no plain name, so that no tenant can be called what another's hash is
    return f"cases-x.{hashlib.sha256(tenant.encode('utf-8', 'backslashreplace')).hexdigest()[:32]}.sqlite"


class Opened:
    """A directory of intelligence open for use; safe to share between threads."""

    def __init__(self, directory: Path, model: Embedder, snapshot_id: str) -> None:
        self.directory, self.model = directory, model
        self._pool = SegmentPool(directory)
        try:
            self.store = self._open(snapshot_id)
        except BaseException:
            self._pool.close()
            raise
        self._writing = threading.Lock()
        self._swapping = threading.RLock()
        self._cases: dict[str, CaseMemory] = {}
        self._opening = threading.Lock()

    def cases(self, tenant: str) -> CaseMemory:
        """The confirmed cases of a tenant, opened when they are first asked for."""
        memory = self._cases.get(tenant)
        if memory is None:
            with self._opening:
                if (memory := self._cases.get(tenant)) is None:
                    path = self.directory / cases_file(tenant)
                    dimensions = self.store.manifest.dimensions
                    memory = CaseMemory(path, model=self.model.version, dimensions=dimensions)
                    self._cases[tenant] = memory
        return memory

    def apply(self, changes: list[Change]) -> Applied:
        """Take in what feeds say now (see `changes.compare`) and go on with the new snapshot."""

        def versions(store: Store, plan: Plan) -> Versions:
            manifest = store.manifest
            sources, own = dict(manifest.sources), set(manifest.own)
            moved = {d.feed for d in plan.births} | {e.feed for e in plan.deaths.values()}
            for change in changes:
                held = {h.corpus for h in manifest.held if h.feed == change.feed}
                if change.complete:  # a corpus that the feed gave up: what is shipped comes back when next opened
                    own -= held - {d.corpus for d in change.documents}
                for corpus in {d.corpus for d in change.documents if d.corpus in change.instead}:
                    own.add(corpus)
                    sources[corpus] = f"{change.feed} {change.version}"
            said = {change.feed: change.version for change in changes if change.feed in moved}
            return Versions(sources, {**manifest.feeds, **said}, own)

        snapshot, plan = self._write(lambda store: compare(store.seen_by(KEEPER), changes), versions)
        return Applied(snapshot, plan.deltas, plan.refused)

    def replace(self, corpus: Corpus, documents: list[Document], version: str) -> str:
        """Make a corpus consist of these documents and go on with the new snapshot, whose id is answered."""

        def versions(store: Store, plan: Plan) -> Versions:
            manifest = store.manifest
            return Versions({**manifest.sources, corpus: version}, manifest.feeds, {*manifest.own, corpus})

        def is_news(manifest: Manifest) -> bool:
            return corpus not in manifest.own or manifest.sources.get(corpus) != version

        return self._write(lambda store: swap(store.seen_by(KEEPER), corpus, documents), versions, is_news)[0]

    def _write(
        self,
        plan_for: Callable[[Store], Plan],
        versions: Callable[[Store, Plan], Versions],
        is_news: Callable[[Manifest], bool] = lambda manifest: False,
    ) -> tuple[str, Plan]:
        with self._writing, only_writer(self.directory):
            self.refresh()  # so that what another process added is kept
            store = self.store
            plan = plan_for(store)
            if plan.births or plan.deaths or is_news(store.manifest):
                written = write_next(self.directory, store, plan, self.model, versions(store, plan))
                opened = self._open(written)  # what can't be read never becomes current
                with self._swapping:
                    point_to(self.directory, written)
                    self._use(opened)
            return self.store.id, plan

    def refresh(self) -> bool:
        """Go over to the directory's current snapshot; whether it was another."""
        with self._swapping:  # or a thread that read the pointer before another wrote it would go back
            wanted = current(self.directory)
            if wanted is None or wanted == self.store.id:
                return False
            try:
                store = self._open(wanted)
            except IntelError:
                if current(self.directory) == wanted:
                    raise
                return self.refresh()  # superseded and pruned meanwhile
            if why := outdated(store.manifest, self.model):
                raise IntelError(f"{self.directory}: snapshot {wanted} {why} (open it with its own model)")
            self._use(store)
            return True

    def named(self, snapshot_id: str) -> Store:
        """A snapshot by id, to be compared with another."""
        return self.store if snapshot_id == self.store.id else self._open(snapshot_id)

    def close(self) -> None:
        """Release the files."""
        self._pool.close()
        for memory in self._cases.values():
            memory.close()

    def _open(self, snapshot_id: str) -> Store:
        return Store(self.directory, snapshot_id, self._pool)

    def _use(self, store: Store) -> None:
        # A search in another thread may still read the old one, and keeps its segments open until it is done.
        self.store = store


def check_corpus(corpus: Corpus, documents: list[Document]) -> None:
    """Raises InputError for a document of another corpus or that can't be stored, IntelError for an id twice."""
    if wrong := next(((d, why) for d in documents if (why := unstorable(d))), None):
        raise InputError(f"{storable(wrong[0].id)} {wrong[1]}", field="documents", fix="leave it out")
    if stray := next((d for d in documents if d.corpus != corpus), None):
        raise InputError(f"{stray.id} is of corpus {stray.corpus}", field="documents", fix=f"give {corpus} only")
    seen: set[str] = set()
    for document in documents:
        if document.id in seen:
            raise IntelError(f"{corpus} {document.id} is there twice (give each document its own id)")
        seen.add(document.id)
