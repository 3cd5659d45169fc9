"""Sigma rules, as YAML files or JSON Lines: what each finds, where, how bad it is, and what it mistakes.

pySigma validates the rules; what they match is not stored, since Aegis searches for what a rule is about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.crosswalk import NEWER_TO_V18, TECHNIQUE_ID
from aegis_agents.intel.documents import Document
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import (
    Collected,
    SkipLog,
    attempt,
    json_items,
    observed,
    provenance,
    result,
    text_of,
    texts_of,
    too_deep,
)  # fmt: skip
from aegis_agents.intel.feeds.formats.yaml_documents import is_yaml, read_yaml
from aegis_agents.intel.feeds.parsed import Blob, Parsed

SIGMA_LICENCE = "DRL-1.1"
EMBEDDED = 200
"""Characters of the description that the vector is made from, behind the title."""

_FILES = (".yml", ".yaml", ".json", ".jsonl", ".ndjson")


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """One document for each rule: under its UUID from a feed of high trust, else with the feed's name in front."""
    skips = SkipLog()
    collected = Collected(skips)
    came = provenance(feed, fetched_at, SIGMA_LICENCE)
    newest = None
    for where, item in entries(blobs, skips):
        if not isinstance(item, dict) or too_deep(item):
            skips.add(where, "is no rule" if not isinstance(item, dict) else "is nested too deep")
            continue
        rule = {str(k): v for k, v in item.items() if v is not None}
        why = _invalid(rule)
        if why is not None:
            skips.add(where, why)
            continue
        seen = observed(rule.get("modified") or rule.get("date"), fetched_at)
        newest = max((t for t in (newest, seen) if t is not None), default=None)
        document = attempt(lambda rule=rule, seen=seen: _document(rule, feed, came, seen), where, skips)  # type: ignore[misc]
        if document is not None:
            collected.put(document, where)
    return result(feed, f"of {(newest or fetched_at).date().isoformat()}", collected, skips)


def entries(blobs: Sequence[Blob], skips: SkipLog) -> Iterator[tuple[str, object]]:
    """Every document of YAML files and every item of JSON ones; files that can't be read are skipped."""
    for blob in blobs:
        if len(blobs) > 1 and not blob.name.lower().endswith(_FILES):
            skips.add(blob.name, "is neither YAML nor JSON")
            continue
        try:
            if is_yaml(blob):
                documents = read_yaml(blob)
                several = [
                    (f"{blob.name}[{n}]" if len(documents) > 1 else blob.name, d) for n, d in enumerate(documents)
                ]
            else:
                several = list(json_items(blob, skips))
        except InputError as error:
            skips.add(blob.name, error.message)
        else:
            yield from several


def _invalid(rule: dict[str, Any]) -> str | None:
    """Why pySigma refuses the rule, None if it does not."""
    try:
        from sigma.correlations import SigmaCorrelationRule
        from sigma.exceptions import SigmaError
        from sigma.rule import SigmaRule
    except ImportError as error:
        raise IntelError(f'{error.name} is not installed: pip install "aegis-soc-agents[feeds]"') from error
    try:
        kind: Any = SigmaCorrelationRule if "correlation" in rule else SigmaRule
        read = kind.from_dict(rule, collect_errors=True)
    except RecursionError:
        return "is nested too deep"
    # Besides its own errors: what pySigma's parsers raise for values of a wrong type.
    except (SigmaError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        return f"is no Sigma rule: {error}"
    if read.errors:
        return f"is no Sigma rule: {read.errors[0]}"
    return None if isinstance(read.id, UUID) else "has no id, so that it can't be told from others"


def _document(rule: Mapping[str, Any], feed: Feed, came: Mapping[str, Any], seen: dt.datetime | None) -> Document:
    key = str(UUID(str(rule["id"])))
    title, description = text_of(rule.get("title"), 300), text_of(rule.get("description"))
    tags = [t.removeprefix("attack.") for t in texts_of(rule.get("tags")) if t.startswith("attack.")]
    techniques = [t.upper() for t in tags if TECHNIQUE_ID.fullmatch(t.upper())]
    tactics = [t.replace("-", " ").replace("_", " ") for t in tags if not any(c.isdigit() for c in t)]
    source = rule.get("logsource")
    where = [f"{k} {text_of(source.get(k), 60)}" for k in ("product", "category", "service") if text_of(source.get(k), 60)] \
        if isinstance(source, dict) else []  # fmt: skip
    parts = [f"{title}.", description]
    parts += [f"Log source: {', '.join(where)}."] if where else []
    parts += [f"Level: {level}."] if (level := text_of(rule.get("level"), 20)) else []
    if techniques or tactics:
        both = [f"{t} ({NEWER_TO_V18[t]} in v18.1)" if t in NEWER_TO_V18 else t for t in techniques]
        parts.append(f"ATT&CK: {', '.join([*both, *tactics])}.")
    if mistakes := texts_of(rule.get("falsepositives"), 10):
        parts.append(f"False positives: {'; '.join(mistakes)}.")
    vouched = feed.trust == "high"
    return Document(
        corpus="rule", id=key if vouched else f"{feed.name}/{key}", title=title, text=" ".join(parts),
        technique=techniques[0] if techniques else None, aliases=() if vouched else (key,),
        embedding_text=f"{title}. {description[:EMBEDDED]}", observed_at=seen, **came,
    )  # fmt: skip
