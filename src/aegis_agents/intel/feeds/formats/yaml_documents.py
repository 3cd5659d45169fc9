"""YAML from strangers: no anchors, no aliases, no depth.

libyaml's parser only counts, but PyYAML's C loader builds nodes by recursion without a limit: 100,000 brackets end
the process (PyYAML 6.0.3). So every file is first run through the parser, which is the cheaper part.
"""

from __future__ import annotations

from aegis_agents.errors import InputError, IntelError, LimitExceeded
from aegis_agents.intel.feeds.parsed import Blob
from aegis_agents.intel.feeds.unpack import decode_text

MAX_YAML = 512 * 1024
"""Bytes of one file; the largest Sigma rule has 40 KB."""

MAX_LEVELS = 32


def read_yaml(blob: Blob) -> list[object]:
    """The documents of a YAML file, of plain types only.

    Raises InputError for what is no YAML or uses anchors (with aliases, a few lines stand for billions), LimitExceeded
    for what is too big or too deep.
    """
    try:
        import yaml
    except ImportError as error:
        raise IntelError(f'{error.name} is not installed: pip install "aegis-soc-agents[feeds]"') from error
    text = decode_text(blob)
    if len(blob.content) > MAX_YAML:
        raise LimitExceeded(f"has more than {MAX_YAML:,} bytes", field=blob.name, fix="split the file")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(text, loader):
            if getattr(event, "anchor", None) is not None:
                raise InputError("has anchors or aliases", field=blob.name, fix="write the values out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_LEVELS:
                raise LimitExceeded(f"is nested deeper than {MAX_LEVELS}", field=blob.name, fix="check the file")
        # A safe loader, which makes plain types only.
        return [document for document in yaml.load_all(text, loader) if document is not None]
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        # Besides its own errors: what its constructors raise ("2030-99-99" as a date, a list as a key).
        raise InputError(f"is not YAML: {error}", field=blob.name, fix="check the file") from error


def is_yaml(blob: Blob) -> bool:
    """Whether to read a file as YAML: by its name, or, without a telling one, by its beginning."""
    name = blob.name.lower()
    if name.endswith((".yml", ".yaml")):
        return True
    return not name.endswith((".json", ".jsonl", ".ndjson")) and blob.content.lstrip()[:1] not in (b"{", b"[")
