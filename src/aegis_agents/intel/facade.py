"""Intel: the one object through which the rest of Aegis reaches threat intelligence."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.build import Contents, contents_of, outdated, shipped, superseded, write
from aegis_agents.intel.cases import CaseCounts, CaseMemory, FinalVerdict, SimilarCase
from aegis_agents.intel.crosswalk import NEWER_TO_V18
from aegis_agents.intel.documents import Corpus, Document, Embedder
from aegis_agents.intel.embedding import SHIPPED_VECTORS
from aegis_agents.intel.kev import CVE_ID, SHIPPED_KEV, kev_documents
from aegis_agents.intel.search import MAX_RESULTS, only_ids, search
from aegis_agents.intel.snapshot import Manifest, current
from aegis_agents.intel.store import Store, unit
from aegis_agents.records import Passage

if TYPE_CHECKING:
    from aegis_agents.intel.retriever import IntelRetriever

CASES = "cases.sqlite"
"""The memory of confirmed cases, in the directory of the snapshots."""

AnyCorpus = Corpus | Literal["case"]


class Intel:
    """Threat intelligence open for use: one immutable snapshot, and the memory of confirmed cases.

    Made by `open` or `build`; safe to share between threads.
    """

    def __init__(self, directory: Path, model: Embedder, store: Store) -> None:
        self._directory, self._model, self._store = directory, model, store
        self._retired: list[Store] = []
        self._writing = threading.Lock()
        self._cases = CaseMemory(directory / CASES, model=model.version, dimensions=store.manifest.dimensions)

    @classmethod
    def open(
        cls, directory: str | Path, model: Embedder, *, build_if_missing: bool = True, snapshot: str | None = None
    ) -> Intel:
        """Open the current snapshot of a directory, or a named older one.

        Where there is none, or it was built for another model, ATT&CK release or
        shipped data, it is built, carrying over what the user supplied; with
        build_if_missing=False that is an IntelError. A damaged snapshot is an
        IntelTampered and never silently replaced.
        """
        path = Path(directory)
        wanted = snapshot or current(path)
        if wanted is None:
            if not build_if_missing:
                raise IntelError(f"{path}: holds no intelligence snapshot yet (run `aegis intel sync`)")
            return cls.build(path, model)
        store = Store(path, wanted)
        why = outdated(store.manifest, model) or (superseded(store.manifest) if snapshot is None else None)
        if why is None:
            return cls(path, model, store)
        try:
            if snapshot is not None or not build_if_missing:
                raise IntelError(f"{path}: snapshot {wanted} {why} (run `aegis intel sync`)")
            own = store.manifest.own
            carried = contents_of(store, own)
        finally:
            store.close()
        return cls(path, model, write(path, model, shipped() | carried, own=own))

    @classmethod
    def build(
        cls,
        directory: str | Path,
        model: Embedder,
        *,
        kev: str | Path | None = SHIPPED_KEV,
        vectors: str | Path = SHIPPED_VECTORS,
    ) -> Intel:
        """Build a snapshot from ATT&CK, response actions and KEV, and make it the current one.

        `kev` is a file in CISA's JSON that the user fetched (default: the shipped
        facts; None: without KEV); `vectors` a file of `write_vectors`, used if it
        is of this model. Raises InputError if the KEV file is not usable; whatever
        fails, the old snapshot stays.
        """
        corpora = shipped()
        own: tuple[Corpus, ...] = ()
        if kev is None:
            corpora["kev"], own = Contents("left out", ()), ("kev",)
        elif Path(kev) != SHIPPED_KEV:
            catalogue = kev_documents(Path(kev))
            corpora["kev"], own = Contents(f"file {catalogue.version}", catalogue.documents), ("kev",)
        path = Path(directory)
        return cls(path, model, write(path, model, corpora, own=own, vectors=Path(vectors)))

    @property
    def snapshot_id(self) -> str:
        """Hash of the snapshot in use; every passage carries it."""
        return self._store.id

    @property
    def memory_version(self) -> str:
        """What the memory of cases has learned so far, as one name."""
        return self._cases.version

    @property
    def manifest(self) -> Manifest:
        """What the snapshot in use is made of."""
        return self._store.manifest

    @property
    def technique_ids(self) -> frozenset[str]:
        """Every live ATT&CK technique of the snapshot."""
        return self._store.technique_ids

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
        store = self._store
        if vector is not None:
            vector = unit(vector, store.manifest.dimensions)
        elif query is not None and not only_ids(query):
            vector = self._embed(query)
        known: list[Corpus] | None = None if corpora is None else [c for c in corpora if c != "case"]
        found = search(store, query=query, vector=vector, corpora=known, k=k) if known != [] else []
        if corpora is not None and "case" in corpora and vector is not None:
            found += [case.passage() for case in self._cases.similar(vector, k)][: k - len(found)]
        return found

    def technique(self, technique: str) -> Passage | None:
        """An ATT&CK technique by id, of this or another release (crosswalk), None if there is none."""
        resolved = self.resolve_technique(technique)
        return None if resolved is None else self._by_id(resolved, "technique")

    def resolve_technique(self, technique: str) -> str | None:
        """The id under which the snapshot knows a technique: "t1086" → "T1059.001", "T1685" → "T1562.001"."""
        wanted = technique.strip().upper()
        if wanted not in self._store.technique_names:
            wanted = NEWER_TO_V18.get(wanted, wanted)
        return self._store.technique_names.get(wanted)

    def is_technique(self, technique: str) -> bool:
        """Whether the snapshot has a live technique of exactly this id (a look-up in a set)."""
        return technique in self._store.technique_ids

    def cve(self, cve: str) -> Passage | None:
        """A vulnerability that is known to be exploited, None if it is not listed (which says nothing else)."""
        wanted = cve.strip().upper()
        return self._by_id(wanted, "kev") if CVE_ID.fullmatch(wanted) else None

    def similar_cases(
        self, vector: NDArray[np.float32], k: int = 5, *, exclude_key: str | None = None
    ) -> list[SimilarCase]:
        """The k most similar confirmed cases of each side, one for each dedupe key (see `CaseMemory.similar`)."""
        return self._cases.similar(vector, k, exclude_key=exclude_key)

    def similar_to_text(self, text: str, k: int = 5) -> list[SimilarCase]:
        """The k confirmed cases nearest to a description."""
        return self._cases.similar(self._embed(text), k)[:k]

    def similar_to_case(self, case_id: str, k: int = 5) -> list[SimilarCase] | None:
        """The k confirmed cases nearest to a confirmed one, itself left out; None if it is not confirmed."""
        vector = self._cases.vector_of(case_id)
        if vector is None:
            return None
        return [c for c in self._cases.similar(vector, k + 1) if c.case_id != case_id][:k]

    def confirm_case(
        self, case_id: str, vector: NDArray[np.float32], verdict: FinalVerdict, title: str, dedupe_key: str
    ) -> None:
        """Remember a case whose verdict a person confirmed (see `CaseMemory.confirm`)."""
        self._cases.confirm(case_id, vector, verdict, title, dedupe_key)

    def case_counts(self) -> CaseCounts:
        """How many confirmed cases take part, and how many rows are kept without."""
        return self._cases.counts()

    def replace_corpus(self, corpus: Corpus, documents: Sequence[Document], *, version: str) -> str:
        """Swap one corpus for the user's own and go on with the new snapshot, whose id is answered.

        `version` says what the documents were read from. They are found as soon as
        this returns; searches under way end on the old snapshot.
        """
        if stray := next((d for d in documents if d.corpus != corpus), None):
            raise InputError(f"{stray.id} is of corpus {stray.corpus}", field="documents", fix=f"give {corpus} only")
        with self._writing:
            self.refresh()  # so that what another process added is kept
            own = {*self.manifest.own, corpus}
            corpora = contents_of(self._store) | {corpus: Contents(version, documents)}
            self._use(write(self._directory, self._model, corpora, own=tuple(own)))
            return self.snapshot_id

    def add_kev(self, path: str | Path) -> str:
        """Take in a KEV catalogue that the user fetched from CISA; answers the new snapshot's id."""
        catalogue = kev_documents(Path(path))
        return self.replace_corpus("kev", catalogue.documents, version=f"file {catalogue.version}")

    def refresh(self) -> bool:
        """Go over to the directory's current snapshot, if another process built one; whether there was one."""
        wanted = current(self._directory)
        if wanted is None or wanted == self._store.id:
            return False
        store = Store(self._directory, wanted)
        if why := outdated(store.manifest, self._model):
            store.close()
            raise IntelError(f"{self._directory}: snapshot {wanted} {why} (open it with its own model)")
        self._use(store)
        return True

    def as_retriever(self, *, corpora: Sequence[AnyCorpus] | None = None, k: int = 5) -> IntelRetriever:
        """A LangChain retriever over this intelligence."""
        from aegis_agents.intel.retriever import IntelRetriever

        return IntelRetriever(intel=self, corpora=None if corpora is None else tuple(corpora), k=k)

    def close(self) -> None:
        """Release the files; the object can't be used after."""
        for store in (*self._retired, self._store):
            store.close()
        self._cases.close()

    def __enter__(self) -> Intel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _embed(self, text: str) -> NDArray[np.float32]:
        return unit(self._model.embed([text]), self._store.manifest.dimensions)

    def _by_id(self, key: str, corpus: Corpus) -> Passage | None:
        store = self._store
        rows = store.tables.exact([key], store.ranges([corpus]))
        return store.tables.documents(rows[:1])[rows[0]].passage(score=1.0, snapshot=store.id) if rows else None

    def _use(self, store: Store) -> None:
        # A search in another thread may still read the old one, so it is closed with the rest.
        self._retired.append(self._store)
        self._store = store
