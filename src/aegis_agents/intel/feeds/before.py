"""What of a feed's earlier words stays in use, and under which settings: never looser than the feed has now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aegis_agents.errors import InputError
from aegis_agents.intel.changes import STANDARD, Change
from aegis_agents.intel.documents import TLP_ORDER, Document
from aegis_agents.intel.facade import Intel
from aegis_agents.intel.feeds.config import TRUST, Feed
from aegis_agents.intel.readers import KEEPER
from aegis_agents.intel.trust.policy import Quarantined, Screened


def restricted(document: Document, feed: Feed) -> Document | None:
    """A stored document under its feed's settings of now where they are stricter; None if another tenant has it now.

    What the settings allow beyond is for what is fetched under them: the place may have changed with the trust.
    """
    if document.tenant and feed.tenant not in ("", document.tenant):
        return None
    return document.model_copy(update={
        "owner": feed.publisher, "tenant": document.tenant or feed.tenant,
        "trust": min(document.trust, TRUST[feed.trust]), "tlp": max(document.tlp, feed.tlp, key=TLP_ORDER.index),
    })  # fmt: skip


def check_stamp(document: Document, feed: Feed) -> None:
    """Raises InputError for a document that its feed's settings of now would stamp more strictly."""
    if restricted(document, feed) != document:
        fix = f"sync {feed.name} and decide on what is held back then"
        raise InputError(f"{document.id} was read under other settings of its feed", field="id", fix=fix)


def tightened(intel: Intel, feed: Feed, version: str) -> Change | None:
    """What brings everything that a feed said before under its settings of now; None if all of it is.

    What stands in for the shipped corpora stays: ids must not lose their meaning.
    """
    stored = [d for d in intel.seen_by(KEEPER).documents(feed=feed.name) if d.corpus not in STANDARD]
    anew = [(d, restricted(d, feed)) for d in stored]
    changed = [now for old, now in anew if now is not None and now != old]
    gone = tuple(old.id for old, now in anew if now is None)
    return Change(feed.name, version, changed, False, gone) if changed or gone else None


def keeping(
    intel: Intel, feed: Feed, change: Change, held: Sequence[Quarantined], sift: Callable[[Sequence[Document]], Screened]
) -> Change:  # fmt: skip
    """The same change, with what stays where only a document's new wording is held back.

    That is what was stored before, if it passes the screen (`sift`) as the feed is trusted now; or, for what
    replaces the shipped corpora, the name alone: an id that verdicts may cite must not vanish over a sentence in
    its description.
    """
    wanted = {(q.document.corpus, q.document.id): q.document for q in held}
    stored = [
        d for d in intel.documents(feed=change.feed, corpora=change.instead or None) if (d.corpus, d.id) in wanted
    ]
    before = sift([now for d in stored if (now := restricted(d, feed)) is not None]).accepted
    bare = {
        key: d.model_copy(update={"text": d.title, "embedding_text": d.title, "aliases": ()})
        for key, d in wanted.items()
        if d.corpus in change.instead
    }
    kept = bare | {(d.corpus, d.id): d for d in before}
    return change._replace(documents=[*change.documents, *kept.values()])


def reworded(intel: Intel, feed: Feed, documents: Sequence[Document]) -> list[str]:
    """Ids of what a feed said before of the same STIX objects, which name another value now."""
    objects = {a for d in documents if d.corpus == "indicator" for a in d.aliases if "--" in a}
    now = {d.id for d in documents}
    before = intel.lookup(sorted(objects), ("indicator",)) if objects else []
    return [p.id for p in before if p.feed == feed.name and p.id not in now]
