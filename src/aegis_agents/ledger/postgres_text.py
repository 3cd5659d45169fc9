"""SQL and text between the store's words and PostgreSQL's: placeholders, what its text can't hold, rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Cursor

_ESCAPE = "\x1a"  # SUBSTITUTE: stands for a character that is "invalid or in error" (ISO 2022)
_UNSTORABLE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")
_LITERAL = re.compile(r"('(?:[^']|'')*')")


@lru_cache(maxsize=512)
def translate(sql: str) -> str:
    """`?` to `%s` outside string literals, and every `%` doubled, as psycopg wants it beside values."""
    parts = _LITERAL.split(sql.replace("%", "%%"))
    parts[::2] = [part.replace("?", "%s") for part in parts[::2]]
    return "".join(parts)


def escape(value: Any) -> Any:
    """Text with what PostgreSQL's text type can't hold, NUL and lone surrogates, escaped.

    Two texts that differ stay different (the escape character is escaped itself), so that equality and
    uniqueness in the database are those of the texts. Ids are hashes of the texts themselves: unchanged.
    """
    if isinstance(value, str) and _UNSTORABLE.search(value):
        return _UNSTORABLE.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", value)
    return value


def unescape(value: Any) -> Any:
    """The text as it was before `escape`."""
    if isinstance(value, str) and _ESCAPE in value:
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    return value


class PostgresRow:
    """Values by name and by position, as sqlite3.Row gives them."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: Mapping[str, int], values: Sequence[Any]) -> None:
        self._names, self._values = names, tuple(map(unescape, values))

    def __getitem__(self, key: str | int, /) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> Iterable[str]:
        return self._names.keys()


def make_rows(cursor: Cursor[Any]) -> Callable[[Sequence[Any]], PostgresRow]:
    """A row factory of psycopg that makes PostgresRow."""
    names = {column.name: place for place, column in enumerate(cursor.description or ())}
    return lambda values: PostgresRow(names, values)
