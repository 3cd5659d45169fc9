"""HTTP with an end: an answer that drips, or that does not stop, is given up.

The clients' own time-outs are for the silence between two bytes, and none of them limits how much it reads.
Nothing here follows a redirect to just anywhere, or takes a proxy or a password from the environment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from aegis_agents.honeytokens import stopped

if TYPE_CHECKING:
    import ssl

LONGEST_ANSWER: Final = 8 * 1024 * 1024
"""Bytes: a page of what we ask for has some hundred thousand at most."""


class Answered(NamedTuple):
    """What came back, whole."""

    status: int
    content: bytes

    @property
    def text(self) -> str:
        """The content as text; what is not UTF-8 is shown as such."""
        return self.content.decode("utf-8", "replace")


def send(
    method: str, url: str, *, headers: Mapping[str, str], timeout_s: float, content: bytes = b"",
    params: Mapping[str, str] | None = None, tls: ssl.SSLContext | bool = True, longest: int = LONGEST_ANSWER,
) -> Answered:  # fmt: skip
    """One request on a connection of its own, answered within `timeout_s` for each step and for the whole.

    Raises httpx.HTTPError or httpx.InvalidURL. By the transport alone: the client above it logs each address, and
    a webhook's address may be a secret.
    """
    import httpx

    if why := stopped(f"{url} {dict(params or {})} {content.decode('utf-8', 'replace')}", "connector"):
        raise httpx.RequestError(why)
    until = time.monotonic() + timeout_s
    waiting = {"timeout": httpx.Timeout(timeout_s).as_dict()}
    # A body that is not there has no length to tell of.
    asked = httpx.Request(method, url, params=params, headers=headers, content=content or None, extensions=waiting)
    with httpx.HTTPTransport(verify=tls, trust_env=False) as transport:
        late = threading.Timer(timeout_s, transport.close)  # headers that drip: the next read finds it closed
        late.daemon = True
        late.start()
        try:
            response = transport.handle_request(asked)
            try:
                return Answered(response.status_code, _whole(response.iter_bytes(), until, longest))
            finally:
                response.close()
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from None
        except (OSError, RuntimeError) as error:
            raise httpx.ReadError(f"{type(error).__name__} {error}") from None
        finally:
            late.cancel()


def adapter(timeout_s: float) -> Any:
    """What sends requests of the package `requests`, for a session's mount(): time-outs as for send(), headers excepted."""
    from requests.adapters import HTTPAdapter
    from requests.exceptions import ConnectionError, ReadTimeout
    from urllib3.exceptions import HTTPError

    class Bounded(HTTPAdapter):
        def send(self, request: Any, *given: Any, **named: Any) -> Any:
            until = time.monotonic() + timeout_s
            response = super().send(request, *given, **(named | {"timeout": timeout_s, "stream": True}))
            try:
                # What has come so far, each time: asked for a number of bytes, it waits for all of them.
                came = iter(lambda: response.raw.read1(65536, decode_content=True), b"")
                content = _whole(came, until, LONGEST_ANSWER)
            except TimeoutError as error:
                raise ReadTimeout(str(error), request=request) from None
            except HTTPError as error:
                raise ConnectionError(str(error), request=request) from None
            finally:
                response.close()
            # What reading response.content leaves behind.
            response._content, response._content_consumed = content, True
            return response

    return Bounded()


def following(domains: tuple[str, ...], timeout_s: float) -> Any:
    """A session of the package `requests` that follows a redirect by https below these domains (".example.com") alone."""
    from requests import Session

    class Within(Session):
        def get_redirect_target(self, resp: Any) -> str | None:
            to = super().get_redirect_target(resp)
            where = urlsplit(urljoin(resp.url, to)) if to else None
            fits = where is not None and where.scheme == "https" and (where.hostname or "").endswith(domains)
            return to if fits else None

    session = Within()
    # Else requests takes a password from ~/.netrc, and a proxy from whoever sets the environment.
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter(timeout_s))
    return session


def _whole(chunks: Iterable[bytes], until: float, longest: int) -> bytes:
    """Raises TimeoutError for what takes too long or is too long: either way it is not an answer."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > longest:
            raise TimeoutError(f"the answer is longer than {longest} bytes")
        if time.monotonic() > until:
            raise TimeoutError("the answer did not end in time")
    return bytes(found)
