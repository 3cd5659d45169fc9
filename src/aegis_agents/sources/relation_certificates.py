"""Did a certificate's holder issue it to itself?

Self-issued is what names one entity as issuer and subject (RFC 5280, section 3.2). It is told by the common name, where
there is one, since products leave out other parts of names. A house's own authority and a throw-away certificate look alike
field by field; this tells them apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from aegis_agents.sources.keys import word_set
from aegis_agents.sources.relation import Relation, View, named

_ABOUT: Final = word_set("tls ssl x509 cert certificate crt chain peercert clientcert servercert")
_ISSUER: Final = re.compile(r"(?:tls|ssl|x509|cert(?:ificate)?|crt)?issuer(?:d?n|cn|name|subject)?")
_SUBJECT: Final = re.compile(r"(?:tls|ssl|x509|cert(?:ificate)?|crt)?subject(?:d?n|cn|name)?")
_COMMON_NAME: Final = re.compile(r"(?i)(?:^|[,/;+\s])CN\s?=\s?([^,/;+]+)")
_NOT_KNOWN: Final = word_set("(empty) - -- ? unknown none null n/a unparsed")
_LONGEST: Final = 512
_MOST: Final = 2


def certificate_relations(views: Sequence[View]) -> list[Relation]:
    """For each issuer and subject that stand in one place and speak of a certificate."""
    places: dict[str, dict[str, View]] = defaultdict(dict)
    for view in views:
        if len(view.fact.value) > _LONGEST:
            continue
        kind = (
            "issuer" if _ISSUER.fullmatch(view.keys.leaf) else "subject" if _SUBJECT.fullmatch(view.keys.leaf) else None
        )
        certificate = (view.keys.words | view.keys.above) & _ABOUT or _COMMON_NAME.search(view.fact.value)
        if kind and certificate and view.fact.value.strip().lower() not in _NOT_KNOWN:
            places[view.fact.path.rpartition(".")[0]].setdefault(kind, view)
    relations: list[Relation] = []
    for place in places.values():
        if len(place) < 2:
            continue
        issuer, subject = place["issuer"], place["subject"]
        one, other = _name(issuer.fact.value), _name(subject.fact.value)
        how = "itself" if one.lower() == other.lower() else f"another: {one}"
        said = f"certificate of {other} issued by {how} {named(issuer, issuer.fact.value)}"
        relations.append(Relation("certificate_issuer", said, (subject.fact, issuer.fact)))
    return relations[:_MOST]


def _name(distinguished: str) -> str:
    """The common name where there is one, else all of it."""
    found = _COMMON_NAME.search(distinguished)
    return (found[1] if found else distinguished).strip()[:80]
