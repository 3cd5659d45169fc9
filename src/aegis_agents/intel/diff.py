"""What differs between two snapshots, as far as a reader may see both."""

from __future__ import annotations

from typing import Literal

from aegis_agents.intel.documents import Corpus
from aegis_agents.intel.readers import Reader
from aegis_agents.intel.store import Store, View
from aegis_agents.intel.tables import Entry
from aegis_agents.records.base import Record


class Difference(Record):
    """A document that came, went or says something else; `before` and `after` are the hashes of what it says."""

    kind: Literal["added", "removed", "changed"]
    corpus: Corpus
    id: str
    title: str
    feed: str
    before: str | None
    after: str | None


def differences(a: Store, b: Store, reader: Reader) -> list[Difference]:
    """What was added, removed or changed from `a` to `b`, by corpus and id.

    Segments that both name, with the same dead rows, are not read.
    """
    parts_a, parts_b = {p.segment: p for p in a.manifest.parts}, {p.segment: p for p in b.manifest.parts}
    same = {segment for segment, part in parts_a.items() if parts_b.get(segment) == part}
    before = _entries(a.seen_by(reader), [s for s in parts_a if s not in same])
    after = _entries(b.seen_by(reader), [s for s in parts_b if s not in same])
    found: list[Difference] = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and old.sha256 == new.sha256:
            continue  # only moved to another segment
        shown = after[key] if key in after else before[key]
        kind: Literal["added", "removed", "changed"] = (
            "added" if old is None else "removed" if new is None else "changed"
        )
        found.append(
            Difference(
                kind=kind, corpus=shown.corpus, id=shown.id, title=shown.title, feed=shown.feed,
                before=None if old is None else old.sha256, after=None if new is None else new.sha256,
            )
        )  # fmt: skip
    return found


def _entries(view: View, segments: list[str]) -> dict[tuple[Corpus, str], Entry]:
    return {(e.corpus, e.id): e for e in view.entries(segments=segments)}
