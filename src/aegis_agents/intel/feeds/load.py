"""Reads the file that names the feeds: TOML, one table for each, `[name]` above its settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError

from aegis_agents.errors import SettingsError
from aegis_agents.intel.feeds.config import Feed


def load_feeds(path: Path, tokens: Mapping[str, SecretStr] | None = None) -> list[Feed]:
    """The feeds of a file, in its order; paths in it are taken from where the file lies.

    `tokens` gives secrets by feed name, so that none need stand in the file. Raises SettingsError
    naming the feed and the setting that is wrong, or a token for a feed that is not there.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error} (feeds are TOML tables: [name], then kind = …)") from error
    tokens = tokens or {}
    if strange := sorted(set(tokens) - set(tables)):
        raise SettingsError(f"{path}: feed_tokens names {strange[0]}, which is no feed there")
    feeds = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {name} is not a table (write [{name}], then kind = …)")
        given = table | {"name": name} | ({"token": tokens[name]} if name in tokens else {})
        if isinstance(given.get("path"), str):
            given["path"] = path.parent / given["path"]
        try:
            feeds.append(Feed(**given))
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'feed'}: {e['msg']}" for e in error.errors(include_url=False)
            )
            raise SettingsError(f"{path}: [{name}] {wrong}") from None  # its trace would show what was given
    return feeds
