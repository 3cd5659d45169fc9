"""Parts of an object that are opened when first asked for, once, whichever thread asks first."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

__all__ = ["opened_once"]

T = TypeVar("T")


class _OpenedOnce(cached_property[T]):
    """A cached_property whose threads wait for each other at one lock of the object, `_building`.

    cached_property has no lock since Python 3.12: two threads would open two. Before, it had one for each
    property, and two that need each other, asked for at once, waited for each other without end.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Self | T:
        if instance is None:
            return self
        assert self.attrname is not None  # noqa: S101 - set when the class was made
        kept = instance.__dict__
        if self.attrname not in kept:
            with instance._building:
                if self.attrname not in kept:
                    kept[self.attrname] = self.func(instance)
        found: T = kept[self.attrname]
        return found


if TYPE_CHECKING:  # to who only reads it, it is a property; checkers then let it stand where a Protocol has one
    opened_once = property
else:
    opened_once = _OpenedOnce
