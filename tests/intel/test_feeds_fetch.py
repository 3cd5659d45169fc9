"""Fetching from an honest server that is sometimes busy, broken or changed in between."""

from __future__ import annotations

import datetime as dt
import functools
import gzip
import io
import logging
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hostile_server import Handler, HostileServer

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.feeds.answers import Refused, Transient, retry_after
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.fetch import Fetched, fetch
from aegis_agents.intel.feeds.http import Limits
from aegis_agents.intel.feeds.parsed import Blob
from aegis_agents.intel.feeds.parts import Part
from aegis_agents.intel.feeds.state import FeedState, settings_of

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
BODY = b"".join(b"203.0.113.%d\n" % (n % 250) for n in range(30_000))


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as server:
        yield server


class Fetcher:
    """Fetches a path of the server, and remembers the pauses instead of making them."""

    def __init__(self, server: HostileServer, downloads: Path) -> None:
        self.server, self.downloads, self.pauses = server, downloads, list[float]()

    def feed(self, path: str = "/list.txt", **more: Any) -> Feed:
        given = {"name": "blocklist", "kind": "indicators", "url": self.server.url(path), "internal": True, **more}
        return Feed.model_validate(given)

    def __call__(self, feed: Feed | None = None, state: FeedState | None = None, **limits: float) -> Fetched:
        return fetch(
            feed or self.feed(), state or FeedState(name="blocklist"), now=NOW, downloads=self.downloads,
            limits=Limits(**limits), sleep=self.pauses.append,
        )  # fmt: skip

    def state(self, fetched: Fetched, feed: Feed | None = None) -> FeedState:
        return FeedState(
            name="blocklist", settings=settings_of(feed or self.feed()), etag=fetched.etag,
            last_modified=fetched.last_modified, sha256=fetched.sha256,
        )  # fmt: skip


@pytest.fixture
def fetcher(server: HostileServer, tmp_path: Path) -> Fetcher:
    return Fetcher(server, tmp_path / "downloads")


def test_a_file_is_fetched_with_its_validators(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(BODY, ETag='"one"', Last_Modified="Wed, 25 Nov 2026 00:00:00 GMT")
    got = fetcher()
    assert (got.status, got.blobs, got.etag, got.whole) == ("new", [Blob("list.txt", BODY)], '"one"', True)
    assert got.last_modified == "Wed, 25 Nov 2026 00:00:00 GMT"
    assert len(got.sha256) == 64
    assert server.asked[0].headers["host"] == f"127.0.0.1:{server.port}"


def test_a_server_that_says_nothing_changed_is_believed(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(BODY, ETag='"one"', Last_Modified="Wed, 25 Nov 2026 00:00:00 GMT")
    state = fetcher.state(fetcher())

    def unchanged(h: Handler) -> None:
        h.send_response(304)
        h.end_headers()

    server.pages["/list.txt"] = unchanged
    got = fetcher(state=state)
    assert (got.status, got.blobs, got.etag, got.sha256) == ("unchanged", [], '"one"', state.sha256)
    assert server.asked[1].headers["if-none-match"] == '"one"'
    assert server.asked[1].headers["if-modified-since"] == "Wed, 25 Nov 2026 00:00:00 GMT"
    with pytest.raises(IntelError, match="was not asked"):
        fetcher(state=None)


def test_the_same_content_again_is_unchanged_and_new_content_is_new(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(BODY)
    state = fetcher.state(fetcher())
    assert fetcher(state=state).status == "unchanged"
    server.pages["/list.txt"] = lambda h: h.answer(BODY + b"198.51.100.1\n")
    assert fetcher(state=state).status == "new"


def test_a_feed_that_was_configured_otherwise_is_fetched_anew(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(BODY, ETag='"one"')
    state = fetcher.state(fetcher())
    assert fetcher(fetcher.feed(tlp="red"), state).status == "new"
    assert "if-none-match" not in server.asked[-1].headers
    assert fetcher(fetcher.feed(every_seconds=60), state).status == "unchanged"


def test_compressed_answers_and_archives_are_unpacked(server: HostileServer, fetcher: Fetcher) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/one.txt", b"1")
        archive.writestr("two.txt", b"2")
    server.pages["/list.txt"] = lambda h: h.answer(gzip.compress(BODY), Content_Encoding="gzip")
    server.pages["/list.txt.gz"] = lambda h: h.answer(gzip.compress(BODY))
    server.pages["/all.zip"] = lambda h: h.answer(out.getvalue())
    assert fetcher().blobs == [Blob("list.txt", BODY)]
    assert fetcher(fetcher.feed("/list.txt.gz?day=1")).blobs == [Blob("list.txt", BODY)]
    assert fetcher(fetcher.feed("/all.zip")).blobs == [Blob("a/one.txt", b"1"), Blob("two.txt", b"2")]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_with_growing_pauses(server: HostileServer, fetcher: Fetcher, status: int) -> None:
    answers = iter([status, status, 200])
    server.pages["/list.txt"] = lambda h: h.answer(BODY, status=next(answers))
    assert fetcher().blobs == [Blob("list.txt", BODY)]
    first, second = fetcher.pauses
    assert 1 <= first <= 2 <= second <= 3


def test_it_gives_up_after_four_attempts(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(b"", status=503)
    with pytest.raises(Transient, match=r"feed blocklist: url: http://127.0.0.1:\d+ answered 503 \(tried 4 times\)"):
        fetcher()
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418])
def test_a_no_is_not_asked_again(server: HostileServer, fetcher: Fetcher, status: int) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(b"", status=status)
    with pytest.raises(Refused, match=f"answered {status}"):
        fetcher()
    assert len(server.asked) == 1


def test_retry_after_is_honoured(server: HostileServer, fetcher: Fetcher) -> None:
    answers = iter([429, 200])
    server.pages["/list.txt"] = lambda h: h.answer(BODY, status=next(answers), Retry_After="17")
    fetcher()
    assert fetcher.pauses == [17.0]


def test_a_server_that_wants_a_long_rest_gets_it(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(b"", status=503, Retry_After="86400")
    with pytest.raises(IntelError, match="left alone for 86400 seconds"):
        fetcher()
    assert len(server.asked) == 1
    server.pages["/list.txt"] = lambda h: h.answer(b"", status=503, Retry_After="20")
    with pytest.raises(IntelError, match="no time left"):
        fetcher(deadline=10.0)
    assert fetcher.pauses == []


def test_retry_after_is_read_in_both_forms() -> None:
    assert retry_after("120", NOW) == 120
    assert retry_after("Thu, 26 Nov 2026 00:00:30 GMT", NOW) == 30
    assert retry_after("Wed, 25 Nov 2026 00:00:00 GMT", NOW) == 0
    for rubbish in ("", "soon", "-5", "1e9", "²", "9" * 400):
        assert retry_after(rubbish, NOW) is None


def _ranged(body: bytes, etag: str, cut_first: int) -> Any:
    """A page that breaks off its first answer and serves ranges of a version afterwards."""
    first = threading.Event()

    def page(h: Handler) -> None:
        if not first.is_set():
            first.set()
            h.answer(body[:cut_first], length=len(body), ETag=etag)
            h.hang_up()
        elif h.headers.get("If-Range") == etag:
            begin = int(h.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            h.answer(
                body[begin:], status=206, ETag=etag, Content_Range=f"bytes {begin}-{len(body) - 1}/{len(body)}"
            )  # fmt: skip
        else:
            h.answer(body, ETag=etag)

    return page


def test_an_interrupted_download_goes_on_where_it_was(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = _ranged(BODY, '"one"', 100_000)
    with pytest.raises(Transient):
        fetcher(attempts=1)
    assert (fetcher.downloads / "blocklist.part").stat().st_size == 100_000
    assert fetcher().blobs == [Blob("list.txt", BODY)]
    assert server.asked[-1].headers["range"] == "bytes=100000-"
    assert server.asked[-1].headers["if-range"] == '"one"'
    assert list(fetcher.downloads.glob("*.part*")) == []


def test_a_compressed_download_goes_on_too(server: HostileServer, fetcher: Fetcher) -> None:
    packed = gzip.compress(bytes(range(256)) * 500 + BODY)
    honest = _ranged(packed, '"gz"', len(packed) // 2)

    def page(h: Handler) -> None:
        answer = h.answer
        h.answer = lambda *a, **k: answer(*a, Content_Encoding="gzip", **k)  # type: ignore[method-assign]
        honest(h)

    server.pages["/list.txt"] = page
    assert fetcher().blobs == [Blob("list.txt", bytes(range(256)) * 500 + BODY)]
    assert len(server.asked) == 2


@pytest.mark.parametrize("range_is_honoured", [True, False])
def test_a_file_that_changed_in_between_is_fetched_from_the_beginning(
    server: HostileServer, fetcher: Fetcher, range_is_honoured: bool
) -> None:
    """The second version has another ETag: neither an honest 200 nor a wrong 206 leads to a spliced file."""
    new = BODY.replace(b"203", b"198")
    server.pages["/list.txt"] = _ranged(BODY, '"one"', 100_000)
    with pytest.raises(Transient):
        fetcher(attempts=1)

    def changed(h: Handler) -> None:
        if "Range" in h.headers and range_is_honoured:
            h.answer(new[100_000:], status=206, ETag='"two"',
                     Content_Range=f"bytes 100000-{len(new) - 1}/{len(new)}")  # fmt: skip
        else:
            h.answer(new, ETag='"two"')

    server.pages["/list.txt"] = changed
    got = fetcher()
    assert (got.blobs, got.etag) == ([Blob("list.txt", new)], '"two"')


@pytest.mark.parametrize(
    "content_range", ["bytes 99999-{last}/{size}", "bytes 100001-{last}/{size}", "bytes 100000-100009/{size}",
                      "bytes 100000-{last}/*", "items 100000-{last}/{size}", ""]
)  # fmt: skip
def test_a_part_that_does_not_fit_is_not_joined(server: HostileServer, fetcher: Fetcher, content_range: str) -> None:
    server.pages["/list.txt"] = _ranged(BODY, '"one"', 100_000)
    with pytest.raises(Transient):
        fetcher(attempts=1)
    shown = content_range.format(last=len(BODY) - 1, size=len(BODY))

    def page(h: Handler) -> None:
        if "Range" in h.headers:
            h.answer(BODY[100_000:], status=206, ETag='"one"', Content_Range=shown)
        else:
            h.answer(BODY, ETag='"one"')

    server.pages["/list.txt"] = page
    assert fetcher().blobs == [Blob("list.txt", BODY)]
    assert "range" not in server.asked[-1].headers
    assert fetcher.pauses == [0.0]


def test_what_arrived_is_checked_before_it_is_gone_on_with(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = _ranged(BODY, '"one"', 100_000)
    with pytest.raises(Transient):
        fetcher(attempts=1)
    part = fetcher.downloads / "blocklist.part"
    part.write_bytes(b"X" + part.read_bytes()[1:])
    assert fetcher().blobs == [Blob("list.txt", BODY)]
    assert "range" not in server.asked[-1].headers


@pytest.mark.parametrize("etag", ['W/"weak"', "", '"'])
def test_nothing_is_kept_of_a_file_without_a_strong_validator(
    server: HostileServer, fetcher: Fetcher, etag: str
) -> None:
    server.pages["/list.txt"] = _ranged(BODY, etag, 100_000)
    with pytest.raises(Transient):
        fetcher(attempts=1)
    assert list(fetcher.downloads.glob("*.part*")) == []
    assert fetcher().blobs == [Blob("list.txt", BODY)]


def test_a_download_that_was_killed_leaves_what_was_made_durable(tmp_path: Path) -> None:
    part, pieces = Part(tmp_path, "x", "here"), [bytes([n]) * 65_536 for n in range(100)]
    part.begin('"one"', "gzip")
    for piece in pieces:
        part.append(piece)
    left = Part(tmp_path, "x", "here").arrived()  # `part` was never closed
    assert left is not None
    assert (left.etag, left.encoding, left.content) == ('"one"', "gzip", b"".join(pieces[:64]))
    assert Part(tmp_path, "x", "elsewhere").arrived() is None
    part.discard()
    assert Part(tmp_path, "x", "here").arrived() is None


def test_redirects_on_the_same_host_are_followed_three_times(server: HostileServer, fetcher: Fetcher) -> None:
    server.pages["/list.txt"] = lambda h: h.answer(b"", status=302, Location="/1")
    server.pages["/1"] = lambda h: h.answer(b"", status=301, Location="2?x=1")
    server.pages["/2"] = lambda h: h.answer(b"", status=308, Location=server.url("/3"))
    server.pages["/3"] = lambda h: h.answer(BODY)
    assert fetcher().blobs == [Blob("list.txt", BODY)]
    assert [asked.path for asked in server.asked] == ["/list.txt", "/1", "/2?x=1", "/3"]


def test_credentials_reach_the_server_and_nothing_else(
    server: HostileServer, fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.pages["/list.txt"] = lambda h: h.answer(BODY)
    fetcher(fetcher.feed("/list.txt?key=s3cret", username="aegis", password="p4ssword"))
    assert server.asked[0].headers["authorization"] == "Basic YWVnaXM6cDRzc3dvcmQ="
    fetcher(fetcher.feed("/list.txt?key=s3cret", header="X-Api-Key", token="t0ken"))
    assert server.asked[1].headers["x-api-key"] == "t0ken"
    with pytest.raises(Refused) as error:
        fetcher(fetcher.feed("/none?key=s3cret", header="X-Api-Key", token="t0ken"))
    everything = caplog.text + str(error.value) + "".join(
        p.read_text("latin-1") for p in fetcher.downloads.rglob("*") if p.is_file()
    )  # fmt: skip
    for secret in ("s3cret", "p4ssword", "YWVnaXM6", "t0ken"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"username": "aegis"}, "one without the other"),
        ({"token": "a\r\nX-Evil: 1"}, "printable"),
        ({"token": "t", "header": "Host"}, "header"),
        ({"token": "t", "header": "X\r\nY"}, "header"),
        ({"token": "t", "username": "u", "password": "p"}, "two credentials"),
        ({"token": "t0ken", "internal": False, "url": "http://feeds.example/x"}, "over http"),
        ({"url": "https://user:s3cret@feeds.example/x"}, "password in a URL"),
        ({"url": "http://[::1/x"}, "no valid URL"),
    ],
)
def test_settings_that_would_leak_or_fail_are_refused(fetcher: Fetcher, more: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match) as error:
        fetcher(fetcher.feed(**more))
    assert "feed blocklist: " in str(error.value)
    assert not any(secret in str(error.value) for secret in ("t0ken", "s3cret", "X-Evil"))


def test_one_feed_is_fetched_by_one_at_a_time(server: HostileServer, fetcher: Fetcher) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(h: Handler) -> None:
        begun.set()
        go_on.wait(5)
        h.answer(BODY)

    server.pages["/list.txt"] = slow
    results: list[Fetched] = []
    thread = threading.Thread(target=lambda: results.append(fetcher()))
    thread.start()
    assert begun.wait(5)
    with pytest.raises(IntelError, match="another process"):
        fetcher()
    go_on.set()
    thread.join(5)
    assert results[0].status == "new"
    assert fetcher().status == "new"  # the lock is free again


def test_nothing_of_the_environment_is_used(
    server: HostileServer, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    server.pages["/list.txt"] = lambda h: h.answer(BODY)
    assert fetcher().status == "new"
    assert "authorization" not in server.asked[0].headers


@pytest.mark.skipif("AEGIS_DEV_DATA" not in os.environ, reason="AEGIS_DEV_DATA names the folder of real files")
def test_real_files_are_fetched_from_an_ordinary_server(tmp_path: Path) -> None:
    """As they lie there, and not again while the server says that they have not changed."""
    folder = Path(os.environ["AEGIS_DEV_DATA"])
    kinds = ("cisa_kev", "mitre_attack", "react", "sigma")
    files = [path for kind in kinds for path in sorted((folder / kind).glob("*.json*")) if path.is_file()]
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for path in files:
            url = f"http://127.0.0.1:{server.server_port}/{path.relative_to(folder).as_posix()}"
            feed = Feed(name="real", kind="documents", url=url, internal=True)
            got = fetch(feed, FeedState(name="real"), now=NOW, downloads=tmp_path)
            (blob,) = got.blobs
            content = path.read_bytes()
            assert blob.content == (gzip.decompress(content) if path.suffix == ".gz" else content)
            state = FeedState(name="real", settings=settings_of(feed), last_modified=got.last_modified, sha256="other")
            assert fetch(feed, state, now=NOW, downloads=tmp_path).status == "unchanged"
        server.shutdown()
    assert files


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
