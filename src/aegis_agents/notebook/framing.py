"""Rows to a DataFrame with columns and dtypes that are always the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TEXT, NUMBER, COUNT, FLAG, TIME = "string", "float64", "Int64", "boolean", "datetime64[ns, UTC]"
"""The dtypes in use."""


def pandas() -> Any:
    """pandas, loaded when it is first needed. Raises InputError naming the extra where it is not installed."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed", field="notebook", fix='pip install "aegis-soc-agents[notebook]"'
        ) from error
    return pd


def frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a frame of exactly these columns (name → dtype); what a row lacks is missing."""
    known = list(rows)
    series = pandas().Series
    made = {name: series([row.get(name) for row in known], dtype=dtype) for name, dtype in columns.items()}
    return pandas().DataFrame(made)
