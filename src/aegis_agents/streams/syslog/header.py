"""The header of a syslog message: RFC 5424, RFC 3164, and what devices send that is nearly one of them.

No library on PyPI that is kept up does it: syslog-rfc5424-parser is of 2019, syslogmp of 2021; jc's regular expressions
end structured data at the first "]" in a quoted value.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "security", "console", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")

_PRIORITY = re.compile(r"<(\d{1,3})>")
_RFC5424 = re.compile(r"1 (\S{1,64}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) ")
_TIME = (
    r"(?:[A-Z][a-z]{2} [ \d]\d(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d{1,9})?(?: [A-Z]{3,5}(?=[ :]))?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
)
_RFC3164 = re.compile(rf"(?:\d{{1,10}}: )?({_TIME}):? (?:([A-Za-z0-9_.:\[\]-]{{1,255}}) )?")
_TAG = re.compile(r"([A-Za-z0-9_./-]{1,48})(?:\[([^\]\s]{1,128})\])?: ?")
_NAME = re.compile(r"[!#-<>-\\^-~]{1,32}")
_VALUE = re.compile(r'(?:[^"\\\]]|\\.|\\)*', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\]])')
MOST_DATA = 200
"""Parameters of structured data that are read."""


class Syslog(NamedTuple):
    """A message: what its header says, in words, and what it carries."""

    header: dict[str, Any]
    message: str


def read_syslog(text: str) -> Syslog:
    """Read a message, whatever it is: what is no header is the message itself."""
    header: dict[str, Any] = {}
    priority = _PRIORITY.match(text)
    if priority and int(priority[1]) < len(FACILITIES) * 8:
        number = int(priority[1])
        header = {"facility": FACILITIES[number // 8], "severity": SEVERITIES[number % 8]}
        text = text[priority.end() :]
    modern = _RFC5424.match(text)
    if modern:
        for name, value in zip(("time", "host", "app", "process", "message_id"), modern.groups(), strict=True):
            if value != "-":
                header[name] = value
        data, at = _structured(text, modern.end())
        if at >= 0:
            return Syslog(header | ({"data": data} if data else {}), text[at:].removeprefix(" ").removeprefix("\ufeff"))
        return Syslog(header, text[modern.end() :])
    old = _RFC3164.match(text)
    if old:
        header["time"] = old[1]
        if old[2]:
            host = old[2].rstrip(":")
            tag = _TAG.match(text, old.start(2))
            if tag and tag.end() == old.end():  # no host, but a tag: "Nov 26 10:00:00 sshd[1]: ..."
                return _tagged(header, text, old.start(2))
            header["host"] = host
        text = text[old.end() :]
        return _tagged(header, text, 0)
    return Syslog(header, text)


def _tagged(header: dict[str, Any], text: str, at: int) -> Syslog:
    tag = _TAG.match(text, at)
    if tag is None or tag[1] in ("CEF", "LEEF"):
        return Syslog(header, text[at:])
    header["app"] = tag[1]
    if tag[2]:
        header["process"] = tag[2]
    return Syslog(header, text[tag.end() :])


def _structured(text: str, at: int) -> tuple[dict[str, dict[str, str]], int]:
    """The structured data and where it ends; -1 if it is none. In time that grows with its length."""
    found: dict[str, dict[str, str]] = {}
    if text.startswith("-", at):
        return found, at + 1
    begun, count = at, 0
    while text.startswith("[", at):
        name = _NAME.match(text, at + 1)
        if name is None:
            return {}, -1
        element = found.setdefault(name[0], {})
        at = name.end()
        while text.startswith(" ", at):
            key = _NAME.match(text, at + 1)
            if key is None or not text.startswith('="', key.end()):
                return {}, -1
            value = _VALUE.match(text, key.end() + 2)
            end = value.end() if value else -1
            while text.startswith("]", end):  # not escaped, as it should be, but clear inside quotes
                value = _VALUE.match(text, end + 1)
                end = value.end() if value else -1
            if not text.startswith('"', end):
                return {}, -1
            count += 1
            if count <= MOST_DATA:
                element[key[0]] = _ESCAPED.sub(r"\1", text[key.end() + 2 : end])
            at = end + 1
        if not text.startswith("]", at):
            return {}, -1
        at += 1
    return (found, at) if at > begun else ({}, -1)
