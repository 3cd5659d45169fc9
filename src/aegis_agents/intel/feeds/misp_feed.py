"""A MISP feed over HTTP: a manifest that names events, and a file for each event beside it.

Event files are kept, under their id and the timestamp that the manifest gives them, so that only new and changed
ones are fetched, and a fetch that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.feeds.answers import Refused
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.http import Getter
from aegis_agents.intel.feeds.parsed import Blob, Skipped
from aegis_agents.intel.feeds.unpack import MAX_FILES, decode_text

MANIFEST = "manifest.json"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STAMP = re.compile(r"[0-9]{1,12}")


def fetch_events(feed: Feed, manifest: bytes, getter: Getter, downloads: Path) -> tuple[list[Blob], list[Skipped]]:
    """The manifest and the files of all its events, ordered by id; entries that are no events are listed.

    Nothing but `<uuid>.json` beside the manifest is asked for. Raises InputError if the manifest is none, LimitExceeded
    above 20,000 events or `max_bytes` in all.
    """
    events, skipped = _events(feed, manifest)
    folder = downloads / f"{feed.name}-events"
    folder.mkdir(exist_ok=True, mode=0o700)
    blobs, left = [Blob(MANIFEST, manifest)], feed.max_bytes - len(manifest)
    base = (feed.url or "").partition("?")[0].removesuffix(MANIFEST)
    query = (feed.url or "").partition("?")[1:]
    kept = set()
    for uuid, stamp in sorted(events.items()):
        path = folder / f"{uuid}-{stamp}.json"
        kept.add(path.name)
        if path.is_file():
            content = path.read_bytes()
        else:
            try:
                content = getter.get(f"{base}{uuid}.json{''.join(query)}", max_bytes=max(left, 1)).content
            except Refused as error:
                if error.status not in (404, 410):
                    raise
                skipped.append(Skipped(f"{uuid}.json", "the manifest names it, but it is not there"))
                continue
            new = path.with_suffix(".new")
            new.write_bytes(content)
            new.replace(path)
        left -= len(content)
        if left < 0:
            fix = "raise max_bytes of the feed"
            raise LimitExceeded(f"more than {feed.max_bytes:,} bytes", field=f"feed {feed.name}", fix=fix)
        blobs.append(Blob(f"{uuid}.json", content))
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    return blobs, skipped


def _events(feed: Feed, manifest: bytes) -> tuple[dict[str, str], list[Skipped]]:
    """Timestamp by event id. What does not look like an event can't become a path or a URL."""
    field = f"feed {feed.name}: {MANIFEST}"
    try:
        entries: Any = json.loads(decode_text(Blob(MANIFEST, manifest)))
    except (ValueError, RecursionError) as error:
        raise InputError("no JSON, or nested too deeply", field=field, fix="check the url") from error
    if not isinstance(entries, dict):
        raise InputError("no MISP manifest: it must be an object, by event id", field=field, fix="check the url")
    if len(entries) > MAX_FILES:
        raise LimitExceeded(f"more than {MAX_FILES} events", field=field, fix="split the feed")
    events: dict[str, str] = {}
    skipped: list[Skipped] = []
    for uuid, about in entries.items():
        stamp = str(about.get("timestamp", "")) if isinstance(about, dict) else ""
        if _UUID.fullmatch(uuid) and _STAMP.fullmatch(stamp):
            events[uuid.lower()] = stamp
        else:
            skipped.append(Skipped(f"{MANIFEST}: {uuid[:80]}", "no event id with a timestamp"))
    return events, skipped
