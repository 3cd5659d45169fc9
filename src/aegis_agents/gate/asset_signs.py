"""Signs that an asset is protected, in the customer's own facts and in names.

They only ever raise protection. Tags and descriptions count where the customer or
the sensor wrote them; a name counts whoever wrote it, since at worst a person is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from aegis_agents.gate.spelling import readings
from aegis_agents.records import Fact

_WORDS: Final[Mapping[str, re.Pattern[str]]] = {
    group: re.compile(pattern)
    for group, pattern in {
        "domain_controllers": r"(?i)\b(domain[ _-]?controllers?|tier[ _-]?(0|zero)|active directory server|krbtgt)\b",
        "ot": r"\bOT\b|\bICS\b|(?i:\b(scada|plcs?|hmi|rtus?|operational[ _-]technology|industrial control"
        r"|engineering[ _-]workstation|safety[ _-]instrumented|control room|purdue|substation)\b)",
        "payments": r"(?i)\b(payments?|pci([ _-]?dss)?|card ?holder|swift)\b",
        "production_databases": r"(?i)\b(prod(uction)?[ _-]*(db|databases?)|(live|primary)[ _-](\w+[ _-])?(db"
        r"|databases?)"
        r"|(db|databases?)[ _:-]*prod(uction)?)\b",
        "executives": r"\bC[EFIOT]{1,2}O\b|\bCISO\b|(?i:\b(executives?|vip|c[ _-](suite|level)|priority account"
        r"|chief \w+ (\w+ )?officer|board member|managing director)\b)",
        "break_glass": r"(?i)\b(break[ _-]?glass|emergency[ _-](access|accounts?|admin)|fire[ _-]?call)\b",
        "shared_infrastructure": r"(?i)\b(resolvers?|(dns|name)[ _-]?servers?|prox(y|ies)|egress|nat[ _-]?(gateway"
        r"|range|pool|gw)"
        r"|load[ _-]?balancers?|api[ _-]?server|control[ _-]plane|(mail|vpn|default)[ _-](gateway|relay|concentrator)"
        r"|bastion|jump[ _-]?(host|server)|sase)\b",
    }.items()
}

_NAME_TOKENS: Final[Mapping[str, frozenset[str]]] = {
    "domain_controllers": frozenset({"dc", "adc", "pdc", "rodc", "addc", "krbtgt"}),
    "ot": frozenset({"ot", "otgw", "ics", "scada", "plc", "hmi", "rtu", "dcs", "ews", "sis", "historian"}),
    "payments": frozenset({"pay", "payment", "payments", "pci", "pos", "swift"}),
    "shared_infrastructure": frozenset(
        {"dns", "ns", "resolver", "proxy", "nat", "egress", "lb", "gw", "gateway", "vpn", "bastion", "fw", "firewall"}
    ),
}
_DATABASE: Final = frozenset(
    {
        "db", "database", "sql", "pg", "psql", "postgres", "postgresql", "mysql", "mssql", "mariadb", "oracle",
        "ora", "mongo", "mongodb", "cassandra",
    }
)  # fmt: skip
_PRODUCTION: Final = frozenset({"prod", "prd", "production", "live"})
_USER_TOKENS: Final[Mapping[str, frozenset[str]]] = {
    "executives": frozenset({"ceo", "cfo", "cio", "coo", "cso", "cto", "ciso"}),
    "break_glass": frozenset({"bg", "breakglass", "firecall", "emergency"}),
    "domain_controllers": frozenset({"krbtgt"}),
}

_TOKEN = re.compile(r"[a-z]+")
_MACHINES = frozenset({"host", "resource", "pod"})
_TELLING = re.compile(
    r"(?i)tag|label|role|categor|group|critical|tier|ou$|type|descr|comment|title|priority|business|function"
    r"|location|zone|segment|network|asset|note"
)
"""Leaves of a path under which a sensor carries what an asset is for. Elsewhere its words are about the event."""


@lru_cache(maxsize=8192)
def groups_in_text(text: str) -> frozenset[str]:
    """Protected groups that a tag, role or description names."""
    text = unicodedata.normalize("NFKC", text[:2000])
    return frozenset(group for group, pattern in _WORDS.items() if pattern.search(text))


@lru_cache(maxsize=8192)
def groups_in_name(kind: str, name: str) -> frozenset[str]:
    """Protected groups that a host's or account's name suggests: dc01, PLC-BOIL-03, pg-orders-prod-01, bg-admin-02."""
    return frozenset().union(*(_suggested(kind, reading) for reading in readings(name)))


def _suggested(kind: str, name: str) -> frozenset[str]:
    tokens = frozenset(_TOKEN.findall(name))
    if kind in _MACHINES or (kind == "user" and name.endswith("$")):
        found = {group for group, words in _NAME_TOKENS.items() if tokens & words}
        if tokens & _DATABASE and tokens & _PRODUCTION:
            found.add("production_databases")
        return frozenset(found)
    if kind in ("user", "email"):
        found = {group for group, words in _USER_TOKENS.items() if tokens & words}
        if {"break", "glass"} <= tokens:
            found.add("break_glass")
        return frozenset(found)
    return frozenset()


def groups_in_fact(fact: Fact) -> frozenset[str]:
    """Protected groups that a fact of the customer, or a telling field of the sensor, names."""
    if fact.trust == "external":
        return frozenset()
    if fact.trust == "product" and not _TELLING.search(fact.path.rsplit(".", 1)[-1]):
        return frozenset()
    return groups_in_text(fact.value)
