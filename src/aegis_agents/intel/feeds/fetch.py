"""A feed's files, fetched within limits: from a URL, a TAXII collection, a MISP feed, or this computer.

Read in this order: addresses, transport, answers, parts, http; then this module, which puts them together; taxii,
misp_feed and folder are the other ways in. Nothing of what is fetched decides what is fetched next, except
TAXII's pages and MISP's event files, which lie where the user said.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.feeds.addresses import Resolve, resolve
from aegis_agents.intel.feeds.answers import Answer, Refused
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.folder import read_path, signature_beside
from aegis_agents.intel.feeds.http import Getter, Limits
from aegis_agents.intel.feeds.misp_feed import MANIFEST, fetch_events
from aegis_agents.intel.feeds.parsed import Blob, Skipped
from aegis_agents.intel.feeds.parts import Part
from aegis_agents.intel.feeds.signature import MAX_SIGNATURE, verify_signature
from aegis_agents.intel.feeds.state import FeedState, settings_of
from aegis_agents.intel.feeds.taxii import fetch_collection
from aegis_agents.intel.feeds.unpack import unpack

_MAX_VALIDATOR = 1024


class Fetched(NamedTuple):
    """What a feed's source said.

    `blobs` are unpacked, and empty if it is "unchanged". `etag`, `last_modified`, `sha256` and `cursor` are for the
    feed's state, once the content is in a snapshot; `signer` says who signed ("" if nobody was asked to).
    `whole`: the blobs are all that the source says; otherwise only what it added since the state's cursor.
    """

    status: Literal["new", "unchanged"]
    blobs: list[Blob]
    etag: str = ""
    last_modified: str = ""
    sha256: str = ""
    signer: str = ""
    cursor: str = ""
    whole: bool = True
    skipped: tuple[Skipped, ...] = ()


def fetch(
    feed: Feed, state: FeedState, *, now: dt.datetime, downloads: Path, limits: Limits | None = None,
    resolve: Resolve = resolve, sleep: Callable[[float], None] = time.sleep,
) -> Fetched:  # fmt: skip
    """Fetch a feed, if it says anything new since `state`.

    `downloads` is a folder for what is under way; two processes never fetch one feed at the same time. `state` of
    other settings (`settings_of`) counts as none. Raises InputError (settings or files that can't be used),
    LimitExceeded (too big, too many, too slow), IntelTampered (signature), IntelError (the source can't be
    reached, is not allowed or says no). The message names feed and setting and holds no credentials.
    """
    if state.settings != settings_of(feed):
        state = FeedState(name=feed.name)
    if feed.path is not None:
        return _from_path(feed, state)
    try:
        downloads.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(feed, downloads), Getter(feed, limits or Limits(), resolve=resolve, sleep=sleep) as getter:
            if feed.kind == "taxii":
                _unsigned(feed, "a TAXII collection")
                pages, cursor, whole = fetch_collection(feed, state.cursor, getter, downloads, now=now)
                new = _compare(state, pages, sha256=_hash(pages), cursor=cursor, whole=whole)
                return new if pages else new._replace(status="unchanged", sha256=state.sha256)
            return _from_url(feed, state, getter, downloads)
    except OSError as error:
        raise IntelError(
            f"feed {feed.name}: {downloads}: the download can't be kept: {error.strerror or error}"
        ) from error


def forget_downloads(downloads: Path, name: str) -> None:
    """Remove what fetching a feed left in `downloads`; its lock stays, since another process may hold it."""
    for left in (f"{name}-pages", f"{name}-events"):
        shutil.rmtree(downloads / left, ignore_errors=True)
    Part(downloads, name, "").discard()


def _from_url(feed: Feed, state: FeedState, getter: Getter, downloads: Path) -> Fetched:
    url = feed.url or ""
    conditions = {"If-None-Match": state.etag, "If-Modified-Since": state.last_modified}
    headers = {key: value for key, value in conditions.items() if value}
    answer = getter.get(url, headers, part=Part(downloads, feed.name, settings_of(feed)))
    if answer.status == 304:
        return Fetched("unchanged", [], etag=state.etag, last_modified=state.last_modified, sha256=state.sha256,
                       signer=state.signer, cursor=state.cursor)  # fmt: skip
    name, content = _name(feed), answer.content
    etag, last_modified = _validator(answer, "etag"), _validator(answer, "last-modified")
    if feed.kind == "misp" and name == MANIFEST:
        _unsigned(feed, "a MISP feed of many files")
        blobs, skipped = fetch_events(feed, content, getter, downloads)
        return _compare(state, blobs, sha256=_hash(blobs), etag=etag, last_modified=last_modified,
                        skipped=tuple(skipped))  # fmt: skip
    one = [Blob(name, content)]
    signer = ""
    if feed.public_key is not None:
        signer = verify_signature(feed.name, content, _signature(getter, url), feed.public_key)
    return _compare(state, one, sha256=_hash(one), etag=etag, last_modified=last_modified, signer=signer,
                    unpacked=lambda: _unpacked(feed, one))  # fmt: skip


def _from_path(feed: Feed, state: FeedState) -> Fetched:
    files, skipped = read_path(feed)
    signer = ""
    if feed.public_key is not None and feed.path is not None:
        if feed.path.is_dir():
            _unsigned(feed, "a folder")
        signer = verify_signature(feed.name, files[0].content, signature_beside(feed), feed.public_key)
    return _compare(state, files, sha256=_hash(files), signer=signer, skipped=tuple(skipped),
                    unpacked=lambda: _unpacked(feed, files))  # fmt: skip


def _compare(
    state: FeedState, blobs: list[Blob], *, sha256: str, etag: str = "", last_modified: str = "", signer: str = "",
    cursor: str = "", whole: bool = True, skipped: tuple[Skipped, ...] = (),
    unpacked: Callable[[], list[Blob]] | None = None,
) -> Fetched:  # fmt: skip
    """New or unchanged, by the hash of the content."""
    same = bool(state.sha256) and sha256 == state.sha256
    inside = [] if same else unpacked() if unpacked is not None else blobs
    return Fetched("unchanged" if same else "new", inside, etag, last_modified, sha256, signer, cursor, whole, skipped)


def _unpacked(feed: Feed, files: Iterable[Blob]) -> list[Blob]:
    """What is in the files; those in an archive are named below it if there are several."""
    files, blobs, left = list(files), [], feed.max_bytes
    for file in files:
        inside = unpack(file.name, file.content, max_bytes=left)
        left -= sum(len(blob.content) for blob in inside)
        several = len(files) > 1 and len(inside) > 1
        blobs += [Blob(f"{file.name}/{blob.name}", blob.content) for blob in inside] if several else inside
    return blobs


def _signature(getter: Getter, url: str) -> bytes | None:
    parts = urlsplit(url)
    beside = urlunsplit(parts._replace(path=parts.path + ".sig"))
    try:
        return getter.get(beside, max_bytes=MAX_SIGNATURE).content
    except Refused as error:
        if error.status in (404, 410):
            return None
        raise


def _unsigned(feed: Feed, what: str) -> None:
    if feed.public_key is not None:
        fix = "leave public_key out, or offer the feed as one signed file"
        raise InputError(f"{what} has no signature", field=f"feed {feed.name}: public_key", fix=fix)


def _hash(blobs: Iterable[Blob]) -> str:
    """SHA-256 over names and contents, each with its length in front."""
    digest = hashlib.sha256()
    for blob in blobs:
        for part in (blob.name.encode("utf-8", "surrogateescape"), blob.content):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def _name(feed: Feed) -> str:
    last = unquote(urlsplit(feed.url or "").path).rpartition("/")[2]
    return last if last.isprintable() and 0 < len(last) <= 200 and "\\" not in last else feed.name


def _validator(answer: Answer, header: str) -> str:
    """A validator as it was sent, unless it is too long or not fit to be sent back."""
    value = answer.headers.get(header, "")
    return value if len(value) <= _MAX_VALIDATOR and value.isascii() and value.isprintable() else ""


@contextmanager
def _alone(feed: Feed, downloads: Path) -> Iterator[None]:
    """Holds a lock that goes when the process does, on every system: SQLite's."""
    try:
        db = sqlite3.connect(downloads / f"{feed.name}.lock", timeout=0, isolation_level=None)
    except sqlite3.Error as error:
        raise IntelError(f"feed {feed.name}: {downloads}: no lock can be made there: {error}") from error
    with closing(db):
        try:
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            why = "it is being fetched by another process (wait for it)" if busy else f"no lock: {error}"
            raise IntelError(f"feed {feed.name}: {downloads}: {why}") from error
        yield
