"""Stands in for XSOAR's `CommonServerPython` in tests: the few names that the pack uses, with their documented behaviour.

Written for these tests from xsoar.pan.dev's code conventions; the real one is a file of demisto/content and on no package
index. `AEGIS_XSOAR_CONTENT=/path/to/content ./run_tests.sh` runs the same tests with the real one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import demistomock as demisto
import requests


class DemistoException(Exception):
    """What BaseClient raises."""

    def __init__(self, message: str, exception: Exception | None = None, res: Any = None) -> None:
        super().__init__(message)
        self.message, self.exception, self.res = message, exception, res


class BaseClient:
    """Requests to one server."""

    def __init__(
        self, base_url: str, verify: bool = True, proxy: bool = False, ok_codes: tuple[int, ...] = (),
        headers: dict[str, str] | None = None, auth: Any = None, timeout: float = 60,
    ) -> None:  # fmt: skip
        self._base_url, self._verify, self._headers, self._auth = base_url, verify, headers, auth
        self._ok_codes, self.timeout = ok_codes, timeout
        self._session = requests.Session()
        self._session.trust_env = proxy

    def _http_request(
        self, method: str, url_suffix: str = "", headers: Any = None, params: Any = None, data: Any = None,
        resp_type: str = "json", ok_codes: tuple[int, ...] | None = None,
        error_handler: Callable[[Any], None] | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        address = self._base_url.rstrip("/") + "/" + url_suffix.lstrip("/")
        try:
            response = self._session.request(
                method, address, verify=self._verify, params=params, data=data, headers=headers or self._headers,
                auth=self._auth, timeout=self.timeout, **kwargs,
            )  # fmt: skip
        except requests.exceptions.ConnectionError as error:
            raise DemistoException("Verify that the server URL parameter is correct.", error) from error
        if response.status_code not in (ok_codes or self._ok_codes):
            if error_handler:
                error_handler(response)
            raise DemistoException(f"Error in API call [{response.status_code}]", res=response)
        return response if resp_type == "response" else response.json()


class CommandResults:
    """What a command answers."""

    def __init__(
        self, outputs_prefix: str | None = None, outputs_key_field: str | None = None, outputs: Any = None,
        readable_output: str | None = None, raw_response: Any = None, ignore_auto_extract: bool = False,
    ) -> None:  # fmt: skip
        self.outputs_prefix, self.outputs_key_field, self.outputs = outputs_prefix, outputs_key_field, outputs
        self.readable_output, self.raw_response = readable_output, raw_response
        self.ignore_auto_extract = ignore_auto_extract

    def to_context(self) -> dict[str, Any]:
        """The entry that XSOAR keeps."""
        key = f"{self.outputs_prefix}(val.{self.outputs_key_field} && val.{self.outputs_key_field} == obj.{self.outputs_key_field})"
        return {
            "Type": 1, "ContentsFormat": "json", "Contents": self.raw_response or self.outputs,
            "HumanReadable": self.readable_output, "EntryContext": {key: self.outputs},
            "IgnoreAutoExtract": self.ignore_auto_extract,
        }  # fmt: skip


def return_results(found: Any) -> None:
    """Hand back what a command found."""
    demisto.results(found.to_context() if isinstance(found, CommandResults) else found)


def return_error(message: str, error: Any = "") -> None:
    """Hand back an error and end; fetching raises instead, as on the server."""
    if demisto.command() == "fetch-incidents":
        raise Exception(message)
    demisto.results({"Type": 4, "ContentsFormat": "text", "Contents": message})
    sys.exit(0)


def is_error(entries: Any) -> bool:
    """Whether an entry is one."""
    return any(
        isinstance(e, dict) and e.get("Type") == 4 for e in (entries if isinstance(entries, list) else [entries])
    )


def get_error(entries: Any) -> str:
    """What it says."""
    return "\n".join(str(entry["Contents"]) for entry in entries if entry.get("Type") == 4)


def argToBoolean(value: Any) -> bool:
    """ "true", "yes" and True, or their opposites."""
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "yes"):
        return True
    if str(value).lower() in ("false", "no"):
        return False
    raise ValueError("Argument does not contain a valid boolean-like value")


def arg_to_number(value: Any, arg_name: str | None = None, required: bool = False) -> int | None:
    """A number, or None for nothing."""
    if value in (None, ""):
        return None
    try:
        return int(float(value))
    except (ValueError, OverflowError):
        raise ValueError(f'Invalid number: "{arg_name}"="{value}"') from None


def tableToMarkdown(name: str, rows: Any, headers: list[str] | None = None) -> str:
    """A table; in cells, pipes are escaped and line breaks become <br>."""
    rows = rows if isinstance(rows, list) else [rows]
    if not rows:
        return f"### {name}\n**No entries.**\n"
    headers = headers or list(rows[0])
    lines = [f"### {name}", "|" + "|".join(headers) + "|", "|" + "|".join("---" for _ in headers) + "|"]
    for row in rows:
        cells = [str("" if row.get(h) is None else row[h]).replace("|", "\\|").replace("\n", "<br>") for h in headers]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
