"""From sources to a snapshot: what is shipped, what the user supplied, and when a snapshot is out of date."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aegis_agents.errors import IntelError
from aegis_agents.intel import attack
from aegis_agents.intel.actions import action_documents
from aegis_agents.intel.documents import CORPORA, Corpus, Document, Embedder
from aegis_agents.intel.embedding import SHIPPED_VECTORS, embed_documents, pack_vectors
from aegis_agents.intel.kev import SHIPPED_KEV, SHIPPED_VERSION, kev_documents
from aegis_agents.intel.snapshot import FORMAT, Manifest, order, write_snapshot
from aegis_agents.intel.store import Store

CACHE = "embeddings.sqlite"
"""Vectors of earlier builds, in the directory of the snapshots."""

_SHIPPED_KEV_VERSION = f"shipped {SHIPPED_VERSION}"


class Contents(NamedTuple):
    """What a corpus holds, and the version of what it was read from."""

    version: str
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
) -> Store:
    """Embed the documents, write the snapshot, make it the current one and open it."""
    documents = order([d for contents in corpora.values() for d in contents.documents])
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise IntelError(f"{directory}: can't be made: {error}") from error
    matrix = embed_documents(documents, model, cache=directory / CACHE, shipped=vectors)
    sources = {corpus: contents.version for corpus, contents in corpora.items()}
    snapshot = write_snapshot(directory, documents, matrix, model=model.version, sources=sources, own=own)
    return Store(directory, snapshot)


def write_vectors(model: Embedder, path: Path) -> int:
    """Write the vectors of every shipped document, for shipping with the package; answers how many.

    Run once for each released model, with path=SHIPPED_VECTORS. The file is used
    with that model version only.
    """
    return pack_vectors(model, path, [d for contents in shipped().values() for d in contents.documents])


def contents_of(store: Store, corpora: Sequence[str] = CORPORA) -> dict[Corpus, Contents]:
    """What an open snapshot holds of these corpora."""
    return {c: Contents(store.manifest.sources[c], store.tables.corpus(c)) for c in CORPORA if c in corpora}


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
