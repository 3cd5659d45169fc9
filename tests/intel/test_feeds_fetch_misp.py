"""A MISP feed over HTTP: a manifest, and the event files beside it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_server import HostileServer

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.feeds.answers import Refused, Transient
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.fetch import Fetched, fetch
from aegis_agents.intel.feeds.parsed import Blob, Skipped
from aegis_agents.intel.feeds.state import FeedState, settings_of

ONE, TWO = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as server:
        server.pages[f"/feed/{ONE}.json"] = lambda h: h.answer(b'{"Event": 1}')
        server.pages[f"/feed/{TWO}.json"] = lambda h: h.answer(b'{"Event": 2}')
        _manifest(server, {TWO: {"timestamp": "20"}, ONE: {"timestamp": 10}})
        yield server


def _manifest(server: HostileServer, entries: Any) -> None:
    body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    server.pages["/feed/manifest.json"] = lambda h: h.answer(body)


def _fetch(server: HostileServer, folder: Path, sha256: str = "", query: str = "", **more: Any) -> Fetched:
    given = {"name": "misp", "kind": "misp", "url": server.url("/feed/manifest.json" + query), "internal": True}
    feed = Feed.model_validate(given | more)
    state = FeedState(name="misp", settings=settings_of(feed), sha256=sha256)
    now = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
    return fetch(feed, state, now=now, downloads=folder, sleep=lambda _: None)


def test_the_manifest_and_its_events_are_fetched_once(server: HostileServer, tmp_path: Path) -> None:
    got = _fetch(server, tmp_path, query="?key=1")
    assert got.blobs[1:] == [Blob(f"{ONE}.json", b'{"Event": 1}'), Blob(f"{TWO}.json", b'{"Event": 2}')]
    assert (got.blobs[0].name, got.status, got.whole) == ("manifest.json", "new", True)
    assert [a.path for a in server.asked] == [
        "/feed/manifest.json?key=1", f"/feed/{ONE}.json?key=1", f"/feed/{TWO}.json?key=1",
    ]  # fmt: skip
    assert _fetch(server, tmp_path, got.sha256, query="?key=1").status == "unchanged"
    assert len(server.asked) == 4


def test_an_event_that_changed_is_fetched_and_one_that_went_is_gone(server: HostileServer, tmp_path: Path) -> None:
    got = _fetch(server, tmp_path)
    server.pages[f"/feed/{TWO}.json"] = lambda h: h.answer(b'{"Event": 3}')
    _manifest(server, {TWO: {"timestamp": "21"}})
    later = _fetch(server, tmp_path, got.sha256)
    assert (later.status, later.blobs[1:]) == ("new", [Blob(f"{TWO}.json", b'{"Event": 3}')])
    assert [path.name for path in (tmp_path / "misp-events").iterdir()] == [f"{TWO}-21.json"]


def test_a_fetch_that_was_stopped_goes_on_where_it_was(server: HostileServer, tmp_path: Path) -> None:
    server.pages[f"/feed/{TWO}.json"] = lambda h: h.answer(b"", status=503)
    with pytest.raises(Transient):
        _fetch(server, tmp_path)
    server.pages[f"/feed/{TWO}.json"] = lambda h: h.answer(b'{"Event": 2}')
    count = len(server.asked)
    assert len(_fetch(server, tmp_path).blobs) == 3
    assert [a.path for a in server.asked[count:]] == ["/feed/manifest.json", f"/feed/{TWO}.json"]


def test_entries_that_are_no_events_become_neither_urls_nor_paths(server: HostileServer, tmp_path: Path) -> None:
    evil = "../../../etc/passwd"
    _manifest(server, {evil: {"timestamp": "1"}, ONE: {"timestamp": "../1"}, TWO: {"timestamp": "20"}, "x": 7})
    got = _fetch(server, tmp_path)
    assert [blob.name for blob in got.blobs] == ["manifest.json", f"{TWO}.json"]
    assert {s.where for s in got.skipped} == {f"manifest.json: {name}" for name in (evil, ONE, "x")}
    assert [a.path for a in server.asked] == ["/feed/manifest.json", f"/feed/{TWO}.json"]


def test_an_event_that_is_not_there_is_listed_and_a_refusal_is_an_error(server: HostileServer, tmp_path: Path) -> None:
    del server.pages[f"/feed/{ONE}.json"]
    got = _fetch(server, tmp_path)
    assert got.skipped == (Skipped(f"{ONE}.json", "the manifest names it, but it is not there"),)
    server.pages[f"/feed/{ONE}.json"] = lambda h: h.answer(b"", status=403)
    with pytest.raises(Refused, match="403"):
        _fetch(server, tmp_path)


@pytest.mark.parametrize("body", [b"[]", b"7", b"no json", b"[" * 100_000, b"\xff\xfea", b""])
def test_what_is_no_manifest_is_an_error(server: HostileServer, tmp_path: Path, body: bytes) -> None:
    _manifest(server, body)
    with pytest.raises(InputError, match=r"feed misp: manifest.json|manifest.json"):
        _fetch(server, tmp_path)


def test_size_and_number_are_bounded(server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.pages[f"/feed/{ONE}.json"] = lambda h: h.answer(b"1" * 700)
    server.pages[f"/feed/{TWO}.json"] = lambda h: h.answer(b"2" * 700)
    with pytest.raises(LimitExceeded, match="max_bytes"):
        _fetch(server, tmp_path, max_bytes=1024)
    monkeypatch.setattr("aegis_agents.intel.feeds.misp_feed.MAX_FILES", 1)
    with pytest.raises(LimitExceeded, match="more than 1 events"):
        _fetch(server, tmp_path)


def test_one_event_file_is_a_feed_too(server: HostileServer, tmp_path: Path) -> None:
    got = _fetch(server, tmp_path, url=server.url(f"/feed/{ONE}.json"))
    assert got.blobs == [Blob(f"{ONE}.json", b'{"Event": 1}')]


def test_a_manifest_can_not_be_signed(server: HostileServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no signature"):
        _fetch(server, tmp_path, public_key="00" * 32)
