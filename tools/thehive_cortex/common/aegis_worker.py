"""What analyzer and responder share: the server of the configuration, and errors as Cortex reports them. build.sh copies it into both."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from aegis_client import AegisClientError, Client

T = TypeVar("T")
SECRETS = ("key", "password", "secret", "token")
"""Parts of the names of settings that an error report must not show."""


def ask_aegis(worker: Any, what: Callable[[Client], T]) -> T:
    """Ask the server of the worker's configuration; whatever goes wrong becomes the job's error message."""
    authority = worker.get_param("config.ca_file")
    try:
        verify = ssl.create_default_context(cafile=authority) if authority else True
        url = worker.get_param("config.url", None, "the setting url is missing")
        token = worker.get_param("config.token", None, "the setting token is missing")
        with Client(url, token, timeout=float(worker.get_param("config.timeout", 60)), verify=verify) as client:
            return what(client)
    except (AegisClientError, ValueError, OSError) as error:
        worker.error(f"Aegis: {error}")
        raise AssertionError("error() ends the process") from error
