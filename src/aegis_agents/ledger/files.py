"""Writing to files so that all of it is there, or an error says that it is not."""

from __future__ import annotations

import os


def write_whole(handle: int, content: bytes) -> None:
    """Write all of it and flush it: on a disk that is filling up, one write() may take a part and say no more."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)
