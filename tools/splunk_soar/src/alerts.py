"""The alert to investigate: what was given as text, or the container that the action runs on."""

import json
from typing import Any

from soar_sdk.abstract import SOARClient
from soar_sdk.exceptions import ActionFailure

MOST_ARTIFACTS = 500
# What the container says of the incident. Times of change, owners and counts are left out: with them every run would
# look like another incident.
_CONTAINER = ("name", "description", "severity", "source_data_identifier", "start_time", "label", "tags", "data")
_ARTIFACT = ("name", "label", "type", "severity", "source_data_identifier", "start_time", "cef", "data")


def alert_of(soar: SOARClient, text: str | None) -> str | dict[str, Any]:
    """The alert as text, or as a mapping made of the container. Raises ActionFailure where there is neither."""
    if text and text.strip():
        return text
    container_id = int(soar.get_executing_container_id() or 0)
    if container_id <= 0:
        raise ActionFailure("alert: is empty, and the action runs on no container (give the alert's JSON)")
    container = _read(soar, f"rest/container/{container_id}")
    query = f"_filter_container={container_id}&page_size={MOST_ARTIFACTS}&sort=id&order=asc"
    found = _read(soar, f"rest/artifact?{query}")
    artifacts = [row for row in found.get("data") or [] if isinstance(row, dict)]
    if int(found.get("count") or 0) > len(artifacts):
        raise ActionFailure(f"the container has more than {MOST_ARTIFACTS} artifacts (give the alert's JSON)")
    return {
        "product": "Splunk SOAR",
        "id": str(container_id),  # the platform's number, never text of an alert
        "title": str(container.get("name") or ""),
        "container": _kept(container, _CONTAINER),
        "artifacts": [_kept(artifact, _ARTIFACT) for artifact in artifacts],
    }


def _read(soar: SOARClient, path: str) -> dict[str, Any]:
    try:
        found = soar.get(path).json()
    except (OSError, ValueError, RuntimeError) as error:
        raise ActionFailure(f"the platform did not answer {path.partition('?')[0]}: {error}") from error
    if not isinstance(found, dict):
        raise ActionFailure(f"the platform's answer to {path.partition('?')[0]} is no JSON object")
    return found


def _kept(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    kept = {name: row[name] for name in names if row.get(name) not in (None, "", [], {})}
    if isinstance(data := kept.get("data"), str):
        try:
            kept["data"] = json.loads(data)
        except (ValueError, RecursionError):
            pass  # text it stays
    return kept
