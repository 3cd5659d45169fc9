"""A file that grows, an alert a line, followed through rotation. Every line once, also over `kill -9`.

How far it was read is kept with the lines themselves, in one transaction (see `followed.Place`). Rotation by renaming:
the old file is read to its end first. By copying and truncating: what was not read yet is looked for in the copy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import closing

from aegis_agents.errors import StreamError
from aegis_agents.inbox.records import Mark
from aegis_agents.settings_streams import FileSettings
from aegis_agents.streams.followed import ABSENT, BEFORE, Opened, Place, hash_of, unread
from aegis_agents.streams.intake import BATCH, BATCH_BYTES, Intake
from aegis_agents.streams.lines import Line, Lines
from aegis_agents.streams.stream import Entry, too_long

PART = "file"
_BLANK = b" \t\r\n\x00\xef\xbb\xbf"
_log = logging.getLogger("aegis.streams")


class FileStream:
    """Follows one file."""

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings

    def run(self, intake: Intake, *, once: bool) -> None:
        """See `Stream.run`. A file that is not there yet is waited for."""
        path, settings = self._settings.path, self._settings
        place = Place.read(intake.mark(PART)) or self._begin(intake)
        while not intake.stop.is_set():
            files = unread(path, place, gz=settings.gz)
            if files is None:
                _log.warning(
                    "%s: no file holds the place where it was read to: some lines may never have been seen", intake.name
                )
                place = self._begin(intake, anew=True)
                continue
            try:
                for opened, offset in files:
                    following = _Following(settings, intake, opened, offset)
                    place = following.follow(once) if opened.is_last else following.finish()
            finally:
                for opened, _ in files:
                    opened.close()
            if not files or not files[-1][0].is_last:
                if once:
                    return
                intake.stop.wait(settings.every_s)
            elif once and files[-1][0].is_file_of(path):
                return

    def _begin(self, intake: Intake, *, anew: bool = False) -> Place:
        """The first time: begin with the file as it is, or behind what is there. Older ones are not looked for."""
        found = Opened.at(self._settings.path, follow=True)
        if found is None:
            place = Place(0, time.time_ns(), ABSENT)
        else:
            with closing(found):
                size = found.file.seek(0, 2) if self._settings.from_end and not anew else 0
                begin = max(0, size - BEFORE)
                place = Place(found.inode, size, hash_of(found.bytes_at(begin, size - begin)))
        intake.put([Entry(None, Mark(intake.name, PART, place.text()))])
        return place


class _Following:
    """Reads one open file from an offset on."""

    def __init__(self, settings: FileSettings, intake: Intake, opened: Opened, offset: int) -> None:
        self._settings, self._intake, self._opened = settings, intake, opened
        self._lines = Lines(settings.line_bytes, offset)
        begin = max(0, offset - BEFORE)
        self._before = opened.bytes_at(begin, offset - begin)
        """The bytes before what will be read next: if they are others one day, the file was truncated."""
        self._place = Place(opened.inode, offset, hash_of(self._before))
        if offset == 0:  # the file before it may be gone by the next start
            intake.put([Entry(None, Mark(intake.name, PART, self._place.text()))])

    def follow(self, once: bool) -> Place:
        """Read what comes until the path leads to another file, or this one is truncated, or it is to stop."""
        path, intake = self._settings.path, self._intake
        gone_at: float | None = None
        while not intake.stop.is_set():
            if not self._is_same():
                return self._place  # what was not read of it is looked for elsewhere
            read = self._read()
            if read:
                gone_at = None
                continue
            if not self._opened.is_file_of(path):
                now = time.monotonic()
                gone_at = now if gone_at is None else gone_at
                # Until there is another one, the old may come back, or be written to.
                if once or (now - gone_at >= self._settings.linger_s and path.exists()):
                    return self.finish()
            elif once:
                break
            intake.stop.wait(self._settings.every_s)
        return self._place

    def finish(self) -> Place:
        """Read to the end, a last line without its newline too."""
        while self._read():
            pass
        self._put(self._lines.end(), b"")
        return self._place

    def _is_same(self) -> bool:
        if self._opened.packed:
            return True
        begin = self._lines.at - len(self._before)
        return self._opened.bytes_at(begin, len(self._before)) == self._before

    def _read(self) -> bool:
        """Read a chunk and hand over the lines that end in it; False at the end of the file."""
        try:
            chunk = self._opened.chunk(self._lines.at)
        except (EOFError, OSError) as error:
            raise StreamError(f"{self._settings.path}: can't be read: {error}") from error
        if not chunk:
            return False
        begin = self._lines.at - len(self._before)
        window = self._before + chunk
        self._put(self._lines.feed(chunk), window, begin)
        self._before = window[-BEFORE:]
        return True

    def _put(self, lines: Iterable[Line], window: bytes, begin: int = 0) -> None:
        """Hand lines over, each with the place behind it; `window` are bytes of the file, from `begin` on."""
        entries: list[Entry] = []
        size = 0
        for line in lines:
            before = window[max(0, line.end - begin - BEFORE) : line.end - begin] if window else self._before
            place = Place(self._opened.inode, line.end, hash_of(before))
            entries.append(self._entry(line, place))
            size += len(line.text)
            if len(entries) >= BATCH or size >= BATCH_BYTES:
                self._intake.put(entries)
                self._place = place
                entries, size = [], 0
        if entries:
            self._intake.put(entries)
            self._place = place

    def _entry(self, line: Line, place: Place) -> Entry:
        intake = self._intake
        mark = Mark(intake.name, PART, place.text())
        if line.too_long:
            intake.tally.too_long += 1
            where = f"{line.length} from byte {line.end - line.length - 1} of {self._settings.path.name!r} on"
            return Entry(intake.message(too_long(where, self._settings.line_bytes, line.text)), mark)
        if not line.text.strip(_BLANK):
            return Entry(None, mark)
        return Entry(intake.message(line.text.decode("utf-8", "surrogateescape")), mark)
