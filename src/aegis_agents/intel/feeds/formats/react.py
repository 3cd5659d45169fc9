"""RE&CT response actions as playbook steps, from its YAML files or JSON Lines."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aegis_agents.intel.documents import Document
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import Collected, SkipLog, attempt, moment, provenance, result, text_of
from aegis_agents.intel.feeds.formats.sigma import entries
from aegis_agents.intel.feeds.parsed import Blob, Parsed

REACT_LICENCE = "Apache-2.0"

_ID = re.compile(r"RA\d{4}", re.ASCII)
_NAMED = re.compile(r"RA_?\d{4}_", re.ASCII)
_TEMPLATE = re.compile(r"^description of the workflow for\b.{0,80}\bresponse action\b", re.I)
_STAGES = ("preparation", "identification", "containment", "eradication", "recovery", "lessons_learned")


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """One document for each action: under its id ("RA2001") from a feed of high trust, else with the feed's name in front."""
    skips = SkipLog()
    collected = Collected(skips)
    came = provenance(feed, fetched_at, REACT_LICENCE)
    newest = None
    for where, item in entries(blobs, skips):
        key = text_of(item.get("id"), 20) if isinstance(item, dict) else ""
        if not isinstance(item, dict) or not _ID.fullmatch(key):
            # RE&CT's repository also holds stages (RS0001) and playbooks (RP0001).
            skips.add(where, "is no response action: it has no id such as RA2001")
            continue
        document = attempt(lambda key=key, item=item: _document(key, item, feed, came), where, skips)  # type: ignore[misc]
        if document is None:
            continue
        made = moment(text_of(item.get("creation_date"), 20).replace("/", "-"))
        newest = max((t for t in (newest, made) if t is not None and t <= fetched_at), default=None)
        collected.put(document, where)
    return result(feed, f"of {(newest or fetched_at).date().isoformat()}", collected, skips)


def _document(key: str, item: Mapping[str, Any], feed: Feed, came: Mapping[str, Any]) -> Document:
    raw = text_of(item.get("title"), 200)
    title = _NAMED.sub("", raw).replace("_", " ").strip()
    title = title[:1].upper() + title[1:] or key
    stage = text_of(item.get("stage"), 40).lower()
    workflow = text_of(item.get("workflow"))
    # Three in four of the actions still hold the template's sentence where their steps should be.
    workflow = "" if _TEMPLATE.match(workflow) else workflow
    parts = [
        f"{title}.",
        text_of(item.get("description")),
        f"Stage: {stage.replace('_', ' ')}." if stage in _STAGES else "",
    ]
    vouched = feed.trust == "high"
    named = (raw,) if _NAMED.match(raw) and raw.isprintable() else ()
    return Document(
        corpus="playbook", id=key if vouched else f"{feed.name}/{key}", title=title,
        text=" ".join(p for p in [*parts, workflow] if p), aliases=named if vouched else (key, *named), **came,
    )  # fmt: skip
