"""Keeps what arguments are for in `--help`.

click 8.5 gave arguments a help of their own, and empties there the one that Typer 0.19 has just set; newer Typers,
which guardrails-ai does not allow yet, are not concerned.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from typer.core import TyperArgument


def keep_argument_help() -> None:
    """Set the help of arguments again after click's constructor; once, however often it is called."""
    made = TyperArgument.__init__
    if getattr(made, "keeps_help", False):
        return

    @wraps(made)
    def make(self: TyperArgument, **given: Any) -> None:
        made(self, **given)
        self.help = given.get("help")

    make.keeps_help = True  # type: ignore[attr-defined]
    TyperArgument.__init__ = make  # type: ignore[method-assign]
