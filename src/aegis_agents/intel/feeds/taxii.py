"""A TAXII 2.1 collection through taxii2-client, over our own connections: their limits hold for every page.

Pages are kept as they come. If a sync is stopped, the next one goes on after the last whole page: not by the
server's `next`, which servers forget, and some count on when a page is asked for twice (so that retrying would skip
one), but by the time at which that page's last object was added.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aegis_agents.errors import IntelError, LimitExceeded
from aegis_agents.intel.documents import plain
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.http import Getter
from aegis_agents.intel.feeds.parsed import Blob
from aegis_agents.intel.feeds.state import settings_of

if TYPE_CHECKING:
    import requests

PAGE = 1000
"""Objects asked for at a time; servers may give fewer."""

MAX_PAGES = 10_000
_LAST = "x-taxii-date-added-last"
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
_TICK = dt.timedelta(microseconds=1)
_SETTLED = dt.timedelta(minutes=1)


class Pages(NamedTuple):
    """Envelopes that hold objects, oldest first; where to go on the next time; whether they are everything."""

    blobs: list[Blob]
    cursor: str
    whole: bool


def fetch_collection(feed: Feed, cursor: str, getter: Getter, downloads: Path, *, now: dt.datetime) -> Pages:
    """The objects that were added to a collection after `cursor` ("" for all).

    The same object can come twice, with the same id and time of change. What the server deletes it does
    not tell: only a sync without cursor finds that out. Raises IntelError (also for a server that breaks the
    protocol), LimitExceeded above `max_bytes` in all, or the deadline; pages that are whole are kept then.
    """
    try:
        import requests
        from taxii2client.common import _HTTPConnection
        from taxii2client.exceptions import TAXIIServiceException
        from taxii2client.v21 import Collection
    except ImportError as error:
        raise IntelError(f"feed {feed.name}: kind: install aegis-soc-agents[feeds] to read TAXII") from error
    adapter = _Adapter(feed, getter)
    connection = _HTTPConnection(version="2.1")
    session = requests.Session()
    session.trust_env = False
    session.adapters.clear()
    session.mount("https://", adapter)  # type: ignore[arg-type]  # an adapter by its methods
    session.mount("http://", adapter)  # type: ignore[arg-type]
    connection.session = session
    kept = _Kept(feed, cursor, downloads)
    try:
        _read_pages(feed, Collection(feed.url, conn=connection), adapter, kept)
    except (TAXIIServiceException, requests.RequestException) as error:
        raise IntelError(f"feed {feed.name}: url: no TAXII 2.1 collection: {plain(str(error))[:200]}") from error
    except (TypeError, AttributeError) as error:  # what the client does with values of the wrong type
        raise IntelError(
            f"feed {feed.name}: url: the server's answer is no TAXII 2.1 ({type(error).__name__})"
        ) from error
    finally:
        session.close()
    blobs = [blob for blob in kept.blobs() if _objects(feed, blob.content)]
    last = _moment(kept.last)
    if last is not None and last > now - _SETTLED:
        kept.last = _stamp(min(last, now) - _TICK)  # objects of this very moment may still be coming in
    pages = Pages(blobs, kept.last or cursor, whole=not cursor)
    kept.drop()
    return pages


def _read_pages(feed: Feed, collection: Any, adapter: _Adapter, kept: _Kept) -> None:
    """Ask for page after page and keep each."""
    after, token = kept.after(), ""
    while True:
        asked: dict[str, object] = {"limit": PAGE if not kept.size else kept.size}
        asked |= {"added_after": after} if after else {}
        asked |= {"next": token} if token else {}
        adapter.left = feed.max_bytes - kept.bytes
        envelope = collection.get_objects(**asked)
        kept.size = kept.size or len(_objects(feed, adapter.content)) or PAGE
        stamp = adapter.headers.get(_LAST, "")
        before = kept.last
        kept.add(adapter.content, stamp if _moment(stamp) is not None else "")
        if envelope.get("more") is not True:
            return
        token = str(envelope.get("next") or "")
        if not token:
            if kept.last == before:
                message = "the server says that there is more, but not where"
                raise IntelError(f"feed {feed.name}: url: {message} (ask its operator)")
            after = kept.after()
        if kept.count >= MAX_PAGES:
            raise LimitExceeded(f"more than {MAX_PAGES} pages", field=f"feed {feed.name}", fix="ask its operator")


class _Adapter:
    """What requests sends through: our Getter. Remembers the last answer, whose header the client does not show."""

    def __init__(self, feed: Feed, getter: Getter) -> None:
        self._feed, self._getter = feed, getter
        self.left = feed.max_bytes
        self.content: bytes = b""
        self.headers: Mapping[str, str] = {}

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        """The answer to a GET, which is JSON with an object at its top."""
        import requests

        url = request.url or ""
        headers = {"Accept": str(request.headers["Accept"])}
        answer = self._getter.get(url, headers, max_bytes=max(self.left, 1), idempotent="next=" not in url)
        self.content, self.headers = answer.content, answer.headers
        _parse(self._feed, self.content)
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, url, request
        response.headers = requests.structures.CaseInsensitiveDict({"Content-Type": "", **answer.headers})
        response._content, response.encoding = answer.content, "utf-8"
        return response

    def close(self) -> None:
        """The Getter is closed by who made it."""


class _Kept:
    """The pages that have arrived, in a folder, with how far they reach."""

    def __init__(self, feed: Feed, cursor: str, downloads: Path) -> None:
        self._folder = downloads / f"{feed.name}-pages"
        self._about = self._folder / "reach.json"
        self._for = [settings_of(feed), cursor]
        self._cursor = cursor
        self.count = self.size = self.bytes = 0
        self.last = ""
        try:
            about = json.loads(self._about.read_bytes())
            if about["for"] == self._for:
                self.count, self.last = int(about["pages"]), str(about["last"])
                self.bytes = sum(len(blob.content) for blob in self.blobs())
                return
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing usable: from the beginning
        self.count, self.last = 0, ""
        self.drop()
        self._folder.mkdir(mode=0o700)

    def after(self) -> str:
        """From when on to ask: a little before the last page's end, as others may have been added at that moment."""
        last = _moment(self.last)
        return _stamp(last - _TICK) if last is not None else self._cursor

    def add(self, content: bytes, last: str) -> None:
        """Keep a whole page. Without a time it is only as good as the pages around it: a new sync begins before."""
        self.count += 1
        self.bytes += len(content)
        (self._folder / f"page-{self.count:05}.json").write_bytes(content)
        if last:
            self.last = last
            new = self._about.with_suffix(".new")
            new.write_text(json.dumps({"for": self._for, "pages": self.count, "last": last}), "utf-8")
            new.replace(self._about)

    def blobs(self) -> list[Blob]:
        """All pages, in order."""
        names = [f"page-{number:05}.json" for number in range(1, self.count + 1)]
        return [Blob(name, (self._folder / name).read_bytes()) for name in names]

    def drop(self) -> None:
        """Forget them."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _parse(feed: Feed, content: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise IntelError(
            f"feed {feed.name}: url: the answer is no JSON, or nested too deeply (check the url)"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("objects", []), list):
        raise IntelError(f"feed {feed.name}: url: the answer is no TAXII 2.1 resource (check the url)")
    return found


def _objects(feed: Feed, content: bytes) -> list[Any]:
    objects: list[Any] = _parse(feed, content).get("objects", [])
    return objects


def _moment(text: str) -> dt.datetime | None:
    """A TAXII timestamp, None if it is none."""
    found = _STAMP.fullmatch(text)
    if found is None:
        return None
    try:
        whole = dt.datetime.fromisoformat(found[1]).replace(tzinfo=dt.UTC)
        return whole + dt.timedelta(microseconds=int((found[2] or "0").ljust(6, "0")[:6]))
    except (ValueError, OverflowError):
        return None


def _stamp(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
