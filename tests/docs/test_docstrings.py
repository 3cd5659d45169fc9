"""Whoever asks help() of a public name is told what it does, and which errors to expect."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import aegis_agents
from aegis_agents import Aegis, errors
from aegis_agents.client import errors as client_errors

_ROOMS = (
    "aegis_agents",
    "aegis_agents.client",
    "aegis_agents.notebook",
    "aegis_agents.display",
    "aegis_agents.assistant",
)


def public_names() -> Iterator[tuple[str, Any]]:
    """Every name that a room exports, and what it is."""
    for room in _ROOMS:
        module = import_module(room)
        for name in module.__all__:
            if name != "__version__":
                yield f"{room}.{name}", getattr(module, name)


def public_methods() -> Iterator[tuple[str, type, Any]]:
    """The methods of the façade and of both clients, inherited ones too."""
    for cls in (Aegis, *(getattr(import_module("aegis_agents.client"), n) for n in ("Client", "AsyncClient"))):
        for name, member in inspect.getmembers_static(cls):
            if not name.startswith("_"):
                found = (
                    getattr(member, "func", None) or getattr(member, "__func__", None) or getattr(member, "fget", None)
                )
                yield f"{cls.__name__}.{name}", cls, found or member


_NAMES = dict(public_names())
_METHODS = {name: (cls, method) for name, cls, method in public_methods()}


@pytest.mark.parametrize("name", _NAMES)
def test_public_name_is_described(name: str) -> None:
    found = _NAMES[name]
    if isinstance(found, ModuleType) or callable(found):
        assert len((found.__doc__ or "").strip()) > 15, f"{name} has no docstring"


@pytest.mark.parametrize("name", _METHODS)
def test_public_method_is_described(name: str) -> None:
    method = _METHODS[name][1]
    assert len((inspect.getdoc(method) or "").strip()) > 10, f"{name} has no docstring"


def raised_in(method: Any) -> set[str]:
    """Names of the errors that a function raises itself: `raise X(...)` and `raise X`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    except (OSError, TypeError):
        return set()
    found = {node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    called = {e.func if isinstance(e, ast.Call) else e for e in found}
    return {c.id for c in called if isinstance(c, ast.Name) and c.id[:1].isupper()}


def is_told(name: str, told: str) -> bool:
    """Whether a text names this error or one of its bases."""
    for module in (errors, client_errors, builtins):
        kind = getattr(module, name, None)
        if isinstance(kind, type) and any(base.__name__ in told for base in kind.__mro__[:-2] if base is not Exception):
            return True
    return name in told


@pytest.mark.parametrize("name", _METHODS)
def test_errors_are_told(name: str) -> None:
    """What a method raises itself stands in its docstring, or in that of its class or a class that it comes from."""
    cls, method = _METHODS[name]
    told = "\n".join([inspect.getdoc(method) or "", *(base.__doc__ or "" for base in cls.__mro__)])
    missing = sorted(error for error in raised_in(method) if not is_told(error, told))
    assert not missing, f"{name} raises {', '.join(missing)} and does not say so"


def test_raises_are_found() -> None:
    """The test above would see one: it does find those that are told."""
    assert raised_in(Aegis.case) == {"InputError"}
    assert raised_in(Aegis.demote) == {"InputError", "ActionError"}
    assert not is_told("InputError", "Raises ActionError.")
    assert is_told("LimitExceeded", "Raises InputError.")


def test_every_error_has_its_place_in_the_tree() -> None:
    """The picture on top of each errors module has every class of it."""
    for module in (errors, client_errors):
        classes = [n for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, Exception)]
        assert [n for n in classes if n not in (module.__doc__ or "")] == []


def test_version_is_public() -> None:
    assert aegis_agents.__version__
