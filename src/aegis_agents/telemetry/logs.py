"""The log of services: structlog over the standard library's logging, one line an event, on standard error.

Whoever logs, libraries and the web server included, comes out alike: with what is bound to the work at hand
(incident_id, action_id), with the trace that it belongs to, without a secret, and with nothing in it that a terminal
would obey. What an exception says may be an alert's own words: its kind and where it was raised are written, and what
it says only where `telemetry.contents` asks for it.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import unicodedata
from collections.abc import Callable, Collection, MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO

from aegis_agents.errors import SettingsError
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.telemetry.closed import error_name

Event = MutableMapping[str, Any]
_MOST_CHARS: Final = 2_000
_MOST_DEPTH: Final = 4
_SHORTEST_SECRET: Final = 4
_FRAMES: Final = 4
_SERVERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
MASKED: Final = "[masked]"


def configure(
    settings: TelemetrySettings,
    *,
    redact: Callable[[str], str] = str,
    secrets: Collection[str] = (),
    stream: TextIO | None = None,
) -> logging.Handler:
    """Write the process' log as settings say, to `stream` (standard error by default); answers the handler.

    `redact` masks what looks like a secret, `secrets` are masked wherever they stand. What another call set up is
    replaced. Raises SettingsError where structlog is not installed.
    """
    try:
        import structlog
    except ImportError as error:
        raise SettingsError(
            f"telemetry: logs need the extra: pip install 'aegis-soc-agents[telemetry]' ({error})"
        ) from error
    masked = Masked(redact, secrets)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace,
    ]
    last: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=True, default=str)
        if settings.logs == "json"
        else structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False
        )
    )
    flat = [] if settings.logs == "json" else [_flat]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta, _Exceptions(settings.contents), masked, *flat, last,
        ],
    )  # fmt: skip
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger,
    )  # fmt: skip
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for other in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    # Libraries from warning on: some of them log URLs and bodies below that.
    root.setLevel(logging.WARNING)
    logging.getLogger("aegis").setLevel(settings.log_level.upper())
    adopt_servers()
    return handler


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; one that can't be written says no more than that, where the library would print its arguments."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say that a line is missing."""
        try:
            self.stream.write(f"a line of {record.name} at {record.filename}:{record.lineno} could not be written\n")
        except (OSError, ValueError):  # nobody reads any more
            pass


def adopt_servers() -> None:
    """Let the web server's lines come out like all others: it sets up handlers of its own when it starts."""
    for name in _SERVERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _trace(_: Any, __: str, event: Event) -> Event:
    """The trace and span that the line belongs to, where there is one."""
    if (api := sys.modules.get("opentelemetry.trace")) is not None:
        where = api.get_current_span().get_span_context()
        if where.is_valid:
            event["trace_id"], event["span_id"] = f"{where.trace_id:032x}", f"{where.span_id:016x}"
    return event


class _Exceptions:
    """An exception as its kind and the last places it came through; as its whole text only with contents."""

    def __init__(self, contents: bool) -> None:
        self._contents = contents

    def __call__(self, _: Any, __: str, event: Event) -> Event:
        given = event.pop("exc_info", None)
        error = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else None
        event.pop("stack_info", None)
        if error is None:
            return event
        event["error_type"] = error_name(error)
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["raised_in"] = " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
        if self._contents:
            event["exception"] = "".join(traceback.format_exception(error))
        return event


class Masked:
    """Masks secrets, escapes what can't be seen or a terminal would obey, and cuts what is too long."""

    def __init__(self, redact: Callable[[str], str], secrets: Collection[str]) -> None:
        self._redact = redact
        self._secrets = sorted((s for s in secrets if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, _: Any, __: str, event: Event) -> Event:
        """Every value of a line, at any depth, and every name."""
        return {self.text(str(name))[:100]: self._value(value, 0) for name, value in event.items()}

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth < _MOST_DEPTH and isinstance(value, dict):
            return {self.text(str(k))[:100]: self._value(v, depth + 1) for k, v in list(value.items())[:50]}
        if depth < _MOST_DEPTH and isinstance(value, list | tuple | set | frozenset):
            return [self._value(v, depth + 1) for v in list(value)[:50]]
        try:
            text = str(value)
        except Exception as error:  # noqa: BLE001 - somebody's __str__: the line must come out all the same
            text = f"({type(value).__name__} that can't be shown: {type(error).__name__})"
        return self.text(text)

    def text(self, text: str) -> str:
        """One text."""
        cut = text[: 2 * _MOST_CHARS]
        for secret in self._secrets:
            cut = cut.replace(secret, MASKED)
        cut = self._redact(cut)
        shown = "".join(c if _seen(c) else _escaped(c) for c in cut[:_MOST_CHARS])
        return shown if len(text) <= _MOST_CHARS else f"{shown}… ({len(text)} characters)"


def _seen(char: str) -> bool:
    return char.isprintable() or char == "\n"


def _escaped(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Zs":
        return " "
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _flat(_: Any, __: str, event: Event) -> Event:
    """For key=value lines: names and values that the form allows."""
    found: Event = {}
    for name, value in event.items():
        key = "".join(c if c.isalnum() or c in "_.-" else "_" for c in name) or "_"
        if isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=True, default=str)
        found[key] = value
    return found
