"""Intel: the one object through which the rest of Aegis reaches threat intelligence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.build import Contents, outdated, renew, shipped, superseded, write
from aegis_agents.intel.changes import Applied, Change
from aegis_agents.intel.crosswalk import resolve
from aegis_agents.intel.diff import Difference, differences
from aegis_agents.intel.documents import Corpus, Document, Embedder
from aegis_agents.intel.embedding import SHIPPED_VECTORS
from aegis_agents.intel.kev import CVE_ID, SHIPPED_KEV, kev_documents
from aegis_agents.intel.opened import Opened, check_corpus
from aegis_agents.intel.prune import SPARE, Pruned, prune
from aegis_agents.intel.readers import Reader
from aegis_agents.intel.remembered import Remembered
from aegis_agents.intel.search import MAX_RESULTS, only_ids, search
from aegis_agents.intel.snapshot import Manifest, SnapshotInfo, current, is_older_format, list_snapshots
from aegis_agents.intel.store import View, unit
from aegis_agents.intel.taught import Rankings
from aegis_agents.records import Passage

if TYPE_CHECKING:
    from aegis_agents.intel.retriever import IntelRetriever

AnyCorpus = Corpus | Literal["case"]


class Intel(Remembered):
    """Threat intelligence open for use: an immutable snapshot as one reader sees it, and their confirmed cases.

    Made by `open` or `build`; safe to share between threads. `seen_by` gives other readers' eyes on the same.
    """

    def __init__(self, opened: Opened, reader: Reader, *, owns: bool = True) -> None:
        super().__init__(opened, reader)
        self._owns = owns
        self._rankings = Rankings(opened.model.version)

    @classmethod
    def open(
        cls,
        directory: str | Path,
        model: Embedder,
        *,
        build_if_missing: bool = True,
        snapshot: str | None = None,
        reader: Reader | None = None,
    ) -> Intel:
        """Open the current snapshot of a directory, or a named older one, as this reader sees it.

        Where there is none, or it was built for another model, ATT&CK release or
        shipped data, it is built, carrying over what the user supplied and feeds brought;
        with build_if_missing=False that is an IntelError. A damaged snapshot is an
        IntelTampered and never silently replaced. Without a reader it is the tenant
        "default", cleared up to TLP:AMBER+STRICT.
        """
        path = Path(directory)
        wanted = snapshot or current(path)
        if wanted is None:
            why: str | None = "holds no intelligence snapshot yet"
        elif is_older_format(path, wanted):
            why = f"snapshot {wanted} is of an older release"
        else:
            try:
                opened = Opened(path, model, wanted)
            except IntelError:
                if snapshot is not None or current(path) == wanted:
                    raise
                # another process went on and pruned it meanwhile
                return cls.open(directory, model, build_if_missing=build_if_missing, reader=reader)
            manifest = opened.store.manifest
            why = outdated(manifest, model) or (superseded(manifest) if snapshot is None else None)
            if why is None:
                return cls(opened, reader or Reader())
            opened.close()
            why = f"snapshot {wanted} {why}"
        if snapshot is not None or not build_if_missing:
            raise IntelError(f"{path}: {why} (run `aegis intel sync`)")
        return cls(Opened(path, model, renew(path, model)), reader or Reader())

    @classmethod
    def build(
        cls,
        directory: str | Path,
        model: Embedder,
        *,
        kev: str | Path | None = SHIPPED_KEV,
        vectors: str | Path = SHIPPED_VECTORS,
        reader: Reader | None = None,
    ) -> Intel:
        """Build a snapshot from ATT&CK, response actions and KEV alone, and make it the current one.

        `kev` is a file in CISA's JSON that the user fetched (default: the shipped
        facts; None: without KEV); `vectors` a file of `write_vectors`, used if it
        is of this model. What feeds brought is not in it until they are synced again. Raises
        InputError if the KEV file is not usable; whatever fails, the old snapshot stays.
        """
        corpora = shipped()
        own: tuple[Corpus, ...] = ()
        if kev is None:
            corpora["kev"], own = Contents("left out", ()), ("kev",)
        elif Path(kev) != SHIPPED_KEV:
            catalogue = kev_documents(Path(kev))
            corpora["kev"], own = Contents(f"file {catalogue.version}", catalogue.documents), ("kev",)
        snapshot = write(Path(directory), model, corpora, own=own, vectors=Path(vectors))
        return cls(Opened(Path(directory), model, snapshot), reader or Reader())

    @property
    def reader(self) -> Reader:
        """Whose eyes these are."""
        return self._reader

    def seen_by(self, reader: Reader) -> Intel:
        """The same intelligence as another reader sees it; closed with this one, and follows it to new snapshots."""
        return Intel(self._opened, reader, owns=False)

    @property
    def snapshot_id(self) -> str:
        """Hash of the snapshot in use; every passage carries it."""
        return self._opened.store.id

    @property
    def manifest(self) -> Manifest:
        """What the snapshot in use is made of, whoever may see it: names of feeds and counts, no contents."""
        return self._opened.store.manifest

    @property
    def technique_ids(self) -> frozenset[str]:
        """Every live ATT&CK technique of the snapshot."""
        return self._view.technique_ids

    def search(
        self,
        query: str | None = None,
        vector: NDArray[np.float32] | None = None,
        corpora: Sequence[AnyCorpus] | None = None,
        k: int = 5,
    ) -> list[Passage]:
        """The k passages that fit best, by ids in the query, vectors and words (see `intel.search.search`).

        `vector` stands in for the query's own; with a vector alone, words play no
        part. A query of nothing but ids answers those ids or nothing. Confirmed
        cases are searched only when `corpora` names "case", and come last: they are
        memory, not knowledge. Raises InputError for neither query nor vector.
        """
        if query is not None and not query.strip():
            query = None
        if query is None and vector is None:
            raise InputError("neither query nor vector is given", field="query", fix="give one of them")
        if not 1 <= k <= MAX_RESULTS:
            raise InputError(f"is {k}", field="k", fix=f"ask for 1 to {MAX_RESULTS}")
        view = self._view
        if vector is not None:
            vector = unit(vector, self.manifest.dimensions)
        elif query is not None and not only_ids(query):
            vector = self._embed(query)
        known: list[Corpus] | None = None if corpora is None else [c for c in corpora if c != "case"]
        taught = self._rankings.of(view, known[0]) if known is not None and len(known) == 1 else None
        found = search(view, query=query, vector=vector, corpora=known, k=k, taught=taught) if known != [] else []
        if corpora is not None and "case" in corpora and vector is not None:
            found += [case.passage() for case in self._cases.similar(vector, k)][: k - len(found)]
        return found

    def technique(self, technique: str) -> Passage | None:
        """An ATT&CK technique by id, of this or another release (crosswalk), None if there is none."""
        resolved = self.resolve_technique(technique)
        return None if resolved is None else self._by_id(resolved, "technique")

    def resolve_technique(self, technique: str) -> str | None:
        """The id under which the snapshot knows a technique: "t1086" → "T1059.001", "T1685" → "T1562.001"."""
        return resolve(technique, self._view.technique_names)

    def is_technique(self, technique: str) -> bool:
        """Whether the snapshot has a live technique of exactly this id (a look-up in a set)."""
        return technique in self._view.technique_ids

    def cve(self, cve: str) -> Passage | None:
        """A vulnerability that is known to be exploited, None if it is not listed (which says nothing else)."""
        wanted = cve.strip().upper()
        return self._by_id(wanted, "kev") if CVE_ID.fullmatch(wanted) else None

    def replace_corpus(self, corpus: Corpus, documents: Sequence[Document], *, version: str) -> str:
        """Swap one corpus for the user's own and go on with the new snapshot, whose id is answered.

        `version` says what the documents were read from. They are found as soon as
        this returns; searches under way end on the old snapshot.
        """
        given = list(documents)
        check_corpus(corpus, given)
        return self._opened.replace(corpus, given, version)

    def apply(self, changes: Sequence[Change]) -> str:
        """Take in what feeds say now and go on with the new snapshot, whose id is answered (see `take_in`)."""
        return self.take_in(changes).snapshot

    def take_in(self, changes: Sequence[Change]) -> Applied:
        """Take in what feeds say now, all in one new snapshot; found as soon as this returns.

        Documents are compared by corpus, id and hash: what is unchanged is neither written nor embedded, and
        where nothing is new the snapshot stays. No feed replaces or removes what another brought: such a
        document is refused, and the answer lists it. Other writers are waited for; readers go on meanwhile.
        Raises InputError for a change that can't be meant; whatever fails, the old snapshot stays.
        """
        return self._opened.apply(list(changes))

    def add_kev(self, path: str | Path) -> str:
        """Take in a KEV catalogue that the user fetched from CISA; answers the new snapshot's id."""
        catalogue = kev_documents(Path(path))
        return self.replace_corpus("kev", catalogue.documents, version=f"file {catalogue.version}")

    def refresh(self) -> bool:
        """Go over to the directory's current snapshot, if another process built one; whether there was one."""
        return self._opened.refresh()

    def lookup(self, keys: str | Sequence[str], corpora: Sequence[Corpus] | None = None) -> list[Passage]:
        """Every passage that has one of these ids or aliases ("ip:203.0.113.7"), in the order of the keys, each once."""
        given = [keys] if isinstance(keys, str) else list(keys)
        return list({id(p): p for found in self.lookup_each(given, corpora).values() for p in found}.values())

    def lookup_each(self, keys: Sequence[str], corpora: Sequence[Corpus] | None = None) -> dict[str, list[Passage]]:
        """Each key that is known → the passages that have it as id or alias, whatever its case."""
        view = self._view
        named = view.named(keys, corpora)
        stored = view.stored({row for rows in named.values() for row in rows})
        passages = {row: s.passage(score=1.0, snapshot=view.snapshot) for row, s in stored.items()}
        return {key: [passages[row] for row in rows] for key, rows in named.items()}

    def documents(self, *, feed: str | None = None, corpora: Sequence[Corpus] | None = None) -> Iterator[Document]:
        """The documents that the reader may see; of one feed, of some corpora."""
        return (stored.document() for _, stored in self._view.each(corpora, feed=feed))

    def counts(self) -> dict[Corpus, dict[str, int]]:
        """How many documents the reader may see: corpus → feed → number."""
        found: dict[Corpus, dict[str, int]] = {}
        for held in self.manifest.seen_by(self._reader):
            feeds = found.setdefault(held.corpus, {})
            feeds[held.feed] = feeds.get(held.feed, 0) + held.documents
        return found

    def snapshots(self) -> list[SnapshotInfo]:
        """The directory's snapshots, newest first."""
        return list_snapshots(self._opened.directory, self._reader)

    def prune(self, keep: Collection[str], *, spare: dt.timedelta = SPARE) -> Pruned:
        """Drop snapshots but the current one, the one in use here, those of `keep` and the latest (see `prune.prune`)."""
        return prune(self._opened.directory, [*keep, self.snapshot_id], spare=spare)

    def diff(self, a: str, b: str) -> list[Difference]:
        """What came, went or changed between two snapshots, as far as the reader may see it (see `diff`)."""
        return differences(self._opened.named(a), self._opened.named(b), self._reader)

    def as_retriever(self, *, corpora: Sequence[AnyCorpus] | None = None, k: int = 5) -> IntelRetriever:
        """A LangChain retriever over this intelligence."""
        from aegis_agents.intel.retriever import IntelRetriever

        return IntelRetriever(intel=self, corpora=None if corpora is None else tuple(corpora), k=k)

    def close(self) -> None:
        """Release the files, and those of every view; the object can't be used after. A view releases nothing."""
        if self._owns:
            self._opened.close()

    def __enter__(self) -> Intel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _by_id(self, key: str, corpus: Corpus) -> Passage | None:
        view = self._view
        stored = view.stored(view.named([key], (corpus,)).get(key, ()))
        # what bears the id, before what is only known by it
        found = min(stored.items(), key=lambda s: (s[1].fields[2].upper() != key.upper(), s[0]), default=None)
        return None if found is None else found[1].passage(score=1.0, snapshot=view.snapshot)

    @property
    def _view(self) -> View:
        return self._opened.store.seen_by(self._reader)
