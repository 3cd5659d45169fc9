"""A syslog message as an alert's JSON text: what it carries is the alert, its header stands beside it as "syslog"."""

from __future__ import annotations

import json

from aegis_agents.errors import InputError
from aegis_agents.streams.documents import is_object
from aegis_agents.streams.stream import too_long
from aegis_agents.streams.syslog.cef import read_cef, read_leef
from aegis_agents.streams.syslog.header import read_syslog

_COOKIE = "@cee:"


def native_of(data: bytes, length: int, most: int) -> str:
    """The alert's text. A JSON object is kept to the letter, the header added as its last field; CEF and LEEF become a
    dict; any other text is the alert's `message`. What is longer than `most` is text that will be set aside.
    """
    if length > most:
        return too_long(f"a syslog message of {length}", most, data)
    header, message = read_syslog(data.decode("utf-8", "surrogateescape").strip("\x00\r\n\t "))
    stripped = message.removeprefix(_COOKIE).strip()
    if stripped.startswith("{") and _is_object(stripped):
        inside = stripped[1:-1].strip()
        beside = f'"syslog": {json.dumps(header)}' if header else ""
        return "{" + ", ".join(part for part in (inside, beside) if part) + "}"
    fields: dict[str, object] = {}
    if "EF:" in message[:600]:
        for mark, reader in (("LEEF:", read_leef), ("CEF:", read_cef)):
            at = message.find(mark)
            read = reader(message[at:]) if 0 <= at <= 512 else None
            if read is not None:
                fields = dict(read)
                break
    if not fields:
        fields = {"message": message} if message else {}
        for name, source in (("hostname", "host"), ("program", "app"), ("timestamp", "time")):
            if source in header:
                fields[name] = header[source]
    return json.dumps(fields | ({"syslog": header} if header else {}))


def _is_object(text: str) -> bool:
    try:
        return is_object(text)
    except InputError:
        return False
