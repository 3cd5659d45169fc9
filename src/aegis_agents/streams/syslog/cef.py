"""CEF and LEEF, what firewalls and SIEMs put into syslog, as a dict with the long names of their dictionaries.

ArcSight Common Event Format, version 0 and 1; IBM Log Event Extended Format 1.0 and 2.0. No library that is kept up
reads both: jc's CEF reader (of pycef, 2020) takes no escaped bar in a header and no LEEF; cefevent only writes.
"""

from __future__ import annotations

import re
from collections import Counter

_CEF = re.compile(r"CEF: ?([0-9]{1,3}(?:\.[0-9]{1,3})?)\|")
_LEEF = re.compile(r"LEEF: ?([12])(?:\.[0-9])?\|")
_BAR = re.compile(r"((?:[^|\\]++|\\.|\\)*+)\|", re.DOTALL)  # possessive: many backslashes must not take for ever
_KEY = re.compile(r"(?:^|(?<=[ \t]))([A-Za-z_][A-Za-z0-9_.\[\]-]{0,63})=")
_ESCAPED = re.compile(r"\\([\\|=nr])")
_MEANT = {"n": "\n", "r": "\r"}
_HEX = re.compile(r"(?:0x|x)([0-9A-Fa-f]{1,4})")
_LABEL = re.compile(
    r"(c(?:s|n|fp|6a)[1-9]|device(?:CustomDate|CustomNumber|CustomString)[1-9]|flex(?:String|Date|Number)[1-9])Label"
)
MOST_KEYS = 500

NAMES = {
    "act": "deviceAction", "app": "applicationProtocol", "cat": "deviceEventCategory", "cnt": "baseEventCount",
    "destinationDnsDomain": "destinationDnsDomain", "dhost": "destinationHostName", "dmac": "destinationMacAddress",
    "dntdom": "destinationNtDomain", "dpid": "destinationProcessId", "dpriv": "destinationUserPrivileges",
    "dproc": "destinationProcessName", "dpt": "destinationPort", "dst": "destinationAddress", "duid": "destinationUserId",
    "duser": "destinationUserName", "dvc": "deviceAddress", "dvchost": "deviceHostName", "dvcpid": "deviceProcessId",
    "end": "endTime", "externalId": "eventId", "fname": "fileName", "fsize": "fileSize", "in": "bytesIn",
    "msg": "message", "out": "bytesOut", "outcome": "eventOutcome", "proto": "transportProtocol",
    "request": "requestUrl", "rt": "eventTime", "shost": "sourceHostName", "smac": "sourceMacAddress",
    "sntdom": "sourceNtDomain", "spid": "sourceProcessId", "spriv": "sourceUserPrivileges", "sproc": "sourceProcessName",
    "spt": "sourcePort", "src": "sourceAddress", "start": "startTime", "suid": "sourceUserId", "suser": "sourceUserName",
    # LEEF's own
    "dstPort": "destinationPort", "srcPort": "sourcePort", "usrName": "userName", "sev": "severity",
    "devTime": "eventTime", "dstMAC": "destinationMacAddress", "srcMAC": "sourceMacAddress", "srcBytes": "bytesOut",
    "dstBytes": "bytesIn", "identHostName": "hostName", "url": "requestUrl",
}  # fmt: skip
"""Short key → long name."""


def read_cef(text: str) -> dict[str, str] | None:
    """A CEF message as a dict; None if it is none."""
    begin = _CEF.match(text)
    head = _head(text, begin.end(), 6) if begin else None
    if begin is None or head is None:
        return None
    fields, at = head
    names = ("deviceVendor", "deviceProduct", "deviceVersion", "ruleId", "name", "severity")
    found = dict(zip(names, (_plain(field) for field in fields), strict=True))
    return found | _fields(_extension(text[at:]), found)


def read_leef(text: str) -> dict[str, str] | None:
    """A LEEF message as a dict; None if it is none."""
    begin = _LEEF.match(text)
    head = _head(text, begin.end(), 5 if begin[1] == "2" else 4) if begin else None
    if begin is None or head is None:
        head = _head(text, begin.end(), 4) if begin else None  # 2.0 without its delimiter
        if head is None:
            return None
    fields, at = head
    delimiter = "\t"
    if len(fields) == 5:
        given = fields[4]
        named = _HEX.fullmatch(given)
        delimiter = chr(int(named[1], 16)) if named else given
        if len(delimiter) != 1:
            delimiter = "\t"
    found = dict(zip(("deviceVendor", "deviceProduct", "deviceVersion", "ruleId"), fields[:4], strict=True))
    pairs = []
    for part in text[at:].split(delimiter, MOST_KEYS):
        key, equals, value = part.partition("=")
        if equals:
            pairs.append((key.strip(), value))
        elif part.strip():
            pairs.append(("message", part))
    return {"name": fields[3]} | found | _fields(pairs, found)


def _head(text: str, at: int, count: int) -> tuple[list[str], int] | None:
    """So many fields that end with a bar, and where they end."""
    fields = []
    for _ in range(count):
        field = _BAR.match(text, at)
        if field is None:
            return None
        fields.append(field[1])
        at = field.end()
    return fields, at


def _extension(text: str) -> list[tuple[str, str]]:
    """The pairs of CEF's extension: a value reaches to the space before the next key."""
    keys = []
    for found in _KEY.finditer(text):
        keys.append(found)
        if len(keys) > MOST_KEYS:
            break
    pairs = []
    if text[: keys[0].start() if keys else len(text)].strip():
        pairs.append(("message", text[: keys[0].start() if keys else len(text)].strip()))
    for number, key in enumerate(keys[:MOST_KEYS]):
        end = keys[number + 1].start() if number + 1 < len(keys) else len(text)
        pairs.append((key[1], _plain(text[key.end() : end].strip(" \r\n"))))
    return pairs


def _fields(pairs: list[tuple[str, str]], taken: dict[str, str]) -> dict[str, str]:
    """Pairs by their long names. One that comes again, or is a field of the header, is kept as "name#2"."""
    given = dict(pairs)
    labels = {label[1]: value for key, value in given.items() if (label := _LABEL.fullmatch(key)) and value}
    found: dict[str, str] = {}
    came: Counter[str] = Counter()
    for key, value in pairs:
        if (label := _LABEL.fullmatch(key)) and label[1] in given:
            continue
        name = NAMES.get(key, key)
        if key in labels:
            name = f"{key} ({labels[key][:80]})"
        free = name
        while free in found or free in taken:
            came[name] += 1  # goes on where it was: from the start each time would cost the square
            free = f"{name}#{came[name] + 1}"
        found[free] = value
    return found


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), text) if "\\" in text else text
