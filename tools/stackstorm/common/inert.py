"""Text of alerts made inert for StackStorm, which evaluates expressions in results too. build.sh copies this beside its users.

Orquesta evaluates what an expression yielded once more, and parameters are rendered with Jinja: a host that is named
`<% st2kv('system.secret', decrypt => true) %>` would be read as an order. So the marks of both are taken apart, `< %`.
"""

from __future__ import annotations

import re
from typing import Any

_MARKS = re.compile(r"<(?=%)|%(?=[>}])|\{(?=[{%#])|\}(?=\})|#(?=\})")


def inert(value: Any) -> Any:
    """The same value, every text in it, keys too, without marks that begin or end an expression."""
    if isinstance(value, str):
        return _MARKS.sub(lambda mark: mark.group() + " ", value)
    if isinstance(value, dict):
        return {inert(key): inert(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [inert(item) for item in value]
    return value
