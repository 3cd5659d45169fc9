"""CISA's Known Exploited Vulnerabilities: the shipped facts, or the whole catalogue from a file that the user fetched.

The catalogue is CC0. Aegis ships facts only (id, vendor, product, date, ransomware use); a user's
file brings the descriptions too.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents.errors import InputError, LimitExceeded
from aegis_agents.intel.documents import KEV_LICENCE, Document

SHIPPED_KEV = Path(__file__).with_name("data") / "kev_facts.json.gz"
SHIPPED_VERSION = "2025.08.25"
"""Catalogue version of the shipped facts; a snapshot built from other shipped facts is stale."""

MAX_BYTES = 64 * 1024 * 1024
CVE_ID = re.compile(r"CVE-\d{4}-\d{4,12}", re.ASCII)
_FIX = "fetch known_exploited_vulnerabilities.json from cisa.gov again"
_FACTS = ("cveID", "vendorProject", "product", "dateAdded", "knownRansomwareCampaignUse")
_TEXTS = ("vulnerabilityName", "shortDescription", "requiredAction")


class Kev(NamedTuple):
    """A catalogue: its version and its documents."""

    version: str
    documents: list[Document]


def kev_documents(path: Path) -> Kev:
    """Read a catalogue in CISA's JSON, plain or gzipped.

    Raises InputError naming the field that is wrong, LimitExceeded above 64 MiB.
    """
    catalogue = _read(path)
    documents: dict[str, Document] = {}
    for index, item in enumerate(catalogue["vulnerabilities"]):
        document = kev_document(item, f"vulnerabilities[{index}]")
        if document.id in documents:
            raise InputError(f"{document.id} is listed twice", field=f"vulnerabilities[{index}].cveID", fix=_FIX)
        documents[document.id] = document
    return Kev(catalogue["catalogVersion"], list(documents.values()))


def write_facts(source: Path, target: Path) -> None:
    """Reduce CISA's file to the facts that Aegis ships. The same input gives the same bytes."""
    catalogue = _read(source)
    for index, item in enumerate(catalogue["vulnerabilities"]):
        kev_document(item, f"vulnerabilities[{index}]")  # every fact that is shipped can be read again
    facts = {
        "catalogVersion": catalogue["catalogVersion"],
        "source": "CISA Known Exploited Vulnerabilities Catalog (CC0-1.0), facts only",
        "vulnerabilities": [{k: item[k] for k in _FACTS} for item in catalogue["vulnerabilities"]],
    }
    packed = json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode()
    target.write_bytes(gzip.compress(packed, compresslevel=9, mtime=0))


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if raw[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as unpacked:
                raw = unpacked.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"can't be read: {error}", field=str(path), fix=_FIX) from error
    if len(raw) > MAX_BYTES:
        raise LimitExceeded(f"larger than {MAX_BYTES} bytes", field=str(path), fix=_FIX)
    try:
        return kev_catalogue(json.loads(raw), str(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", field=str(path), fix=_FIX) from error


def kev_catalogue(catalogue: object, name: str) -> dict[str, Any]:
    """The catalogue that a JSON value is: "catalogVersion" is text, "vulnerabilities" a list. Raises InputError.

    `name` is what to call the file in the error.
    """
    if not isinstance(catalogue, dict):
        raise InputError("is not a JSON object", field=name, fix=_FIX)
    for field, kind in (("catalogVersion", str), ("vulnerabilities", list)):
        if not isinstance(catalogue.get(field), kind):
            raise InputError(f"is missing or not a {kind.__name__}", field=field, fix=_FIX)
    return catalogue


def kev_document(item: object, where: str) -> Document:
    """One entry of the catalogue. Raises InputError naming its field that is wrong, behind `where`."""
    if not isinstance(item, dict):
        raise InputError("is not an object", field=where, fix=_FIX)
    cve, vendor, product, added, ransomware = (_text(item, field, where) for field in _FACTS)
    if not CVE_ID.fullmatch(cve):
        raise InputError(f"{cve[:40]!r} is not a CVE id", field=f"{where}.cveID", fix=_FIX)
    try:
        dt.date.fromisoformat(added)
    except ValueError as error:
        raise InputError(f"{added[:40]!r} is not a date", field=f"{where}.dateAdded", fix=_FIX) from error
    name = product if product.casefold().startswith(vendor.casefold()) else f"{vendor} {product}"
    used = "known" if ransomware == "Known" else "not known"
    told = {field: _text(item, field, where) for field in _TEXTS if field in item}
    described = " ".join(text for field, text in told.items() if field != "requiredAction")
    return Document(
        corpus="kev", id=cve, title=f"{cve}: {name}", licence=KEV_LICENCE,
        text=f"{cve} in {name} is exploited in the wild; in CISA's KEV catalogue since {added}. "
        f"Use in ransomware campaigns: {used}. {' '.join(told.values())}",
        # An id and a date mean nothing to an encoder, and what CISA requires is nearly always the same; without
        # them the many entries of one product share a vector, which is computed once.
        embedding_text=f"Exploited vulnerability in {name}. {described}".strip(),
    )  # fmt: skip


def _text(item: dict[str, Any], field: str, where: str) -> str:
    value = item.get(field)
    if not isinstance(value, str) or not value.strip():
        raise InputError("is missing or not text", field=f"{where}.{field}", fix=_FIX)
    return value.strip()
