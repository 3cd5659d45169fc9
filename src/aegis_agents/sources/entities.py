"""What an alert names that can be looked up or acted on.

Targets of response actions come from nowhere else, so a doubtful value is left out
rather than guessed: it is still a fact. What is found in the middle of a text is
"observed" and nothing more, since an attacker can write any name into a command line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from aegis_agents.records import Entity, EntityRole
from aegis_agents.sources import shapes
from aegis_agents.sources.flatten import Leaf
from aegis_agents.sources.format import Hint
from aegis_agents.sources.keys import word_set
from aegis_agents.sources.mentions import NOBODY, OWN_SUFFIXES, Found, scan
from aegis_agents.sources.places import Place, ip_role, place_of
from aegis_agents.sources.text import EMPTY
from aegis_agents.sources.trust import fits

_SCANNED: Final = 4_000
"""Characters of a value that are searched for entities."""

_NAME = re.compile(r"[A-Za-z0-9_][\w.+$'-]{0,63}(?:@[A-Za-z0-9.-]{1,190})?")
_LOGON = re.compile(r"([A-Za-z0-9_][\w.-]{0,63})\\([A-Za-z0-9_][\w.+$ '-]{0,63})")
_PRINCIPAL = re.compile(r"^(?:user|serviceAccount|principal|account):(?=[^\s:]+@)")
_UUID = re.compile(r"\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?|S-1-[0-9-]+|[0-9]+|0x[0-9A-Fa-f]+")
_HOSTLIKE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_QUIET: Final = word_set("version ver build release oid os")
_REFERENCE = re.compile(
    r"(?:alertweburl|incidentweburl|incidenturl|falconhostlink|threaturl|portal\w*|console\w*|references?|helpurl|permalink|"
    r"documentation|ruleurl|alerturl|htmlurl|remediation\w*|eventsource|servicename|invokedby|apiversion|producturl|schema|"
    r"odatatype|odatacontext|notificationconfigname|xmlns|parent|canonicalname|producttype|emaildest|upnsuffix|dnsdomain)$"
)
_AGENT = re.compile(r"useragent|xmailer|browser")


class Entities(NamedTuple):
    """The entities of an alert, and how many more it named than are kept."""

    kept: tuple[Entity, ...]
    left_out: int


def extract(leaves: Sequence[Leaf], ids: Sequence[str], native_id: str, hints: Sequence[Hint] = ()) -> Entities:
    """The entities of an alert, the alert itself first, the others in the order in which they appear.

    `ids` are the fact ids of the leaves. Of more than 600 entities (200 merely observed) the later are left out.
    """
    found = Found()
    for leaf, fact in zip(leaves, ids, strict=True):
        if leaf.value == native_id:
            found.add("alert", native_id, "subject", fact)
            break
    suffixes: dict[str, tuple[str, str]] = {}
    for leaf, fact in zip(leaves, ids, strict=True):
        if leaf.value != EMPTY:
            _read(found, leaf, fact, native_id, hints)
            if leaf.keys.leaf == "upnsuffix":
                suffixes[leaf.path.rpartition(".")[0]] = (leaf.value, fact)
    for leaf, fact in zip(leaves, ids, strict=True) if suffixes else ():
        suffix = suffixes.get(leaf.path.rpartition(".")[0])
        if suffix and leaf.keys.leaf in ("accountname", "name") and shapes.is_domain(suffix[0]):
            found.add("user", f"{leaf.value}@{suffix[0]}", "actor", fact)
    kept = list(found.entities())
    if not kept or kept[0].kind != "alert":
        kept.insert(0, Entity(kind="alert", value=native_id, role="subject"))
    return Entities(tuple(kept), found.left_out)


def _read(found: Found, leaf: Leaf, fact: str, native_id: str, hints: Sequence[Hint]) -> None:
    keys, value = leaf.keys, leaf.value
    place: Place | None = None
    for hint in hints:
        if fits(hint.path, keys.joined):
            if hint.kind is None:
                return
            place = Place(hint.kind, hint.role)
            break
    place = place or place_of(keys)
    if leaf.plain:  # numbers name nothing but accounts
        if place is not None and place.kind == "cloud_account":
            found.add("cloud_account", value, place.role, fact)
        return
    text = shapes.refang(value[:_SCANNED])
    quiet = bool(keys.words & _QUIET) or bool(_REFERENCE.search(keys.leaf))
    address = None if quiet else shapes.as_ip(text)
    if address is not None:
        if place is not None and place.kind == "ip":
            found.add("ip", text, place.role, fact)
        elif place is None or place.kind not in ("file", "message", "resource"):
            found.add("ip", text, ip_role(keys, shapes.is_internal(address)), fact)
        return
    if place is not None:
        _placed(found, place, keys.leaf, text, value, fact)
    if value == native_id or quiet or _AGENT.search(keys.leaf):
        return
    scan(found, leaf, text, fact, place)


def _placed(found: Found, place: Place, leaf: str, text: str, value: str, fact: str) -> None:
    """A value whose field says what it is; the value must look the part all the same."""
    kind, role, sure = place
    if kind == "user":
        for name in _users(value, sure):
            found.add("user", name, role, fact)
    elif kind == "host":
        _host(found, text, role, sure, fact)
    elif kind == "domain":
        domain = shapes.domain_of(text)
        if domain:
            found.add("domain", domain.removeprefix("*."), role, fact)
    elif kind == "email":
        for address in shapes.emails_in(text):
            found.add("email", address, role, fact)
            if role == "actor":
                found.add("domain", address.rpartition("@")[2], role, fact)
    elif kind == "message":
        found.add("message", (shapes.message_ids_in(text) or [text])[0], role, fact)
    elif kind == "file":
        if "\n" not in value and ("." in value or "/" in value or "\\" in value):
            found.add("file", value, role, fact)
    elif kind == "cloud_account":
        if re.fullmatch(r"[\w-]{4,64}", value):
            found.add(kind, value, role, fact)
    elif kind == "access_key":
        if re.match(r"[\w/.:-]{4,}", value) and value.split():
            found.add(kind, value.split()[0], role, fact)
    elif "\n" not in value and len(value) <= 500 and value.lower() not in NOBODY:
        found.add(kind, value, role, fact)


def _users(value: str, sure: bool) -> list[str]:
    """The account names in a user field: exactly as written, and without the domain where one stands before them."""
    value = _PRINCIPAL.sub("", value.strip())
    logon = _LOGON.fullmatch(value)
    if logon:
        bare = logon.group(2)
        if bare.endswith("$") or logon.group(1).lower() in ("nt authority", "nt service", "window manager"):
            return []
        return [] if bare.lower().replace(" ", "") in NOBODY else [value, bare]
    names = [name.strip() for name in re.split(r"[,;]\s*", value)] if sure else [value]
    kept: list[str] = []
    for name in names[:20]:
        if name.startswith("system:") and re.fullmatch(r"[\w:.-]{8,200}", name):
            kept.append(name)
        elif _NAME.fullmatch(name) and not _UUID.fullmatch(name) and name.lower() not in NOBODY and name[-1] != "$":
            if "@" not in name and shapes.is_domain(name) and name.endswith((".amazonaws.com", ".googleapis.com")):
                continue  # a service, not a person
            kept.append(name)
            local, _, realm = name.partition("@")
            if realm and realm.isupper():  # a Kerberos realm: the account's name is what stands before it
                kept.append(local)
    return kept


def _host(found: Found, text: str, role: EntityRole, sure: bool, fact: str) -> None:
    if not _HOSTLIKE.fullmatch(text) or _UUID.fullmatch(text) or text.lower() in NOBODY:
        return
    named = shapes.is_domain(text)
    if named and (role == "peer" or not sure) and text.rsplit(".", 1)[-1].lower() not in OWN_SUFFIXES:
        found.add("domain", text, role, fact)
    elif sure or (text.isupper() and "-" in text) or _looks_like_host(text, named):
        found.add("host", text, role, fact)


def _looks_like_host(text: str, named: bool) -> bool:
    """Host names have digits and joints ("dc_prod_01"); a word ("syscall") or two ("k8s_audit") are no host."""
    jointed = "-" in text or named or text.isupper() or ("_" in text and text[-1].isdigit())
    return jointed and any(char.isdigit() for char in text)
