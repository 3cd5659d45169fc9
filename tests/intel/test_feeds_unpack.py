"""Archives and text: what is read, and every way in which an archive can lie."""

from __future__ import annotations

import gzip
import io
import random
import stat
import struct
import time
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.feeds.parsed import Blob
from aegis_agents.intel.feeds.unpack import MAX_FILES, Inflater, decode_text, unpack

MB = 1024 * 1024


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_gzip_is_known_by_its_first_bytes() -> None:
    assert unpack("epss.csv.gz", gzip.compress(b"cve,epss"), max_bytes=MB) == [Blob("epss.csv", b"cve,epss")]
    assert unpack("epss.csv", gzip.compress(b"cve,epss"), max_bytes=MB) == [Blob("epss.csv", b"cve,epss")]


def test_a_gz_that_the_server_inflated_already_is_taken_as_it_is() -> None:
    assert unpack("epss.csv.gz", b"cve,epss", max_bytes=MB) == [Blob("epss.csv", b"cve,epss")]


def test_gzip_members_one_after_another_are_one_file() -> None:
    both = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 512
    assert unpack("a.gz", both, max_bytes=MB) == [Blob("a", b"one two")]


def test_a_zip_gives_its_files_and_leaves_out_folders_links_and_hidden_ones() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("rules/", b"")
        archive.writestr("rules/a.yml", b"title: a")
        archive.writestr("rules/.git/config", b"secret")
        link = zipfile.ZipInfo("rules/link.yml")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")
    assert unpack("rules.zip", out.getvalue(), max_bytes=MB) == [Blob("rules/a.yml", b"title: a")]


def test_an_archive_inside_an_archive_stays_closed() -> None:
    inner = _zip({"x.txt": b"x"})
    assert unpack("o.zip", _zip({"inner.zip": inner}), max_bytes=MB) == [Blob("inner.zip", inner)]
    assert unpack("o.gz", gzip.compress(gzip.compress(b"x")), max_bytes=MB)[0].content[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("name", ["../evil.yml", "a/../../evil.yml", "/etc/passwd", "C:/evil.yml", "a\\..\\evil.yml",
                                  "a\x1b[2Jb.yml", "x" * 600])  # fmt: skip
def test_names_that_lead_out_of_the_archive_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="name"):
        unpack("rules.zip", _zip({"ok.yml": b"ok", name: b"evil"}), max_bytes=MB)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_inflate_without_a_bound_are_refused(method: int) -> None:
    with pytest.raises(InputError, match="stored and deflated"):
        unpack("rules.zip", _zip({"a.yml": b"a" * 1000}, method), max_bytes=MB)


def test_a_member_without_a_name_is_refused() -> None:
    with pytest.raises(InputError, match="the name is empty"):
        unpack("rules.zip", _zip({"ok.yml": b"ok", "Q": b"x"}).replace(b"Q", b"\0"), max_bytes=MB)


def test_an_encrypted_zip_is_refused() -> None:
    raw = bytearray(_zip({"a.yml": b"a"}))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(InputError, match="encrypted"):
        unpack("a.zip", bytes(raw), max_bytes=MB)


def test_two_files_of_one_name_are_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.yml", b"good")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.yml", b"evil")
    with pytest.raises(InputError, match="one name"):
        unpack("a.zip", out.getvalue(), max_bytes=MB)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: _zip({"bomb.json": data})])
def test_a_bomb_is_stopped_while_it_inflates(pack: object) -> None:
    bomb = pack(b"\0" * (60 * MB))  # type: ignore[operator]
    assert len(bomb) < MB
    tracemalloc.start()
    with pytest.raises(LimitExceeded, match="bytes"):
        unpack("bomb", bomb, max_bytes=4 * MB, max_ratio=10**9)
    with pytest.raises(LimitExceeded, match="times its size"):
        unpack("bomb", bomb, max_bytes=10**9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * MB


def test_a_high_ratio_of_a_small_file_is_no_bomb() -> None:
    lines = b"203.0.113.7\n" * 50_000
    assert len(gzip.compress(lines)) * 200 < len(lines)
    assert unpack("list.gz", gzip.compress(lines), max_bytes=MB)[0].content == lines


def test_what_a_header_claims_is_not_believed() -> None:
    raw = bytearray(_zip({"a.txt": b"\0" * (5 * MB)}))
    for at in (22, raw.index(b"PK\x01\x02") + 24):  # uncompressed sizes: of the member and in the directory
        raw[at : at + 4] = struct.pack("<I", 10)
    with pytest.raises(InputError):
        unpack("a.zip", bytes(raw), max_bytes=MB)
    for at in (22, raw.index(b"PK\x01\x02") + 24):
        raw[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    with pytest.raises(LimitExceeded):
        unpack("a.zip", bytes(raw), max_bytes=MB)


def test_members_that_share_their_bytes_are_refused() -> None:
    """Many directory entries over one piece of packed data, as in Fifield's bomb."""
    data = random.Random(1).randbytes(3000)
    one = _zip({"a.txt": data})
    at = one.index(b"PK\x01\x02")
    entry, end = bytearray(one[at : at + 46 + 5]), one.rindex(b"PK\x05\x06")
    entries = b""
    for number in range(500):
        entry[46:51] = f"{number:05}".encode()
        entries += bytes(entry)
    tail = bytearray(one[end:])
    tail[8:20] = struct.pack("<HHII", 500, 500, len(entries), at)
    with pytest.raises(LimitExceeded, match="overlap"):
        unpack("a.zip", one[:at] + entries + bytes(tail), max_bytes=100 * MB)


def test_too_many_files_are_counted_before_they_are_listed() -> None:
    many = _zip({f"{n}.txt": b"" for n in range(30)})
    with pytest.raises(LimitExceeded, match="20 files"):
        unpack("many.zip", many, max_bytes=MB, max_files=20)
    flood = _zip({"a.txt": b""}) + b"PK\x01\x02" * (MAX_FILES + 1)
    with pytest.raises(LimitExceeded, match="files"):
        unpack("flood.zip", flood, max_bytes=10 * MB)


def test_empty_gzip_members_without_end_are_stopped() -> None:
    began = time.monotonic()
    with pytest.raises(LimitExceeded, match="members"):
        unpack("a.gz", gzip.compress(b"") * 200_000, max_bytes=10 * MB)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("cut", [3, 12, 60, -5])
def test_a_truncated_archive_is_an_error(cut: int) -> None:
    data = random.Random(1).randbytes(500)
    for name, packed in (("a.gz", gzip.compress(data)), ("a.zip", _zip({"a.txt": data}))):
        if cut == 3 and name == "a.zip":
            continue  # three bytes are no archive yet
        with pytest.raises(InputError, match=r"damaged|ends before"):
            unpack(name, packed[:cut], max_bytes=MB)


def test_trailing_rubbish_behind_gzip_is_an_error() -> None:
    with pytest.raises(InputError, match="damaged"):
        unpack("a.gz", gzip.compress(b"data") + b"rubbish", max_bytes=MB)


def test_a_tar_inside_gzip_is_named() -> None:
    with pytest.raises(InputError, match="tar"):
        unpack("a.tgz", gzip.compress(b"\0" * 257 + b"ustar" + b"\0" * 250), max_bytes=MB)


@given(st.binary(max_size=300), st.integers(0, 2), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_comes_it_is_files_or_an_input_error(noise: bytes, kind: int, data: st.DataObject) -> None:
    packed = bytearray([noise, gzip.compress(noise, mtime=0), _zip({"a.txt": noise, "b/c.txt": b"c"})][kind])
    for _ in range(3):
        if packed:
            packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    try:
        blobs = unpack("x", bytes(packed), max_bytes=10_000)
    except InputError:
        return  # the only error there may be
    assert sum(len(blob.content) for blob in blobs) <= 10_000


def test_pieces_inflate_as_the_whole_does() -> None:
    data = random.Random(2).randbytes(100_000)
    packed, inflater = gzip.compress(data), Inflater("x", max_bytes=MB)
    out = b"".join(inflater.feed(packed[n : n + 7]) for n in range(0, len(packed), 7)) + inflater.finish()
    assert out == data


@pytest.mark.parametrize("content", ["naïve ☃".encode(), "naïve ☃".encode("utf-8-sig"), "naïve ☃".encode("utf-16"),
                                     b"\xfe\xff" + "naïve ☃".encode("utf-16-be")])  # fmt: skip
def test_text_that_says_its_encoding_is_read(content: bytes) -> None:
    assert decode_text(Blob("a.txt", content)) == "naïve ☃"


@pytest.mark.parametrize("content", ["naïve".encode("latin-1"), "abc".encode("utf-16-le"), "abc".encode("utf-32"),
                                     b"\xff\xfea", b"\xc0\x80", b"\xed\xa0\x80", zlib.compress(b"abc")])  # fmt: skip
def test_an_encoding_is_never_guessed(content: bytes) -> None:
    with pytest.raises(InputError, match="UTF-8") as error:
        decode_text(Blob("a\u202e.txt", content))
    assert error.value.field == "a .txt"
