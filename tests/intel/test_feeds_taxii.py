"""TAXII 2.1 against medallion, a real server, and against servers that break off or break the protocol."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_server import Handler, HostileServer
from pydantic import SecretStr

from aegis_agents.errors import InputError, IntelError, LimitExceeded
from aegis_agents.intel.feeds.answers import Refused, Transient
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.fetch import Fetched, fetch
from aegis_agents.intel.feeds.http import Limits
from aegis_agents.intel.feeds.load import load_feeds
from aegis_agents.intel.feeds.state import FeedState, settings_of

pytest.importorskip("taxii2client")

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
MANY, SAME, EMPTY, CLOSED, GROWING = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(5))
TYPE = "application/taxii+json;version=2.1"


def _objects(count: int) -> list[dict[str, str]]:
    return [
        {
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--00000000-0000-4000-8000-{n:012}",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z", "pattern_type": "stix",
            "pattern": f"[ipv4-addr:value = '203.0.113.{n}']", "valid_from": "2026-01-01T00:00:00Z",
        }
        for n in range(count)
    ]  # fmt: skip


def _collection(name: str, objects: list[dict[str, str]], added: Callable[[int], str], **more: bool) -> dict[str, Any]:
    manifest = [
        {"id": o["id"], "date_added": added(n), "version": o["modified"], "media_type": "application/stix+json"}
        for n, o in enumerate(objects)
    ]
    media = ["application/stix+json;version=2.1"]
    for entry in manifest:
        entry["media_type"] = media[0]
    return {"id": name, "title": "test", "can_read": True, "can_write": True, "media_types": media,
            "objects": objects, "manifest": manifest, **more}  # fmt: skip


@pytest.fixture(scope="module")
def medallion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an API root, with collections of 45 objects; pages have at most 20."""
    pytest.importorskip("medallion")
    folder = tmp_path_factory.mktemp("medallion")
    information = {"title": "root", "versions": [TYPE], "max_content_length": 1_000_000}
    data = {
        "/discovery": {"title": "server", "default": "/root/", "api_roots": ["/root/"]},
        "root": {
            "information": information,
            "status": [],
            "collections": [
                _collection(MANY, _objects(45), lambda n: f"2026-02-01T00:{n:02}:00.000000Z"),
                _collection(SAME, _objects(45), lambda n: "2026-02-01T00:00:00.500000Z"),
                _collection(EMPTY, [], str),
                _collection(CLOSED, _objects(1), lambda n: "2026-02-01T00:00:00.000000Z", can_read=False),
                _collection(GROWING, _objects(45), lambda n: f"2026-02-01T00:{n:02}:00.000000Z"),
            ],
        },
    }
    (folder / "data.json").write_text(json.dumps(data))
    backend = {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend",
               "filename": str(folder / "data.json")}  # fmt: skip
    config = {"backend": backend, "users": {"aegis": "p4ssword"}, "taxii": {"max_page_size": 20}}
    (folder / "config.json").write_text(json.dumps(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "medallion.scripts.run", "--port", str(port), str(folder / "config.json")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            for _ in range(200):
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/root/collections/"
        finally:
            process.terminate()


def _feed(url: str, **more: Any) -> Feed:
    given = {"name": "taxii", "kind": "taxii", "url": url, "internal": True, "username": "aegis",
             "password": "p4ssword"}  # fmt: skip
    return Feed.model_validate(given | more)


def _fetch(
    feed: Feed, folder: Path, *, cursor: str = "", sha256: str = "", now: dt.datetime = NOW, **limits: float
) -> Fetched:
    state = FeedState(name="taxii", settings=settings_of(feed), cursor=cursor, sha256=sha256)
    return fetch(feed, state, now=now, downloads=folder, limits=Limits(**limits), sleep=lambda _: None)


def _ids(fetched: Fetched) -> list[str]:
    return [o["id"] for blob in fetched.blobs for o in json.loads(blob.content)["objects"]]


def _last(ids: list[str]) -> list[int]:
    return [int(i[-12:]) for i in ids]


# A real server


def test_a_collection_comes_into_the_store_and_then_only_what_is_new(
    medallion: str, directory: Path, tmp_path: Path, model: Any
) -> None:
    from aegis_agents.intel import Intel
    from aegis_agents.intel.feeds.sync import Syncer

    with Intel.open(directory, model) as intel:
        syncer = Syncer(
            intel,
            [_feed(medallion + MANY + "/")],
            tmp_path / "state",
            embed=model,
            speaks_to_machines=lambda text: None,
        )
        (report,) = syncer.sync()
        assert (report.status, report.added, report.quarantined, report.error) == ("new", 45, 0, "")
        assert len(intel.lookup("ip:203.0.113.44")) == 1
        assert syncer.sync()[0].status == "unchanged"


def test_all_pages_of_a_collection_come_and_then_only_what_is_new(medallion: str, tmp_path: Path) -> None:
    feed = _feed(medallion + MANY + "/")
    got = _fetch(feed, tmp_path)
    assert (got.status, got.whole, len(got.blobs)) == ("new", True, 3)
    assert _last(_ids(got)) == list(range(45))
    assert got.cursor == "2026-02-01T00:44:00.000000Z"
    assert list(tmp_path.glob("taxii-pages")) == []
    again = _fetch(feed, tmp_path, cursor=got.cursor, sha256=got.sha256)
    assert (again.status, again.blobs, again.cursor, again.whole) == ("unchanged", [], got.cursor, False)
    assert again.sha256 == got.sha256
    some = _fetch(feed, tmp_path, cursor="2026-02-01T00:40:00.000000Z")
    assert (_last(_ids(some)), some.whole) == ([41, 42, 43, 44], False)


def test_an_object_that_is_added_later_is_fetched_alone(medallion: str, tmp_path: Path) -> None:
    feed = _feed(medallion + GROWING + "/")
    got = _fetch(feed, tmp_path)
    new = _objects(60)[59]
    request = urllib.request.Request(
        medallion + GROWING + "/objects/", json.dumps({"objects": [new]}).encode(),
        {"Accept": TYPE, "Content-Type": TYPE, "Authorization": "Basic YWVnaXM6cDRzc3dvcmQ="},
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 202
    later = _fetch(feed, tmp_path, cursor=got.cursor, now=dt.datetime.now(dt.UTC))
    assert _ids(later) == [new["id"]]
    assert later.status == "new"


def test_an_empty_collection_is_unchanged(medallion: str, tmp_path: Path) -> None:
    got = _fetch(_feed(medallion + EMPTY + "/"), tmp_path)
    assert (got.status, got.blobs, got.cursor) == ("unchanged", [], "")


def test_the_password_of_the_settings_reaches_the_server(medallion: str, tmp_path: Path) -> None:
    file = tmp_path / "feeds.toml"
    file.write_text(f'[taxii]\nkind = "taxii"\nurl = "{medallion}{MANY}/"\ninternal = true\nusername = "aegis"\n')
    (feed,) = load_feeds(file, {"taxii.password": SecretStr("p4ssword")})
    assert len(_ids(_fetch(feed, tmp_path / "right"))) == 45
    (feed,) = load_feeds(file, {"taxii.password": SecretStr("wr0ng")})
    with pytest.raises(Refused, match="answered 401"):
        _fetch(feed, tmp_path / "wrong")


def test_a_wrong_password_is_said_without_the_password(
    medallion: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Refused, match=r"feed taxii: url: .* answered 401 \(check username and password") as error:
        _fetch(_feed(medallion + MANY + "/", password="wr0ng"), tmp_path)
    assert "wr0ng" not in str(error.value) + caplog.text


def test_a_collection_that_may_not_be_read_or_is_not_there_is_named(medallion: str, tmp_path: Path) -> None:
    with pytest.raises(IntelError, match="does not allow reading"):
        _fetch(_feed(medallion + CLOSED + "/"), tmp_path)
    with pytest.raises(Refused, match="answered 404"):
        _fetch(_feed(medallion + "00000000-0000-4000-8000-0000000000ff/"), tmp_path)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as server:
        yield server


def _between(server: HostileServer, medallion: str, collection: str, cut: set[int]) -> str:
    """A server that passes on to medallion and breaks off the answers to the n-th requests for objects."""
    root = medallion.removesuffix("/root/collections/")
    asked = [0]

    def page(h: Handler) -> None:
        wanted = {k: v for k, v in h.headers.items() if k in ("Accept", "Authorization")}
        try:
            with urllib.request.urlopen(urllib.request.Request(root + h.path, headers=wanted)) as answer:
                status, headers, body = answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, headers, body = error.code, dict(error.headers), error.read()
        passed = {k.replace("-", "_"): v for k, v in headers.items() if k == "Content-Type" or k.startswith("X-TAXII")}
        asked[0] += "/objects/" in h.path
        if "/objects/" in h.path and asked[0] in cut:
            h.answer(body[: len(body) // 2], status=status, length=len(body), **passed)
            h.hang_up()
        else:
            h.answer(body, status=status, **passed)

    for path in (f"/root/collections/{collection}/", f"/root/collections/{collection}/objects/"):
        server.pages[path] = page
    return server.url(f"/root/collections/{collection}/")


@pytest.mark.parametrize("collection", [MANY, SAME])
def test_a_sync_that_breaks_off_at_the_second_page_goes_on_after_the_first(
    medallion: str, server: HostileServer, tmp_path: Path, collection: str
) -> None:
    """Also when all objects were added at the same moment; and nothing is lost, though medallion's `next` counts on."""
    feed = _feed(_between(server, medallion, collection, cut={2}))
    with pytest.raises(Transient):
        _fetch(feed, tmp_path)
    asked = len([a for a in server.asked if "/objects/" in a.path])
    assert asked == 2  # a page that may have been given is not asked for again
    got = _fetch(feed, tmp_path)
    assert (set(_last(_ids(got))), got.whole) == (set(range(45)), True)
    resumed = [a.path for a in server.asked if "/objects/" in a.path][2]
    assert "added_after=2026-02-01T00%3A" in resumed
    if collection == MANY:
        assert len(_ids(got)) == 46  # one of the first page came twice
        assert "T00%3A18%3A59.999999Z" in resumed


def test_pages_of_another_cursor_or_setting_are_not_gone_on_with(
    medallion: str, server: HostileServer, tmp_path: Path
) -> None:
    feed = _feed(_between(server, medallion, MANY, cut={2, 4}))
    with pytest.raises(Transient):
        _fetch(feed, tmp_path)
    with pytest.raises(Transient):
        _fetch(_feed(feed.url or "", tlp="red"), tmp_path)
    got = _fetch(feed, tmp_path, cursor="2026-02-01T00:42:30.000000Z")
    assert _last(_ids(got)) == [43, 44]


def test_a_sync_that_the_deadline_stops_keeps_its_pages(medallion: str, server: HostileServer, tmp_path: Path) -> None:
    url = _between(server, medallion, MANY, cut=set())
    path = f"/root/collections/{MANY}/objects/"
    honest, count, stop = server.pages[path], [0], threading.Event()

    def slow(h: Handler) -> None:
        count[0] += 1
        if count[0] == 3:
            stop.wait(5)
        honest(h)

    server.pages[path] = slow
    with pytest.raises(LimitExceeded, match="longer than 1 seconds"):
        _fetch(_feed(url), tmp_path, deadline=1.0)
    stop.set()
    assert len(list((tmp_path / "taxii-pages").glob("page-*"))) == 2
    assert set(_last(_ids(_fetch(_feed(url), tmp_path)))) == set(range(45))


def test_the_bytes_of_all_pages_are_bounded(medallion: str, tmp_path: Path) -> None:
    feed = _feed(medallion + MANY + "/", max_bytes=8000)
    with pytest.raises(LimitExceeded, match="raise max_bytes"):
        _fetch(feed, tmp_path)
    got = _fetch(_feed(medallion + MANY + "/", max_bytes=100_000), tmp_path)  # what was kept is used
    assert set(_last(_ids(got))) == set(range(45))


def test_objects_of_this_very_moment_are_asked_for_again(server: HostileServer, tmp_path: Path) -> None:
    body = json.dumps({"objects": _objects(1)}).encode()
    url = _scripted(server, [(body, "2026-11-25T23:59:30.000000Z")])
    assert _fetch(_feed(url), tmp_path).cursor == "2026-11-25T23:59:29.999999Z"
    url = _scripted(server, [(body, "9999-12-31T23:59:59.999999Z")])
    assert _fetch(_feed(url), tmp_path).cursor == "2026-11-25T23:59:59.999999Z"  # a year 9999 would silence the feed
    url = _scripted(server, [(body, "yesterday")])
    assert _fetch(_feed(url), tmp_path).cursor == ""


# Servers that break the protocol


def _scripted(server: HostileServer, answers: list[tuple[bytes, str]], about: Any = None) -> str:
    """A collection that answers these bodies, the last one for ever."""
    left = list(answers)
    known = {"id": MANY, "title": "t", "can_read": True, "can_write": False} if about is None else about

    def objects(h: Handler) -> None:
        body, last = left.pop(0) if len(left) > 1 else left[0]
        h.answer(body, Content_Type=TYPE, X_TAXII_Date_Added_Last=last)

    server.pages[f"/{MANY}/"] = lambda h: h.answer(json.dumps(known).encode(), Content_Type=TYPE)
    server.pages[f"/{MANY}/objects/"] = objects
    return server.url(f"/{MANY}/")


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"7", b'{"objects": 7}', b'{"objects": {"a": 1}}', b"[" * 100_000,
             b'{"objects": [' + b'{"a":' * 100_000, b"\xff\xfe", b'{"objects": []} trailing']
)  # fmt: skip
def test_an_answer_that_is_no_envelope_is_an_error(server: HostileServer, tmp_path: Path, body: bytes) -> None:
    with pytest.raises(IntelError, match="feed taxii: url: "):
        _fetch(_feed(_scripted(server, [(body, "")])), tmp_path)


@pytest.mark.parametrize(
    "about", [{}, {"id": 7, "title": "t", "can_read": True, "can_write": True}, {"self": 1, "id": MANY},
              {"id": "other", "title": "t", "can_read": True, "can_write": True},
              {"id": MANY, "title": [], "can_read": "x"}]
)  # fmt: skip
def test_a_collection_that_is_none_is_an_error(server: HostileServer, tmp_path: Path, about: Any) -> None:
    with pytest.raises(IntelError, match="feed taxii: url: "):
        _fetch(_feed(_scripted(server, [(b"{}", "")], about)), tmp_path)


def test_another_content_type_is_an_error(server: HostileServer, tmp_path: Path) -> None:
    url = _scripted(server, [(b"{}", "")])
    server.pages[f"/{MANY}/"] = lambda h: h.answer(b"{}", Content_Type="text/html")
    with pytest.raises(IntelError, match=r"no TAXII 2\.1 collection"):
        _fetch(_feed(url), tmp_path)
    server.pages[f"/{MANY}/"] = lambda h: h.answer(b"{}")
    with pytest.raises(IntelError, match=r"no TAXII 2\.1 collection"):
        _fetch(_feed(url), tmp_path)


def test_pages_without_end_are_stopped(server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_agents.intel.feeds.taxii.MAX_PAGES", 5)
    url = _scripted(server, [(b'{"objects": [], "more": true, "next": "on"}', "2026-01-01T00:00:00Z")])
    with pytest.raises(LimitExceeded, match="more than 5 pages"):
        _fetch(_feed(url), tmp_path)


def test_more_without_next_goes_by_time_and_not_in_circles(server: HostileServer, tmp_path: Path) -> None:
    one, two = (json.dumps({"objects": [o], "more": True}).encode() for o in _objects(2))
    last = json.dumps({"objects": [_objects(3)[2]]}).encode()
    url = _scripted(server, [(one, "2026-01-01T00:00:00Z"), (two, "2026-01-02T00:00:00Z"),
                             (last, "2026-01-03T00:00:00Z")])  # fmt: skip
    assert _last(_ids(_fetch(_feed(url), tmp_path))) == [0, 1, 2]
    url = _scripted(server, [(one, "2026-01-01T00:00:00Z")])
    with pytest.raises(IntelError, match="not where"):
        _fetch(_feed(url), tmp_path / "again")


def test_the_rules_of_all_feeds_hold_here_too(server: HostileServer, tmp_path: Path) -> None:
    url = _scripted(server, [(b"{}", "")])
    with HostileServer() as other:
        server.pages[f"/{MANY}/objects/"] = lambda h: h.answer(b"", status=302, Location=other.url("/"))
        with pytest.raises(IntelError, match="did not configure"):
            _fetch(_feed(url), tmp_path)
        assert other.asked == []
    count = len(server.asked)
    with pytest.raises(IntelError, match="not public"):
        _fetch(_feed(url, internal=False, username=None, password=None), tmp_path)
    assert len(server.asked) == count
    with pytest.raises(InputError, match="has no signature"):
        _fetch(_feed(url, public_key="00" * 32), tmp_path)
