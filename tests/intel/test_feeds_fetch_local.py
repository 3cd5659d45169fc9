"""Files of this computer, signatures, and the state that outlives a process."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_server import HostileServer

from aegis_agents.errors import InputError, IntelError, IntelTampered, LimitExceeded
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.fetch import Fetched, fetch
from aegis_agents.intel.feeds.folder import read_path
from aegis_agents.intel.feeds.parsed import Blob, Skipped
from aegis_agents.intel.feeds.state import FeedState, FeedStates, settings_of

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


def _feed(path: Path | None = None, **more: Any) -> Feed:
    return Feed.model_validate({"name": "own", "kind": "documents", "path": path, **more})


def _fetch(feed: Feed, tmp_path: Path, sha256: str = "") -> Fetched:
    state = FeedState(name="own", settings=settings_of(feed), sha256=sha256)
    return fetch(feed, state, now=NOW, downloads=tmp_path / "downloads", sleep=lambda _: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.md").write_bytes(b"b")
    (folder / "sub" / "a.md.gz").write_bytes(gzip.compress(b"a"))
    return folder


def test_a_file_and_a_folder_are_read(folder: Path, tmp_path: Path) -> None:
    assert _fetch(_feed(folder / "b.md"), tmp_path).blobs == [Blob("b.md", b"b")]
    got = _fetch(_feed(folder), tmp_path)
    assert got.blobs == [Blob("b.md", b"b"), Blob("sub/a.md", b"a")]
    assert (got.status, got.whole, got.skipped) == ("new", True, ())


def test_a_folder_is_unchanged_until_a_name_or_a_content_is_not(folder: Path, tmp_path: Path) -> None:
    feed = _feed(folder)
    before = _fetch(feed, tmp_path)
    again = _fetch(feed, tmp_path, before.sha256)
    assert (again.status, again.blobs) == ("unchanged", [])
    (folder / "b.md").rename(folder / "c.md")
    renamed = _fetch(feed, tmp_path, before.sha256)
    assert renamed.status == "new"
    (folder / "c.md").write_bytes(b"c")
    assert _fetch(feed, tmp_path, renamed.sha256).status == "new"


def test_links_are_not_followed_and_hidden_files_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.md").write_text("secret")
    (folder / "out.md").symlink_to(tmp_path / "secret" / "key.md")
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "config.md").write_text("hidden")
    blobs, skipped = read_path(_feed(folder))
    assert [blob.name for blob in blobs] == ["b.md", "sub/a.md.gz"]
    assert skipped == [Skipped(name, "a link is not followed") for name in ("loop", "out.md", "outside")]


def test_pipes_sockets_and_devices_are_refused_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "pipe.md")
    with pytest.raises(InputError, match=r"feed own: path .*pipe.md.*neither a file nor a folder"):
        read_path(_feed(folder))
    with pytest.raises(InputError, match="neither a file nor a folder"):
        read_path(_feed(folder / "pipe.md"))
    with pytest.raises(InputError, match="neither a file nor a folder"):
        read_path(_feed(Path("/dev/zero")))
    (folder / "pipe.md").unlink()
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as bound:
        try:
            os.chdir(folder)  # the path of a socket must be short
            bound.bind("socket.md")
        finally:
            os.chdir(here)
        with pytest.raises(InputError, match=r"socket.md|can't be read"):
            read_path(_feed(folder))


def test_size_count_and_depth_are_bounded(folder: Path, tmp_path: Path) -> None:
    (folder / "big.md").write_bytes(b"x" * 2000)
    with pytest.raises(LimitExceeded, match="1,024 bytes"):
        read_path(_feed(folder, max_bytes=1024))
    with pytest.raises(LimitExceeded, match="more than 2 files"):
        read_path(_feed(folder), max_files=2)
    (folder / "big.md").write_bytes(gzip.compress(b"x" * 5000))
    with pytest.raises(LimitExceeded, match="max_bytes"):
        _fetch(_feed(folder, max_bytes=1024), tmp_path)
    deep = folder
    for _ in range(45):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(LimitExceeded, match="deeper"):
        read_path(_feed(folder))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"feed own: path .*gone.md: can't be read: No such file"):
        read_path(_feed(tmp_path / "gone.md"))


# Signatures


@pytest.fixture(scope="module")
def key() -> Any:
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def public_key(key: Any) -> str:
    return str(key.public_key().public_bytes_raw().hex())


@pytest.mark.parametrize("form", [bytes, lambda s: s.hex().encode() + b"\n", lambda s: base64.b64encode(s) + b"\n"])
def test_a_signed_file_names_its_signer(folder: Path, tmp_path: Path, key: Any, public_key: str, form: Any) -> None:
    (folder / "b.md.sig").write_bytes(form(key.sign(b"b")))
    assert _fetch(_feed(folder / "b.md", public_key=public_key), tmp_path).signer == f"ed25519:{public_key[:16]}"


def test_a_missing_or_wrong_signature_is_tampering(folder: Path, tmp_path: Path, key: Any, public_key: str) -> None:
    feed = _feed(folder / "b.md", public_key=public_key)
    with pytest.raises(IntelTampered, match="feed own: public_key: the signature is missing"):
        _fetch(feed, tmp_path)
    for wrong, match in ((key.sign(b"c"), "not what this key signed"), (b"", "no Ed25519"), (b"x" * 63, "no Ed25519"),
                         (b"\xff" * 4000, "no Ed25519")):  # fmt: skip
        (folder / "b.md.sig").write_bytes(wrong)
        with pytest.raises(IntelTampered, match=match):
            _fetch(feed, tmp_path)
    (folder / "b.md.sig").write_bytes(key.sign(b"b"))
    with pytest.raises(IntelTampered, match="not what this key signed"):
        _fetch(_feed(folder / "b.md", public_key="00" * 32), tmp_path)


def test_a_folder_can_not_be_signed(folder: Path, tmp_path: Path, public_key: str) -> None:
    with pytest.raises(InputError, match="a folder has no signature"):
        _fetch(_feed(folder, public_key=public_key), tmp_path)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as server:
        yield server


def test_the_signature_of_a_url_lies_beside_it(
    server: HostileServer, tmp_path: Path, key: Any, public_key: str
) -> None:
    feed = _feed(url=server.url("/list.txt?day=1"), internal=True, public_key=public_key, token="t0ken")
    server.pages["/list.txt"] = lambda h: h.answer(b"list")
    with pytest.raises(IntelTampered, match="missing"):
        _fetch(feed, tmp_path)
    server.pages["/list.txt.sig"] = lambda h: h.answer(key.sign(b"list"))
    assert _fetch(feed, tmp_path).signer == f"ed25519:{public_key[:16]}"
    assert server.asked[-1].path == "/list.txt.sig?day=1"
    assert server.asked[-1].headers["authorization"] == "t0ken"
    server.pages["/list.txt"] = lambda h: h.answer(b"list of somebody else")
    with pytest.raises(IntelTampered, match="not what this key signed"):
        _fetch(feed, tmp_path)
    server.pages["/list.txt.sig"] = lambda h: h.answer(b"x" * 5000)
    with pytest.raises(LimitExceeded):
        _fetch(feed, tmp_path)


# State


@pytest.fixture
def states(tmp_path: Path) -> FeedStates:
    return FeedStates(tmp_path / "feeds.sqlite")


def test_a_failure_leaves_what_was_known(states: FeedStates, tmp_path: Path) -> None:
    feed, later = _feed(tmp_path), NOW + dt.timedelta(hours=2)
    assert states.get("own") == FeedState(name="own")
    assert states.stale_for(feed, NOW) is None
    good = states.succeeded(feed, NOW, etag='"one"', sha256="ab", cursor="c", snapshot="s1", version="18.1",
                            counts={"documents": 7})  # fmt: skip
    failed = states.failed(feed, IntelError("the server is gone"), later)
    assert failed == good.model_copy(update={"last_tried": later, "last_error": "the server is gone", "failures": 1})
    assert states.stale_for(feed, later) == dt.timedelta(hours=2)
    assert FeedStates(tmp_path / "feeds.sqlite").get("own") == failed
    unchanged = states.unchanged(feed, later, etag='"two"', last_modified="")
    assert (unchanged.etag, unchanged.snapshot, unchanged.failures, unchanged.last_error) == ('"two"', "s1", 0, "")
    assert unchanged.last_changed == NOW
    assert states.stale_for(feed, later) == dt.timedelta(0)
    assert states.stale_for(feed, NOW) == dt.timedelta(0)  # a clock that was set back
    states.removed("own", "ada", NOW)
    assert states.all() == [FeedState(name="own", removed_by="ada", removed_at=NOW)]
    assert states.due(feed, NOW)


def test_a_feed_that_fails_is_asked_less_often_but_at_least_daily(states: FeedStates, tmp_path: Path) -> None:
    feed = _feed(tmp_path, every_seconds=3600)
    assert states.due(feed, NOW)
    states.succeeded(feed, NOW)
    assert not states.due(feed, NOW + dt.timedelta(minutes=59))
    assert states.due(feed, NOW + dt.timedelta(minutes=60))
    for _ in range(3):
        states.failed(feed, "no", NOW)
    assert not states.due(feed, NOW + dt.timedelta(hours=3, minutes=59))
    assert states.due(feed, NOW + dt.timedelta(hours=4))
    for _ in range(6):
        states.failed(feed, "no", NOW)
    assert states.due(feed, NOW + dt.timedelta(days=1))
    assert states.due(feed, NOW - dt.timedelta(days=1))  # a clock that was set back


def test_no_secret_gets_into_the_state(states: FeedStates, tmp_path: Path) -> None:
    feed = _feed(url="https://feeds.example/x?key=s3cret", password="p4ssword", username="u", token="t0ken")
    states.succeeded(feed, NOW)
    said = states.failed(feed, "key=s3cret p4ssword t0ken\nnext line " + "x" * 5000, NOW).last_error
    assert said.startswith("… … … next line")
    assert len(said) <= 1000
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("feeds.sqlite*"))
    for secret in (b"s3cret", b"p4ssword", b"t0ken", b"feeds.example"):
        assert secret not in kept


def test_settings_count_where_they_decide_what_documents_are(tmp_path: Path) -> None:
    one = settings_of(_feed(tmp_path))
    for same in ({"every_seconds": 60}, {"max_bytes": 2048}, {"token": "t"}, {"internal": True}):
        assert settings_of(_feed(tmp_path, **same)) == one
    for other in ({"tlp": "red"}, {"trust": "high"}, {"tenant": "acme"}, {"owner": "x"}, {"public_key": "00" * 32}):
        assert settings_of(_feed(tmp_path, **other)) != one


def test_processes_share_the_file(tmp_path: Path) -> None:
    """Each counts its failures up by reading and writing; none is lost."""
    code = (
        "import datetime as dt, sys; from pathlib import Path\n"
        "from aegis_agents.intel.feeds.config import Feed\n"
        "from aegis_agents.intel.feeds.state import FeedStates\n"
        "feed = Feed(name='own', kind='documents', path=Path('x'))\n"
        "states = FeedStates(Path(sys.argv[1]))\n"
        "for _ in range(20): states.failed(feed, 'no', dt.datetime(2026, 11, 26, tzinfo=dt.UTC))\n"
    )
    path = tmp_path / "feeds.sqlite"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    assert [process.wait(30) for process in running] == [0, 0]
    assert FeedStates(path).get("own").failures == 40


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "feeds.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(IntelError, match=r"feeds\.sqlite"):
        FeedStates(path)
