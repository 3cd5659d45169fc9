"""A DataFrame of alerts in, a DataFrame of verdicts out, row for row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aegis_agents.errors import AegisError, InputError
from aegis_agents.notebook.case_frames import case_row
from aegis_agents.notebook.framing import COUNT, NUMBER, TEXT, frame, pandas

if TYPE_CHECKING:
    import pandas as pd

    from aegis_agents.aegis import Aegis

JUDGED: Final[Mapping[str, str]] = {
    "incident_id": TEXT, "verdict": TEXT, "confidence": NUMBER, "severity": TEXT, "techniques": TEXT, "title": TEXT,
    "source": TEXT, "waiting": COUNT, "done": COUNT, "summary": TEXT, "timing_ms": NUMBER, "error": TEXT,
}  # fmt: skip
"""Columns of `investigate_frame`."""


def investigate_frame(
    aegis: Aegis, alerts: pd.DataFrame, column: str | None = None, *, format: str | None = None
) -> pd.DataFrame:
    """Investigate a frame of alerts, one a row; the answer has the same index, and the columns of JUDGED.

    With `column` its cells hold the alert, as JSON text or a dict. Without it the row is the alert: its columns are
    the fields, and text that is a JSON list or object (as in Sentinel's Entities) is read as such. A row that is no
    alert stays, with what is wrong with it in `error` and all else missing. Raises InputError for a column that is
    not there. Cells are never taken for paths.
    """
    if column is not None and column not in alerts.columns:
        raise InputError("is no column", field=str(column)[:100], fix=f"one of {', '.join(map(str, alerts.columns))[:300]}")  # fmt: skip
    rows = []
    for given in records(alerts) if column is None else alerts[column]:
        try:
            alert = row_to_alert(given) if column is None else _cell(given, column)
            rows.append(case_row(aegis.investigate(alert, format=format)))
        except AegisError as error:
            rows.append({"error": str(error)})
    return frame(rows, JUDGED).set_axis(alerts.index, axis=0)


def records(alerts: pd.DataFrame) -> list[dict[Any, Any]]:
    """The rows as dicts, each cell in its column's own type. Raises InputError where two columns have one name."""
    if not alerts.columns.is_unique:
        raise InputError("two columns have one name", field="alerts", fix="rename one of them")
    return alerts.to_dict("records")  # type: ignore[no-any-return]


def row_to_alert(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as an alert: missing cells left out, times as ISO 8601, numpy's numbers as numbers, JSON text as what it says."""
    return {str(name): read for name, value in row.items() if (read := plain(value)) is not None}


def plain(value: Any) -> Any:
    """A cell as a JSON value; None for what is missing."""
    pd = pandas()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _embedded(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple) or (hasattr(value, "tolist") and getattr(value, "ndim", False)):
        return [plain(v) for v in value]
    if pd.isna(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    number = value.item() if hasattr(value, "item") else value
    return number if isinstance(number, int | float) else str(number)


def _embedded(text: str) -> Any:
    """The list or object that a text holds, the text itself where it holds neither."""
    if len(text) <= 1_000_000 and text[:1] + text[-1:] in ("[]", "{}"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _cell(value: Any, column: str) -> dict[str, Any] | str:
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return value
    raise InputError("is no alert", field=column, fix="JSON text of an object, or a dict")
