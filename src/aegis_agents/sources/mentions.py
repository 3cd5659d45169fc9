"""Entities named in the middle of a text: found by shape, "observed" unless the field is nothing but their name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from aegis_agents.records import Entity, EntityKind, EntityRole
from aegis_agents.sources import shapes
from aegis_agents.sources.flatten import Leaf
from aegis_agents.sources.keys import word_set
from aegis_agents.sources.places import Place

_MOST: Final = 600
_MOST_OBSERVED: Final = 200
"""Names in prose stop earlier, so that a text full of them can't push out the fields that hold the real ones."""
_FACTS_EACH: Final = 20
_ROLES: Final[tuple[EntityRole, ...]] = ("subject", "actor", "peer", "observed")
_CASELESS: Final = frozenset(("host", "user", "ip", "domain", "hash", "email"))
NOBODY: Final = word_set(
    "unknown null none n/a na - nobody undefined unassigned system localservice networkservice anonymous any all other "
    "true false external internal self root\\system localhost default admin? ? unset user device host yes no unmanaged "
    "managed new local github none-assigned"
)
"""What fields say when there is nobody and nothing to name."""
OWN_SUFFIXES: Final = word_set("local internal lan corp home")
"""Names under these exist inside one network only: they are hosts, never domains to block."""

_PATHLIKE = re.compile(r"(?:/|~/|[A-Za-z]:\\|\\\\|\\Device\\|%\w+%\\)[^\n]{1,1000}")
_HOST_IN_TEXT = re.compile(
    r"(?i)\b(?:asset|host|hostname|server|workstation|computer)[:=]?\s+"
    r"(?=[\w.-]{0,40}\d)([a-z][\w-]{2,62})(?![\w/:]|\.\w)"
)
_USER_IN_TEXT = re.compile(
    r"assumed-role/(?P<role>[\w+=.@-]{1,64})|(?:^|[\s:,(])user/(?P<path>[\w+=.@-]{1,64})|mstshash=(?P<rdp>[\w.-]{1,64})|"
    r"\b(?:by|role|witness) (?P<by>[a-z][a-z0-9]*[._-][\w.-]{0,60}\w)\b(?!/)|"
    r"(?<![\w.])user(?:name)?=(?P<pair>[A-Za-z0-9_][\w.+@\\-]{0,100})"
)
_SECRET_NAME = re.compile(r"\b[A-Z][A-Z0-9_]{1,60}_(?:TOKEN|API_KEY|ACCESS_KEY|SECRET|KEY_ID)\b")
_NOT_FILE_HASH = re.compile(r"ja3|ja4|hassh|imphash|commit|fingerprint|thumbprint|ssdeep|tlsh|mrn|password|cert")
_HASH_WORDS: Final = word_set("hash hashes md5 sha1 sha256 sha512 checksum digest")
_MAIL_WORDS: Final = word_set("sender from replyto reply to cc ccaddresses return mail message references header")


class Found:
    """The entities so far, each once: first spelling, strongest role, the facts that name it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[EntityKind, str, dict[str, EntityRole]]] = {}
        self._role: dict[tuple[str, str], EntityRole] = {}
        self.left_out = 0

    def add(self, kind: EntityKind, value: str, role: EntityRole, fact: str) -> None:
        """Name an entity, found in this fact. Control marks and empty values name nothing."""
        value = value.strip()
        if not value or len(value) > 2_000 or ("⟦U+" in value and kind != "alert"):
            return
        if kind == "ip" and shapes.as_ip(value) is None:
            return  # a product's field for addresses may hold anything; what is none must not become a target
        if kind == "domain" and value.rstrip(".").rpartition(".")[2].lower() in OWN_SUFFIXES:
            return
        key = (kind, value.lower() if kind in _CASELESS else value)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= (_MOST_OBSERVED if role == "observed" else _MOST):
                self.left_out += 1
                return
            self._kept[key] = (kind, value, {fact: role})
            self._role[key] = role
            return
        _remember(kept[2], fact, role)
        self._role[key] = _stronger(role, self._role[key])

    def entities(self) -> Iterable[Entity]:
        """All of them, in the order in which they were first named."""
        for key, (kind, value, facts) in self._kept.items():
            yield Entity(kind=kind, value=value, role=self._role[key], facts=tuple(facts))


def _stronger(one: EntityRole, other: EntityRole) -> EntityRole:
    return min(one, other, key=_ROLES.index)


def _remember(facts: dict[str, EntityRole], fact: str, role: EntityRole) -> None:
    """Keep a fact that names an entity, at most so many: a text that repeats a name can't push out the field that holds it."""
    if fact in facts:
        facts[fact] = _stronger(role, facts[fact])
        return
    if len(facts) >= _FACTS_EACH:
        weakest = next((f for f, r in reversed(facts.items()) if r == "observed"), None)
        if role == "observed" or weakest is None:
            return
        del facts[weakest]
    facts[fact] = role


def scan(found: Found, leaf: Leaf, text: str, fact: str, place: Place | None) -> None:
    """What a text names by its shape, wherever it stands."""
    keys = leaf.keys
    whole_path = bool(_PATHLIKE.fullmatch(text)) and " -" not in text
    if whole_path and place is None and keys.words & {"file", "files", "path", "paths"}:
        found.add("file", text, "observed", fact)
    if keys.words & _HASH_WORDS and not _NOT_FILE_HASH.search(keys.joined):
        for digest in shapes.hashes_in(text, labelled_only="=" in text):
            found.add("hash", digest, "subject", fact)
    elif "=" in text or "sha256:" in text:
        for digest in shapes.hashes_in(text, labelled_only=True):
            found.add("hash", digest, "observed", fact)
    named = place is not None and place.kind in ("user", "host", "access_key", "pod", "cloud_account")
    if named and "/" not in text and ":" not in text:
        return
    for address in shapes.ips_in(text):
        found.add("ip", address, "observed", fact)
    url_field = keys.leaf.endswith(("url", "uri", "urls", "link", "threat"))
    for url in shapes.urls_in(text):
        role: EntityRole = "peer" if url_field else "observed"
        found.add("url", url, role, fact)
        name = shapes.domain_of(url)
        if name:
            found.add("domain", name, role, fact)
    if url_field and "://" not in text and not any(char.isspace() for char in text):
        name = shapes.domain_of(text)
        if name and not whole_path:
            found.add("domain", name, "peer", fact)
            if "/" in text:
                found.add("url", text, "peer", fact)
    if place is None or place.kind not in ("file", "process", "repository", "email"):
        _names(found, leaf, text, fact)
    _cloud(found, leaf, text, fact)


def _names(found: Found, leaf: Leaf, text: str, fact: str) -> None:
    keys = leaf.keys
    for identifier in shapes.message_ids_in(text):
        found.add("message", identifier, "observed", fact)
        domain = identifier.rpartition("@")[2]
        if shapes.is_domain(domain):
            found.add("domain", domain, "observed", fact)
    for address in shapes.emails_in(text):
        if f"<{address}>" in text and keys.leaf in ("inreplyto", "references", "messageid"):
            continue  # a Message-ID looks like an address
        found.add("email", address, "observed", fact)
        if keys.words & _MAIL_WORDS:
            found.add("domain", address.rpartition("@")[2], "observed", fact)
    if not text.startswith("//"):
        for name in shapes.domains_in(shapes.without_urls(text)):
            found.add("domain", name, "observed", fact)
    for match in _USER_IN_TEXT.finditer(text):
        name = next(group for group in match.groups() if group)
        if name.lower() not in NOBODY:
            found.add("user", name, "observed", fact)
    for match in _HOST_IN_TEXT.finditer(text):
        found.add("host", match.group(1), "observed", fact)
    if "_" in text and keys.words & {"env", "environment", "secrets", "vars"}:
        for name in _SECRET_NAME.findall(text):
            found.add("access_key", name, "observed", fact)


def _cloud(found: Found, leaf: Leaf, text: str, fact: str) -> None:
    """Names of cloud things. A field that holds nothing but an ARN or an id says who acted; prose only names."""
    alone = not any(char.isspace() for char in text) and bool(
        leaf.keys.words & {"arn", "id", "principal", "by", "identity", "instance", "resource", "role", "key"}
    )
    actor: EntityRole = "actor" if alone else "observed"
    for key in shapes.access_keys_in(text):
        found.add("access_key", key, actor, fact)
    for instance in shapes.instances_in(text):
        found.add("host", instance, "subject" if alone else "observed", fact)
    for arn, account, resource in shapes.arns_in(text):
        if account:
            found.add("cloud_account", account, "observed", fact)
        kind, _, rest = resource.partition("/")
        if kind in ("user", "assumed-role") and rest:
            found.add("user", rest.rpartition("/")[2] if kind == "user" else rest.partition("/")[0], actor, fact)
            session = rest.partition("/")[2]
            if "@" in session and kind == "assumed-role":
                found.add("user", session, actor, fact)
        elif not resource.startswith(("finding", "detector", "product")):
            found.add("resource", arn, "observed", fact)
