"""Files of the operating system: an attack runs them, and blocking or quarantining one breaks every machine that has it."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from aegis_agents.records import Incident, Target

_WINDOWS: Final = re.compile(
    r"(?:(?:\\\\[?.]\\|\\\?\?\\)?[a-z]:|\\device\\harddiskvolume\d+|\\systemroot|%(?:systemroot|windir)%)?"
    r"\\(?:windows\\)?(?:system32|syswow64|sysnative|winsxs|servicing|systemapps|microsoft\.net)\\.+"
    r"|(?:[a-z]:|\\device\\harddiskvolume\d+)\\windows\\[^\\]+\.(?:exe|dll|sys)"
)
_WRITABLE: Final = re.compile(
    r"\\(?:system32|syswow64|sysnative)\\(?:tasks|com\\dmp|fxstmp|spool\\(?:drivers\\color|printers|servers)"
    r"|microsoft\\crypto\\rsa\\machinekeys|config\\systemprofile)\\"
)
"""Folders under those that accounts without rights can write, where malware hides for that reason."""
_UNIX: Final = re.compile(r"(?:/usr)?/(?:bin|sbin|lib|lib32|lib64|libexec)/.+|/system/(?:library|applications)/.+")

_DOUBLED: Final = re.compile(r"(?<=.)([\\/])[\\/]+")
"""Separators that stand twice or more, as where a log was escaped twice; not the first, which begin a share or a device."""
_FOLDER: Final = re.compile(r"(?i)^(?:file|folder|image|process)[ _-]?path$")
"""Fields that hold a file's folder in some products (Defender's filePath), the file itself in others."""
_PARENT: Final = re.compile(r"(?i)parent|initiat|creator|direct")


@lru_cache(maxsize=8192)
def is_system_file(path: str) -> bool:
    """Whether a path lies where only the operating system and its administrators write.

    An attacker who is an administrator can write there too: then a person is asked once more than needed.
    """
    text = _DOUBLED.sub(r"\1", path.strip().strip('"').casefold())
    if _UNIX.fullmatch(text.replace("//", "/", 1) if text.startswith("//") else text):
        return "/../" not in text
    text = text.replace("/", "\\")
    return "\\..\\" not in text and bool(_WINDOWS.fullmatch(text)) and not _WRITABLE.search(text)


def system_file_beside(incident: Incident, target: Target, objects: Collection[str]) -> str | None:
    """The operating system's file that the target is, or that stands beside a hash and so may be what was hashed.

    `objects` are the paths of the objects in which the target is named, whole; a parent process beside it is another file.
    """
    if target.kind == "file":
        return target.value if is_system_file(target.value) else None
    for fact in incident.facts:
        where, _, leaf = fact.path.rpartition(".")
        beside = where in objects or any(name.startswith(f"{where}.") for name in objects if where)
        if (
            beside
            and not _PARENT.search(leaf)
            and is_system_file(_in_it(fact.value) if _FOLDER.search(leaf) else fact.value)
        ):
            return fact.value
    return None


def _in_it(folder: str) -> str:
    """A file in a folder; of a path that already names one, something below it, which changes no answer."""
    bare = folder.strip().strip('"').rstrip("/\\")
    return f"{bare}/file.exe" if bare.startswith("/") else f"{bare}\\file.exe"
