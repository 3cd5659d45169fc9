"""Files out of what was fetched: gzip and zip within limits, and text in an encoding that says what it is."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import PurePosixPath

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.documents import plain
from aegis_agents.intel.feeds.parsed import Blob

MAX_FILES = 20_000
MAX_RATIO = 200
"""Text compresses some 10 to 30 times, repetitive JSON 100 times; a bomb a thousand times."""

_GZIP, _ZIP, _CENTRAL_ENTRY = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06"), b"PK\x01\x02"
_UTF8_BOM, _UTF16_BOMS, _UTF32_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff"), (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_STEP = 64 * 1024
_RATIO_FROM = 1024 * 1024
"""Below this many bytes a high ratio harms nobody: a hundred equal lines have one."""
_MAX_NAME = 512


def unpack(
    name: str, content: bytes, *, max_bytes: int, max_files: int = MAX_FILES, max_ratio: int = MAX_RATIO
) -> list[Blob]:
    """The files in a gzip or zip file (known by its first bytes), anything else as it is.

    Archives inside an archive are not opened. Of a zip, folders, links and hidden files (".git/config")
    are left out. Sizes are counted while inflating; what a header claims is not believed.
    Raises LimitExceeded above `max_bytes` in all, `max_files` files, or `max_ratio` times the packed size,
    InputError for a damaged or encrypted archive and for names that lead out of it.
    """
    if len(content) > max_bytes:
        raise _too_big(name, max_bytes)
    if content.startswith(_GZIP):
        inflater = Inflater(name, max_bytes=max_bytes, max_ratio=max_ratio)
        inside = inflater.feed(content) + inflater.finish()
        if inside[257:262] == b"ustar":
            raise InputError("a tar archive is not read", field=_shown(name), fix="pack it as zip")
        return [Blob(name.removesuffix(".gz"), inside)]
    if content.startswith(_ZIP):
        return _unzip(name, content, max_bytes=max_bytes, max_files=max_files, max_ratio=max_ratio)
    return [Blob(name.removesuffix(".gz"), content)]  # ".gz" without gzip: the server has inflated it already


def decode_text(blob: Blob) -> str:
    """A file's text: UTF-8 with or without a byte order mark, or UTF-16 with one.

    Nothing is guessed: any bytes are valid Latin-1, so that a guess never fails and is often wrong.
    Raises InputError saying which encodings are read.
    """
    content = blob.content
    fix = "save it as UTF-8, or as UTF-16 with a byte order mark"
    try:
        if content.startswith(_UTF32_BOMS):
            raise InputError("the text is UTF-32", field=_shown(blob.name), fix=fix)
        if content.startswith(_UTF16_BOMS):
            text = content.decode("utf-16")
        else:
            text = content.removeprefix(_UTF8_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not valid {error.encoding.upper()}"
        raise InputError(message, field=_shown(blob.name), fix=fix) from error
    if "\0" in text:
        raise InputError("there are NUL characters, so this is no text", field=_shown(blob.name), fix=fix)
    return text


class Inflater:
    """Gzip inflated piece by piece, stopped as soon as it is more than it may be.

    Several gzip members one after another count as one stream (RFC 1952, 2.2); zeros behind them are padding.
    """

    def __init__(self, name: str, *, max_bytes: int, max_ratio: int = MAX_RATIO) -> None:
        self._name, self._max_bytes, self._max_ratio = name, max_bytes, max_ratio
        self._taken = self._given = self._members = 0
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> bytes:
        """What these bytes inflate to. Raises LimitExceeded, or InputError if they are no gzip."""
        out: list[bytes] = []
        for start in range(0, len(data), _STEP):
            rest = data[start : start + _STEP]
            self._taken += len(rest)
            while rest:
                if self._stream is None:
                    rest = rest.lstrip(b"\0") if self._members else rest
                    if not rest:
                        break
                    self._begin()
                rest = self._some(rest, out)
        return b"".join(out)

    def finish(self) -> bytes:
        """Nothing more, unless the stream is not whole: InputError."""
        if self._stream is not None or not self._members:
            raise InputError("the gzip data ends before its end", field=_shown(self._name), fix="fetch it again")
        return b""

    def _begin(self) -> None:
        self._members += 1
        if self._members > MAX_FILES:
            raise LimitExceeded(f"more than {MAX_FILES} gzip members", field=_shown(self._name), fix="pack it as one")
        self._stream = zlib.decompressobj(wbits=31)

    def _some(self, rest: bytes, out: list[bytes]) -> bytes:
        """Inflate up to one step of output; answers the input not yet used."""
        stream = self._stream
        assert stream is not None  # noqa: S101 - feed has just begun it
        try:
            piece = stream.decompress(rest, _STEP)
        except zlib.error as error:
            raise InputError(f"damaged gzip data: {error}", field=_shown(self._name), fix="fetch it again") from error
        self._given += len(piece)
        _check(self._name, self._given, self._taken, self._max_bytes, self._max_ratio)
        out.append(piece)
        if stream.eof:
            self._stream = None
            return stream.unused_data
        return stream.unconsumed_tail


def _unzip(name: str, content: bytes, *, max_bytes: int, max_files: int, max_ratio: int) -> list[Blob]:
    # ZipFile makes an object of every entry, so the entries are counted first, by their signature: that count
    # can only be too high, whatever the directory claims.
    if content.count(_CENTRAL_ENTRY) > max_files:
        raise LimitExceeded(f"more than {max_files} files", field=_shown(name), fix="split the archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _members(name, archive, len(content), max_bytes, max_ratio)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError,
            OverflowError) as error:  # fmt: skip  # what zipfile raises for damaged files
        raise InputError(f"damaged zip file: {error}", field=_shown(name), fix="fetch it again") from error


def _members(name: str, archive: zipfile.ZipFile, packed: int, max_bytes: int, max_ratio: int) -> list[Blob]:
    wanted = [m for m in archive.infolist() if _wanted(name, m)]
    if len({m.filename for m in wanted}) < len(wanted):
        raise InputError("two files have one name", field=_shown(name), fix="name each file once")
    # Members that overlap (Fifield, "A better zip bomb", 2019) together claim more than the file holds.
    if sum(m.compress_size for m in wanted) > packed:
        raise LimitExceeded("its members overlap", field=_shown(name), fix="pack it with an ordinary zip program")
    blobs: list[Blob] = []
    given = 0
    for member in wanted:
        pieces: list[bytes] = []
        with archive.open(member) as stream:
            while piece := stream.read(_STEP):
                given += len(piece)
                _check(name, given, packed, max_bytes, max_ratio)
                pieces.append(piece)
        blobs.append(Blob(member.filename, b"".join(pieces)))
    return blobs


def _wanted(name: str, member: zipfile.ZipInfo) -> bool:
    """Whether a member is a file to read. Raises InputError for one that no honest archive has."""
    path, at = member.filename, f"{_shown(name)}: {_shown(member.filename)}"
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\\" in path or ":" in path or len(path) > _MAX_NAME:
        raise InputError("the name leads out of the archive", field=at, fix="use relative names")
    if not path or not path.isprintable():
        raise InputError("the name is empty or has control characters", field=at, fix="use plain names")
    if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16) or any(p.startswith(".") for p in parts):
        return False
    if member.flag_bits & 0x1:
        raise InputError("the file is encrypted", field=at, fix="pack it without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile inflates the others in one go, without a bound
        raise InputError("only stored and deflated files are read", field=at, fix="pack it as an ordinary zip")
    return True


def _check(name: str, given: int, taken: int, max_bytes: int, max_ratio: int) -> None:
    if given > max_bytes:
        raise _too_big(name, max_bytes)
    if given > _RATIO_FROM and given > max_ratio * taken:
        message = f"it inflates to more than {max_ratio} times its size"
        raise LimitExceeded(message, field=_shown(name), fix="if it is honest, give it unpacked")


def _too_big(name: str, max_bytes: int) -> LimitExceeded:
    return LimitExceeded(f"more than {max_bytes:,} bytes", field=_shown(name), fix="raise max_bytes of the feed")


def _shown(name: str) -> str:
    return plain(name)[:200]
