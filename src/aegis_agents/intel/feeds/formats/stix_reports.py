"""STIX objects that tell of something (malware, actors, reports, notes, opinions ...) as documents to be searched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from aegis_agents.errors import IntelError
from aegis_agents.intel.documents import Document
from aegis_agents.intel.feeds.formats.common import text_of, texts_of
from aegis_agents.intel.kev import CVE_ID

REPORTS: Mapping[str, str] = {
    "attack-pattern": "Attack pattern", "campaign": "Campaign", "course-of-action": "Course of action",
    "intrusion-set": "Intrusion set", "malware": "Malware", "note": "Note", "opinion": "Opinion", "report": "Report",
    "threat-actor": "Threat actor", "tool": "Tool", "vulnerability": "Vulnerability",
}  # fmt: skip
"""Type → what to call it."""


def report_document(
    key: str, item: Mapping[str, Any], came: Mapping[str, Any], *,
    related: Sequence[str], observed_at: dt.datetime | None,
) -> Document | str:  # fmt: skip
    """The object as a document, or why it is not usable. Found by its STIX id, a vulnerability also by its CVE id."""
    why = _invalid(item)
    if why is not None:
        return why
    kind = REPORTS[item["type"]]
    name = text_of(item.get("name"), 300) or text_of(item.get("abstract"), 300)
    if not name:
        opinion = text_of(item.get("opinion"), 40)
        name = f"{kind} ({opinion})" if opinion else kind
    others = [a for a in texts_of(item.get("aliases"), 20) if a != name]
    parts = [f"{kind} {name}." if name != kind else f"{kind}."]
    parts += [f"Also known as: {', '.join(others)}."] if others else []
    parts += [text for field in ("description", "content", "explanation") if (text := text_of(item.get(field)))]
    labels = [*texts_of(item.get(f"{item['type'].replace('-', '_')}_types"), 10), *texts_of(item.get("labels"), 10)]
    parts += [f"Labels: {', '.join(labels)}."] if labels else []
    parts += [f"Relations: {'; '.join(related)}."] if related else []
    if len(parts) == 1 and item["type"] in ("note", "opinion", "report"):
        return "says nothing"
    return Document(
        corpus="report", id=f"{came['feed']}/{key}", title=name, text=" ".join(parts),
        aliases=(key, *_cves(item)), observed_at=observed_at, **came,
    )  # fmt: skip


def _cves(item: Mapping[str, Any]) -> list[str]:
    if item["type"] != "vulnerability":
        return []
    references = item.get("external_references")
    ids = [r.get("external_id") for r in references if isinstance(r, dict)] if isinstance(references, list) else []
    named = [text_of(i, 30).upper() for i in [*ids[:20], item.get("name")]]
    return list(dict.fromkeys(i for i in named if CVE_ID.fullmatch(i)))


def _invalid(item: Mapping[str, Any]) -> str | None:
    """Why stix2 refuses the object, None if it does not. Properties that it does not know are let be."""
    try:
        import stix2
        from stix2.exceptions import STIXError
    except ImportError as error:
        raise IntelError(f'{error.name} is not installed: pip install "aegis-soc-agents[feeds]"') from error
    try:
        stix2.parse(dict(item), allow_custom=True)
    except RecursionError:
        return "is nested too deep"
    # Besides its own errors stix2 lets through what its parsers raise for values of a wrong type.
    except (STIXError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        return f"is no valid STIX: {error}"
    return None
