"""One PAN-OS firewall by its SDK (pan-os-python): requests one at a time, over checked TLS, and what its errors mean."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TransientConnectorError
from aegis_agents.tools.connectors.answers import clean, missing, raise_error

SYSTEM: Final = "PAN-OS"
JOB_POLL_S = 1.0
"""Seconds between two looks at a commit that runs."""

# Error codes of the XML API (PAN-OS and Panorama API guide).
_NOT_PERMITTED: Final = frozenset({"16", "22", "403"})  # unauthorised, session timed out, forbidden
_AGAIN: Final = frozenset({"13", "21"})  # busy, internal error
_HTTP: Final = re.compile(r"URLError: code: (\d{3})")


class Firewall:
    """The firewall at `hostname`, seen as the API key's administrator sees it."""

    def __init__(
        self, *, hostname: str, port: int, api_key: str, vsys: str, ca_file: Path | None, timeout_s: float
    ) -> None:
        try:
            import panos.firewall
        except ImportError as error:
            raise missing("paloalto", "pan-os-python", "paloalto") from error
        try:
            # Without a context of ours the SDK checks no certificate at all.
            tls = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except OSError as error:
            raise SettingsError(f"ca_file: {ca_file} can't be used: {error.strerror or error}") from error
        self._key, self._lock = api_key, threading.Lock()
        self._device: Any = panos.firewall.Firewall(hostname, api_key=api_key, port=port, vsys=vsys)
        self._tls, self._timeout = tls, timeout_s
        self._api: Any = None

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """The SDK's answer to a question about the device.

        Raises NotPermitted, TransientConnectorError (time-outs, answers that are lost or make no sense, busy) and ConnectorError.
        One at a time: the SDK keeps its last answer in the object that all threads share.
        """
        from pan.xapi import PanXapiError

        with self._lock:
            try:
                self._prepare()
                return question(self._device)
            except PanXapiError as error:
                raise self._refusal(error) from None
            except (OSError, HTTPException) as error:
                # While it waits for an answer the SDK lets Python's own errors through.
                said = clean(error, [self._key])
                raise TransientConnectorError(f"{SYSTEM}: {type(error).__name__}: {said}") from None
            except (AttributeError, TypeError, ValueError, LookupError):
                # What its parsers raise for an answer of another shape. It may have happened all the same.
                raise TransientConnectorError(f"{SYSTEM} answered something that makes no sense") from None

    def _prepare(self) -> None:
        if self._api is None:
            api = self._device.xapi
            api.ssl_context, api.timeout = self._tls, self._timeout
            # A .panrc file lying about must not send requests on to another device.
            api.serial = api.api_username = api.api_password = None
            self._api = api

    def _refusal(self, error: Exception) -> ConnectorError:
        from panos.errors import PanCommitInProgress, PanHASyncInProgress, PanInstallInProgress, PanInvalidCredentials

        said, code = clean(error, [self._key]), getattr(self._api, "status_code", None)
        if http := _HTTP.match(str(error)):
            try:
                raise_error(int(http.group(1)), said, SYSTEM, secrets=[self._key])
            except ConnectorError as ours:
                return ours
        message = f"{SYSTEM}: {said}"
        if isinstance(error, PanInvalidCredentials) or code in _NOT_PERMITTED:
            return NotPermitted(f"{message} (these credentials may not do that)")
        busy = (PanCommitInProgress, PanHASyncInProgress, PanInstallInProgress)
        if isinstance(error, busy) or code in _AGAIN or str(error).startswith("URLError:"):
            return TransientConnectorError(message)
        return ConnectorError(message)

    def commit(self, admin: str, description: str, within_s: float) -> None:
        """Commit what `admin` has changed, and nothing that others are still working on.

        Raises TransientConnectorError while it, or another one, still runs after `within_s` seconds, and
        ConnectorError with the firewall's reasons if it fails. Nothing to commit is no error.
        """
        from panos.errors import PanCommitNotNeeded
        from panos.firewall import FirewallCommit

        what = FirewallCommit(description=description, admins=[admin])

        def begin(device: Any) -> Any:
            try:
                # Without exception=True the SDK trips over an answer that has no job.
                return device.commit(cmd=what, exception=True)
            except PanCommitNotNeeded:
                return None

        job = self.ask(begin)
        if job is not None:
            self._wait(str(job), within_s)

    def _wait(self, job: str, within_s: float) -> None:
        # The SDK's own waiting has no end while the connection fails.
        until = time.monotonic() + within_s
        while True:
            done = self._job(job)
            if done.findtext("status") == "FIN":
                break
            if time.monotonic() >= until:
                raise TransientConnectorError(f"{SYSTEM}: commit job {job} still runs after {within_s:g} s")
            time.sleep(min(JOB_POLL_S, within_s))
        if done.findtext("result") != "OK":
            lines = " ".join("".join(line.itertext()).strip() for line in done.findall("details/line"))
            raise ConnectorError(f"{SYSTEM}: commit job {job} failed: {clean(lines, [self._key])}")

    def _job(self, job: str) -> Any:
        from xml.etree.ElementTree import Element, SubElement, tostring

        command = Element("show")
        SubElement(SubElement(command, "jobs"), "id").text = job
        text = tostring(command, encoding="unicode")
        answer = self.ask(lambda device: device.op(text, cmd_xml=False))
        found = answer.find("result/job")
        if found is None:
            raise ConnectorError(f"{SYSTEM} does not know its commit job {clean(job)}")
        return found
