"""Stands in for XSOAR's own `demistomock` in tests: what a run is given, and what it hands back. Written for these tests."""

from typing import Any

given: dict[str, Any] = {"command": "", "args": {}, "params": {}, "last_run": {}, "incident": {}, "executed": []}
handed: list[Any] = []


def command() -> str:
    return str(given["command"])


def args() -> dict[str, Any]:
    return dict(given["args"])


def params() -> dict[str, Any]:
    return dict(given["params"])


def incident() -> dict[str, Any]:
    return dict(given["incident"])


def getLastRun() -> dict[str, Any]:
    return dict(given["last_run"])


def setLastRun(value: dict[str, Any]) -> None:
    given["last_run"] = value


def incidents(found: list[dict[str, Any]]) -> None:
    handed.append(found)


def results(entry: Any) -> None:
    handed.append(entry)


def executeCommand(name: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    given["executed"].append((name, arguments))
    return list(given["answers"])


def debug(message: str) -> None:
    """Quiet."""
