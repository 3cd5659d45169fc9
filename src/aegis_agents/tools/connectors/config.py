"""Reads the file that names the connectors: TOML, one table for each, [a name of your own] above its settings.

    [okta-emea]
    kind = "okta"
    org_url = "https://corp.okta.com"
    actions = ["disable_user"]            # default: all that it can do
    targets = ["*@emea.corp.example"]     # default: every target; the first in the file that fits takes it

Other keys are the parameters of the kind's class, checked by its signature.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import PydanticUserError, SecretStr, TypeAdapter, ValidationError

from aegis_agents.errors import SettingsError
from aegis_agents.records import CATALOGUE, ActionName
from aegis_agents.tools.connectors.configured import ConfiguredConnector
from aegis_agents.tools.connectors.protocol import ConfigurableConnector
from aegis_agents.tools.connectors.registry import connector_class, missing_modules

_OURS = frozenset({"kind", "actions", "targets"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ConnectorEntry:
    """One table of the file, checked but not built. `arguments` may hold secrets and is not shown."""

    name: str
    made: type[ConfigurableConnector]
    arguments: Mapping[str, Any] = field(repr=False)
    actions: frozenset[ActionName] | None
    targets: tuple[str, ...]
    where: str

    @property
    def kind(self) -> str:
        """What it is."""
        return self.made.kind

    @property
    def takes(self) -> frozenset[ActionName]:
        """The actions that it is there for; none where that takes a package that is missing."""
        if self.actions is not None:
            return self.actions
        able = getattr(self.made, "actions", None)
        if isinstance(able, frozenset):
            return able
        return frozenset() if self.missing else self.build().actions

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules that it needs and that are not installed."""
        return missing_modules(self.made.extra)

    def build(self) -> ConfiguredConnector:
        """The connector. Raises SettingsError if its extra is missing or it finds its settings wrong."""
        if self.missing:
            raise SettingsError(
                f"{self.where} {', '.join(self.missing)} is not installed: "
                f'pip install "aegis-soc-agents[{self.made.extra}]"'
            )
        try:
            inner = self.made(**self.arguments, **self._narrowed())
        except SettingsError as error:
            raise SettingsError(f"{self.where} {error}") from error
        able = frozenset(inner.actions)
        wanted = able if self.actions is None else self.actions
        if odd := sorted(wanted - able):
            raise SettingsError(f"{self.where} actions: {self.kind} can't {odd[0]} (it can {', '.join(sorted(able))})")
        return ConfiguredConnector(inner, name=self.name, kind=self.kind, actions=wanted, targets=self.targets)

    def _narrowed(self) -> dict[str, Any]:
        """The actions, for a class that wants to know: what others need may then be missing."""
        knows = "actions" in inspect.signature(self.made).parameters
        return {"actions": sorted(self.actions)} if knows and self.actions is not None else {}


def load_connectors(path: Path, secrets: Mapping[str, SecretStr] | None = None) -> list[ConfiguredConnector]:
    """The connectors of a file, in its order, ready to act; nothing is contacted yet. Errors as read_connectors()."""
    return [entry.build() for entry in read_connectors(path, secrets)]


def read_connectors(path: Path, secrets: Mapping[str, SecretStr] | None = None) -> list[ConnectorEntry]:
    """The tables of a file, checked. Paths in it are taken from where the file lies.

    `secrets` gives what may not stand in the file, by "name.parameter". Raises SettingsError naming file, table
    and key: an unknown kind or key, one that is missing or of the wrong type, a secret that stands in the file,
    a secret for a table or parameter that is not there, a file that others may change.
    """
    tables = _read(path)
    entries = []
    left = dict(secrets or {})
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {name!r} is not a table (write [name], then kind = …)")
        if not _NAME.fullmatch(name) or name == "outbox":
            raise SettingsError(
                f'{path}: {name!r} is no name: use letters, digits, ".", "-" and "_", at most 64, and not "outbox"'
            )
        given = {key.rpartition(".")[2]: left.pop(key) for key in list(left) if key.rpartition(".")[0] == name}
        entries.append(_entry(path, name, table, given))
    if left:
        raise SettingsError(
            f'{path}: connector_secrets names {min(left)}, which is no connector there (say "name.parameter")'
        )
    return entries


def _read(path: Path) -> dict[str, Any]:
    """The tables of a file that nobody but its owner may change (asked of the very file that was read)."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            tables = tomllib.loads(file.read().decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error} (connectors are TOML tables: [name], then kind = …)") from error
    if os.name == "posix" and mode & 0o022:  # elsewhere the mode says nothing
        # Who may change an address here is who gets the secret that goes there.
        raise SettingsError(f"{path}: others may change this file: chmod go-w it")
    return tables


def _entry(path: Path, name: str, table: dict[str, Any], given: dict[str, SecretStr]) -> ConnectorEntry:
    where = f"{path}: [{name}]"
    kind = table.get("kind")
    if not isinstance(kind, str):
        raise SettingsError(f'{where} kind is missing (kind = "okta", for example)')
    try:
        made = connector_class(kind)
    except SettingsError as error:
        raise SettingsError(f"{where} {error}") from error
    parameters = _parameters(made)
    values = {key: value for key, value in table.items() if key not in _OURS}
    if shown := sorted(made.secrets & values.keys()):
        raise SettingsError(
            f"{where} {shown[0]} is a secret, and a file is no place for one: take it out, and give "
            + _by_settings(f"{name}.{shown[0]}")
        )
    for key, secret in given.items():
        if key not in made.secrets:
            raise SettingsError(f"{where} connector_secrets: {key} is no secret of {kind} ({_listed(made.secrets)})")
        values[key] = secret.get_secret_value()
    if strange := sorted(values.keys() - parameters.keys()):
        raise SettingsError(f"{where} {strange[0]} is no setting of {kind} (it takes {_listed(parameters)})")
    for key, (_, needed) in parameters.items():
        if needed and key not in values:
            how = f" (a secret: give {_by_settings(f'{name}.{key}')})" if key in made.secrets else ""
            raise SettingsError(f"{where} {key} is missing{how}")
    arguments = {key: _checked(where, key, parameters[key][0], value, path.parent) for key, value in values.items()}
    return ConnectorEntry(name, made, arguments, _actions(where, table), _targets(where, table), where)


def _by_settings(key: str) -> str:
    return f'connector_secrets = {{"{key}" = "keyring:aegis/{key}"}} in the settings, or AEGIS_CONNECTOR_SECRETS'


def _parameters(made: type[ConfigurableConnector]) -> dict[str, tuple[Any, bool]]:
    """Configuration key → its type, and whether it must be given."""
    try:
        hints = get_type_hints(made.__init__)
    except (NameError, TypeError) as error:
        raise SettingsError(f"kind {made.kind!r}: its parameters' types can't be read: {error}") from error
    signature = inspect.signature(made)
    return {
        one.name: (hints.get(one.name, str), one.default is inspect.Parameter.empty)
        for one in signature.parameters.values()
        if one.name not in _OURS and one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
    }


def _checked(where: str, key: str, type_: Any, value: Any, folder: Path) -> Any:
    """The value as the parameter's type. TOML's types are JSON's (a list may be a tuple, a text a path), and
    nothing else is converted: "5" is no number, and 1 is not true."""
    try:
        found = TypeAdapter(type_).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        at = "".join(f"[{part!r}]" for part in first["loc"] if not str(part).startswith("function-"))
        # From None: the trace would show what was given.
        raise SettingsError(f"{where} {key}{at}: {first['msg']}") from None
    except PydanticUserError as error:
        raise SettingsError(f"{where} {key}: a file can't give what it takes ({type_})") from error
    return folder / found if isinstance(found, Path) else found


def _actions(where: str, table: dict[str, Any]) -> frozenset[ActionName] | None:
    if "actions" not in table:
        return None
    names = _texts(where, "actions", table["actions"])
    for name in names:
        if name not in CATALOGUE:
            raise SettingsError(f"{where} actions: there is no action {name!r} (there are {_listed(CATALOGUE)})")
    return frozenset(names)  # type: ignore[arg-type]  # all of them are in the catalogue


def _targets(where: str, table: dict[str, Any]) -> tuple[str, ...]:
    found = _texts(where, "targets", table["targets"]) if "targets" in table else ()
    for pattern in found:
        if meant := _network_meant(pattern):
            raise SettingsError(f"{where} targets: {pattern!r} fits nothing: the network is {meant}")
    return found


def _network_meant(pattern: str) -> str:
    """10.20.0.5/16 is an address within a network, and no network; "" where there is nothing to mend."""
    try:
        meant = str(ipaddress.ip_network(pattern, strict=False))
        ipaddress.ip_network(pattern)
    except ValueError as error:
        return meant if "host bits" in str(error) else ""
    return ""


def _texts(where: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) and v for v in value):
        raise SettingsError(f'{where} {key}: give a list of texts (["…"])')
    if not value:
        raise SettingsError(f"{where} {key}: an empty list takes nothing; leave {key} out, or drop the connector")
    return tuple(value)


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
