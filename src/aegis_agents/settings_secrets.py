"""Secrets: from the environment, a credentials folder or the keyring, never from a settings file.

A settings file is copied, committed and mailed; a secret in it is refused. What may stand there, as in any variable, is
a reference, which is looked up each time the secret is used and shows nothing:

    keyring:SERVICE/NAME   in the system's keyring (extra keyring)
    credential:NAME        a file of a credentials folder: systemd's LoadCredential, Docker's and Kubernetes' secrets
    env:NAME               an environment variable
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, SecretStr

from aegis_agents.errors import SettingsError

_REFERENCE = re.compile(r"(?P<kind>keyring|credential|env):(?P<rest>.+)", re.DOTALL)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MOST = 1 << 20
"""Bytes of a credential's file."""

Path_ = tuple[str | int, ...]


class Lookups:
    """Where references are looked up; settings.py, which alone reads the environment, gives the means."""

    def __init__(self, variable: Callable[[str], str | None], folders: Callable[[], Sequence[Path]]) -> None:
        self._variable, self._folders = variable, folders

    def secret(self, reference: str) -> str:
        """The secret that a reference means. Raises SettingsError naming the reference, never the secret."""
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            raise SettingsError("a reference is keyring:SERVICE/NAME, credential:NAME or env:NAME")
        return {"keyring": self._keyring, "credential": self._credential, "env": self._env}[found["kind"]](
            found["rest"]
        )

    def _keyring(self, rest: str) -> str:
        service, slash, name = rest.rpartition("/")
        if not slash or not service or not name:
            raise SettingsError(f"keyring:{rest}: write keyring:SERVICE/NAME")
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError as error:
            raise SettingsError(f"keyring:{rest}: needs pip install 'aegis-soc-agents[keyring]'") from error
        try:
            value = keyring.get_password(service, name)
        except KeyringError as error:
            raise SettingsError(f"keyring:{rest}: the keyring can't be read: {type(error).__name__}") from error
        if not value:
            raise SettingsError(f"keyring:{rest}: not there; put it in with `keyring set {service} {name}`")
        return str(value)

    def _credential(self, name: str) -> str:
        if not _FILE.fullmatch(name):
            raise SettingsError("credential: the name of a file, of letters, digits, dots, hyphens and underscores")
        for folder in self._folders():
            try:
                with (folder / name).open("rb") as file:
                    text = file.read(_MOST).decode("utf-8").rstrip("\r\n")
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"credential:{name}: can't be read: {type(error).__name__}") from None
            if text:
                return text
        raise SettingsError(
            f"credential:{name}: not there; give it with LoadCredential={name}:FILE (systemd) or as /run/secrets/{name}"
        )

    def _env(self, name: str) -> str:
        value = self._variable(name)
        if not value:
            raise SettingsError(f"env:{name}: the variable is not set")
        return value


class Referred(SecretStr):
    """A secret that is looked up when it is used, and kept nowhere."""

    def __init__(self, reference: str, lookups: Lookups) -> None:
        super().__init__(reference)
        self._lookups = lookups

    @property
    def reference(self) -> str:
        """Where it is looked up; no secret."""
        return self._secret_value

    def get_secret_value(self) -> str:
        """The secret. Raises SettingsError where it can't be had."""
        return self._lookups.secret(self._secret_value)

    def _display(self) -> str:
        return "**********"


def is_reference(text: str) -> bool:
    """Whether this is a reference and no secret."""
    return _REFERENCE.fullmatch(text) is not None


def refer(model: type[BaseModel], given: Mapping[str, Any], lookups: Lookups) -> dict[str, Any]:
    """What was given, each reference in the place of a secret made one that is looked up at use."""

    def referred(value: Any) -> Any:
        text = value._secret_value if isinstance(value, SecretStr) and not isinstance(value, Referred) else value
        return Referred(text, lookups) if isinstance(text, str) and is_reference(text) else value

    changed: dict[str, Any] = _changed(dict(given), [place for place, _ in _places(model, given)], referred)
    return changed


def plain_secrets(model: type[BaseModel], given: Mapping[str, Any]) -> list[str]:
    """The settings among these that hold a secret as it is, as "server.webhooks.0.secret"."""
    return [
        ".".join(map(str, place)) for place, value in _places(model, given)
        if isinstance(value, str) and value and not is_reference(value) and not (place == ("database",) and not _has_password(value))
    ]  # fmt: skip


def secrets_of(model: BaseModel) -> dict[str, str]:
    """The secrets that are set, and how: "given", or the reference. None is looked up."""
    found = {}
    for place, value in _places(type(model), model):
        if isinstance(value, SecretStr):
            found[".".join(map(str, place))] = value.reference if isinstance(value, Referred) else "given"
    return found


def _has_password(address: str) -> bool:
    """Whether a database's address carries a password; one without may stand in a file."""
    try:
        where = urlsplit(address)
        if where.scheme:
            return where.password is not None or "password" in parse_qs(where.query)
    except ValueError:
        return True
    return "password" in address.lower()


def _changed(value: Any, places: Sequence[Path_], change: Callable[[Any], Any]) -> Any:
    """A copy with what is at these places changed."""
    if any(not place for place in places):
        return change(value)
    heads = {place[0] for place in places}
    below = {head: [place[1:] for place in places if place[0] == head] for head in heads}
    if isinstance(value, Mapping):
        return {k: _changed(v, below[k], change) if k in heads else v for k, v in value.items()}
    if isinstance(value, BaseModel):
        return value.model_copy(update={str(k): _changed(getattr(value, str(k)), below[k], change) for k in heads})
    return type(value)(_changed(v, below[i], change) if i in heads else v for i, v in enumerate(value))


def _places(model: type[BaseModel], given: Mapping[str, Any] | BaseModel) -> Iterator[tuple[Path_, Any]]:
    """Where secrets stand in what was given, and what stands there: found by the types of the fields."""
    for name, kind in _fields(model):
        value = given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)
        if value is not None:
            yield from (((name, *place), found) for place, found in _within(kind, value))


def _within(kind: Any, value: Any) -> Iterator[tuple[Path_, Any]]:
    if isinstance(kind, type) and issubclass(kind, SecretStr):
        yield (), value
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if isinstance(value, Mapping | BaseModel):
            yield from _places(kind, value)
    elif get_origin(kind) in (Union, types.UnionType):
        seen = set()
        for one in get_args(kind):
            for place, found in _within(one, value):
                if place not in seen:
                    seen.add(place)
                    yield place, found
    elif get_origin(kind) is dict:
        if isinstance(value, Mapping):
            for key, one in value.items():
                yield from (((key, *place), found) for place, found in _within(get_args(kind)[1], one))
    elif get_origin(kind) in (tuple, list) and isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from (((index, *place), found) for place, found in _within(get_args(kind)[0], one))
    elif hasattr(kind, "__metadata__"):  # Annotated, a discriminated union say
        yield from _within(get_args(kind)[0], value)


@lru_cache(maxsize=64)
def _fields(model: type[BaseModel]) -> tuple[tuple[str, Any], ...]:
    """The fields of a model that hold, or may hold below them, a secret."""
    return tuple((name, field.annotation) for name, field in model.model_fields.items() if _may_hold(field.annotation))


def _may_hold(kind: Any) -> bool:
    if isinstance(kind, type) and not get_args(kind):
        return issubclass(kind, SecretStr) or (issubclass(kind, BaseModel) and bool(_fields(kind)))
    return any(_may_hold(one) for one in get_args(kind))
