#!/usr/bin/env python3
"""Cortex analyzers: Aegis_Investigate judges a native alert, Aegis_Ask says what is known of an observable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aegis_worker import SECRETS, ask_aegis
from cortexutils.analyzer import Analyzer

LEVELS = {
    "true_positive": "malicious",
    "benign_positive": "safe",
    "false_positive": "safe",
    "undetermined": "suspicious",
}
_ARTIFACTS = {
    "ip": "ip",
    "domain": "domain",
    "url": "url",
    "hash": "hash",
    "email": "mail",
    "file": "filename",
    "host": "hostname",
}
"""Entities of an incident, and the data types under which TheHive knows them."""
_MOST_ARTIFACTS = 100
_LONGEST_FILE = 5_000_000


class AegisAnalyzer(Analyzer):  # type: ignore[misc]
    """One script, two services."""

    def __init__(self, job_directory: str | None = None) -> None:
        super().__init__(job_directory, SECRETS)
        self.service = self.get_param("config.service", None, "the setting service is missing")

    def run(self) -> None:
        """Do what the service says."""
        if self.service == "investigate":
            self.report(self._investigate())
        elif self.service == "ask":
            value, kind = self.get_data(), self.data_type
            answer = ask_aegis(self, lambda client: client.ask(f"What is known of the {kind} {value}?"[:2_000]))
            self.report({"service": "ask", "observable": value, "answer": answer})
        else:
            self.error(f"there is no service {self.service!r}")

    def _investigate(self) -> dict[str, Any]:
        try:
            text = alert_text(self._given())
        except (ValueError, OSError) as error:
            self.error(f"Aegis: {error}")
        shadow, form = bool(self.get_param("config.shadow", False)), self.get_param("config.format") or None
        case = ask_aegis(self, lambda client: dict(client.investigate(text, format=form, shadow=shadow)))
        facts = ask_aegis(self, lambda client: client.incident(case["incident_id"], include_facts=True).get("incident"))
        return {"service": "investigate", "case": case, "entities": list((facts or {}).get("entities", []))}

    def _given(self) -> str:
        if self.data_type != "file":
            return str(self.get_data())
        path = self.get_param("file", None, "the file is missing")
        with Path(path).open("rb") as opened:
            data = opened.read(_LONGEST_FILE + 1)
        if len(data) > _LONGEST_FILE:
            raise ValueError(f"the file is longer than {_LONGEST_FILE} bytes")
        return data.decode("utf-8")

    def summary(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Tags of the short report: the verdict by its level, and how many actions wait."""
        if raw["service"] == "ask":
            cites = len(raw["answer"].get("cites", []))
            return {"taxonomies": [self.build_taxonomy("info", "Aegis", "Cites", cites)]}
        case = raw["case"]
        level = LEVELS.get(case["verdict"], "info")
        waiting = sum(action["outcome"] == "awaiting_approval" for action in case["actions"])
        told = f"{case['verdict']} {case['confidence']:.2f}"
        return {
            "taxonomies": [
                self.build_taxonomy(level, "Aegis", "Verdict", told),
                *([self.build_taxonomy("suspicious", "Aegis", "Waiting", waiting)] if waiting else []),
            ]
        }

    def artifacts(self, raw: dict[str, Any]) -> list[dict[str, Any]]:
        """The incident's entities. Not guessed out of the report's text, which quotes the alert."""
        found = [
            self.build_artifact(_ARTIFACTS[e["kind"]], e["value"], message=f"Aegis: {e['role']}", tags=["aegis"])
            for e in raw.get("entities", [])
            if e.get("kind") in _ARTIFACTS
        ]
        return found[:_MOST_ARTIFACTS]


def alert_text(text: str) -> str:
    """A native alert as JSON text. Raises ValueError for anything else."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("the alert is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"the alert is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("the alert is no JSON object")
    return text


if __name__ == "__main__":
    AegisAnalyzer().run()
