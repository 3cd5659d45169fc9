"""Hands the incident that it runs in to Aegis; what Aegis found becomes the war room's entry."""

import json
from typing import Any

import demistomock as demisto
from CommonServerPython import *  # noqa: F403
from CommonServerUserPython import *  # noqa: F403

# What an incident says of what happened. What XSOAR notes of its own work (owner, status, times of change, counts) is
# left out: with it every run would look like another incident.
KEPT = ("name", "type", "severity", "occurred", "details", "labels", "CustomFields", "sourceBrand")


def alert_of(incident: dict[str, Any], source: str) -> str:
    """The alert: the one that XSOAR fetched where there is one ("raw"), else the incident's own fields ("incident")."""
    raw = incident.get("rawJSON")
    if source in ("auto", "raw") and isinstance(raw, str) and raw.lstrip().startswith("{"):
        try:
            if isinstance(json.loads(raw), dict):
                return raw
        except (ValueError, RecursionError):
            pass  # not the alert's own JSON: the incident's fields say it
    if source == "raw":
        raise ValueError("source: the incident has no raw alert (give source=incident)")
    kept = {name: incident[name] for name in KEPT if incident.get(name) not in (None, "", [], {})}
    return json.dumps({"product": "Cortex XSOAR", "id": str(incident["id"]), "title": incident.get("name", ""), **kept})


def investigate_incident(args: dict[str, Any]) -> Any:
    """Investigate the current incident. Raises DemistoException with what Aegis says if it can't."""
    source = args.get("source", "auto")
    if source not in ("auto", "raw", "incident"):
        raise ValueError("source: is none of auto, raw, incident")
    given = {"alert": alert_of(demisto.incident(), source), "shadow": str(args.get("shadow", "false"))}
    for name in ("format", "using"):
        if args.get(name):
            given[name] = args[name]
    entries = demisto.executeCommand("aegis-investigate", given)
    if is_error(entries):  # noqa: F405
        raise DemistoException(get_error(entries))  # noqa: F405
    return entries


def main() -> None:
    """Run the script."""
    try:
        return_results(investigate_incident(demisto.args()))  # noqa: F405
    except Exception as error:  # noqa: BLE001 - XSOAR's convention: every error becomes an error entry
        return_error(f"Failed to execute AegisInvestigateIncident.\nError:\n{error}")  # noqa: F405


if __name__ in ("__main__", "__builtin__", "builtins"):  # pragma: no cover
    main()
