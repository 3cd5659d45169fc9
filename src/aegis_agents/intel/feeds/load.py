"""Reads the file that names the feeds: TOML, one table for each, `[name]` above its settings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr, ValidationError

from aegis_agents.errors import SettingsError
from aegis_agents.intel.feeds.config import Feed

_SECRETS = frozenset({"token", "password"})


def load_feeds(path: Path, tokens: Mapping[str, SecretStr] | None = None) -> list[Feed]:
    """The feeds of a file, in its order; paths in it are taken from where the file lies.

    `tokens` gives secrets, which may not stand in the file: by feed name its token, by "name.password" its password.
    Raises SettingsError naming the feed and the setting that is wrong, a secret that stands in the file, or a
    secret for a feed that is not there.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error} (feeds are TOML tables: [name], then kind = …)") from error
    tokens = tokens or {}
    if strange := sorted(key for key in tokens if key.removesuffix(".password") not in tables):
        raise SettingsError(
            f'{path}: feed_tokens names {strange[0]}, which is no feed there (say "name" for a token, '
            '"name.password" for a password)'
        )
    feeds = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {name} is not a table (write [{name}], then kind = …)")
        if shown := sorted(_SECRETS & table.keys()):
            key = name if shown[0] == "token" else f"{name}.password"
            raise SettingsError(
                f"{path}: [{name}] {shown[0]} is a secret, and a file is no place for one: take it out, and give "
                f'feed_tokens = {{"{key}" = "keyring:aegis/{key}"}} in the settings, or AEGIS_FEED_TOKENS'
            )
        named = {"token": tokens.get(name), "password": tokens.get(f"{name}.password")}
        given = table | {"name": name} | {key: secret for key, secret in named.items() if secret is not None}
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
