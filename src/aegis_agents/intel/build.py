"""From sources to a snapshot: what is shipped, what the user supplied, and when a snapshot is out of date."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from aegis_agents.intel import attack
from aegis_agents.intel.actions import action_documents
from aegis_agents.intel.changes import SHIPPED
from aegis_agents.intel.documents import Corpus, Document, Embedder
from aegis_agents.intel.embedding import SHIPPED_VECTORS, pack_vectors
from aegis_agents.intel.files import only_writer
from aegis_agents.intel.kev import SHIPPED_KEV, SHIPPED_VERSION, kev_documents
from aegis_agents.intel.readers import KEEPER
from aegis_agents.intel.segments import SegmentPool
from aegis_agents.intel.snapshot import FORMAT, Manifest, current, is_older_format, point_to
from aegis_agents.intel.store import Store
from aegis_agents.intel.writer import Versions, write_all

_SHIPPED_KEV_VERSION = f"shipped {SHIPPED_VERSION}"


class Contents(NamedTuple):
    """What a corpus holds, and the version of what it was read from."""

    version: str
    documents: Sequence[Document]


class Carried(NamedTuple):
    """What feeds brought, and the version of each feed."""

    versions: Mapping[str, str]
    documents: Sequence[Document]


def shipped() -> dict[Corpus, Contents]:
    """The corpora that come with the package: ATT&CK, KEV facts and the response actions."""
    release, everything = attack.version(), attack.attack_documents()
    kinds: tuple[Corpus, ...] = ("technique", "mitigation", "group", "software")
    corpora = {kind: Contents(release, [d for d in everything if d.corpus == kind]) for kind in kinds}
    facts = kev_documents(SHIPPED_KEV)
    actions = action_documents()
    return corpora | {
        "kev": Contents(f"shipped {facts.version}", facts.documents),
        "action": Contents(_actions_version(actions), actions),
    }


def write(
    directory: Path,
    model: Embedder,
    corpora: Mapping[Corpus, Contents],
    *,
    own: Sequence[Corpus],
    vectors: Path = SHIPPED_VECTORS,
) -> str:
    """Embed the documents, write the snapshot and make it the current one; answers its id."""
    with only_writer(directory):
        return _write(directory, model, corpora, own, Carried({}, ()), vectors)


def renew(directory: Path, model: Embedder) -> str:
    """The current snapshot's id; where there is none that this model and release can use, one is built first.

    What the user supplied and feeds brought is carried over. All of it happens under the writer's lock, so that
    nothing is lost of what another process built or applied meanwhile.
    """
    with only_writer(directory):
        wanted = current(directory)
        if wanted is None or is_older_format(directory, wanted):
            return _write(directory, model, shipped(), (), Carried({}, ()), SHIPPED_VECTORS)
        with closing(SegmentPool(directory)) as pool:
            store = Store(directory, wanted, pool)
            if (outdated(store.manifest, model) or superseded(store.manifest)) is None:
                return wanted
            own, feeds = carried_over(store)
            return _write(directory, model, shipped() | own, store.manifest.own, feeds, SHIPPED_VECTORS)


def _write(
    directory: Path,
    model: Embedder,
    corpora: Mapping[Corpus, Contents],
    own: Sequence[Corpus],
    feeds: Carried,
    vectors: Path,
) -> str:
    documents = [d for contents in corpora.values() for d in contents.documents]
    sources = {corpus: contents.version for corpus, contents in corpora.items()}
    versions = Versions(sources, feeds.versions, own)
    written = write_all(directory, [*documents, *feeds.documents], model, versions, vectors=vectors)
    with closing(SegmentPool(directory)) as pool:
        Store(directory, written, pool)  # what can't be read never becomes current
    point_to(directory, written)
    return written


def write_vectors(model: Embedder, path: Path) -> int:
    """Write the vectors of every shipped document, for shipping with the package; answers how many.

    Run once for each released model, with path=SHIPPED_VECTORS. The file is used
    with that model version only.
    """
    return pack_vectors(model, path, [d for contents in shipped().values() for d in contents.documents])


def carried_over(store: Store) -> tuple[dict[Corpus, Contents], Carried]:
    """What a rebuild keeps of an open snapshot: the user's own corpora, and what feeds brought to the others."""
    own = store.manifest.own
    kept: dict[Corpus, list[Document]] = {corpus: [] for corpus in own}
    others: list[Document] = []
    for _, stored in store.seen_by(KEEPER).each():
        document = stored.document()
        if document.corpus in kept:
            kept[document.corpus].append(document)
        elif document.feed != SHIPPED:
            others.append(document)
    corpora = {corpus: Contents(store.manifest.sources[corpus], found) for corpus, found in kept.items()}
    return corpora, Carried(store.manifest.feeds, others)


def outdated(manifest: Manifest, model: Embedder) -> str | None:
    """Why a snapshot can't be searched with this model, None if it can."""
    if manifest.format != FORMAT:
        return f"has format {manifest.format}, not {FORMAT}"
    if manifest.model != model.version:
        return f"was built for model {manifest.model}, not {model.version}"
    return None


def superseded(manifest: Manifest) -> str | None:
    """Why a snapshot is no longer what the package ships, None if it is; the user's own corpora aside."""
    newest: dict[Corpus, str] = dict.fromkeys(("technique", "mitigation", "group", "software"), attack.version())
    newest |= {"kev": _SHIPPED_KEV_VERSION, "action": _actions_version(action_documents())}
    for corpus, version in newest.items():
        if corpus not in manifest.own and manifest.sources.get(corpus) != version:
            return f"holds {corpus} {manifest.sources.get(corpus)}, not {version}"
    return None


def _actions_version(actions: Sequence[Document]) -> str:
    said = "\n".join(d.model_dump_json() for d in actions)
    return f"catalogue {hashlib.sha256(said.encode()).hexdigest()[:12]}"
