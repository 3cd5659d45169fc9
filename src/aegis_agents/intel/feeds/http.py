"""Fetching over HTTP within limits: one host, checked addresses, bounded size and time, retries with back-off.

httpcore is used rather than the httpx client above it: that one writes whole URLs, which may hold keys, into
its log, and inflates without a bound. Nothing of the environment (proxies, .netrc) is used.
"""

from __future__ import annotations

import base64
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from aegis_agents._version import __version__
from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel.documents import plain
from aegis_agents.intel.feeds.addresses import Resolve, resolve
from aegis_agents.intel.feeds.answers import REDIRECTS, Anew, Answer, Transient, fits, judge, read_body
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.parts import Part

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_OURS = {"host", "range", "if-range", "if-none-match", "if-modified-since", "content-length", "transfer-encoding",
         "connection", "accept-encoding"}  # fmt: skip
_PORTS = {"http": 80, "https": 443}


class Limits(NamedTuple):
    """Seconds for everything, for connecting and for each wait; redirects, attempts, and the longest pause between."""

    deadline: float = 300.0
    connect: float = 10.0
    read: float = 30.0
    redirects: int = 3
    attempts: int = 4
    longest_pause: float = 60.0


class Getter:
    """Fetches from the one host that a feed names. A context manager; for one thread.

    The deadline runs from its making, over all requests. Raises InputError if the feed's URL or credentials
    can't be used.
    """

    def __init__(
        self, feed: Feed, limits: Limits, *, resolve: Resolve = resolve, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        import httpcore

        from aegis_agents.intel.feeds.transport import CheckedNetwork, Deadline

        self._feed, self._limits, self._sleep = feed, limits, sleep
        self._home = _parse(feed, feed.url or "")
        self._credentials = _credentials(feed, self._home)
        self._deadline = Deadline(feed.name, limits.deadline)
        network = CheckedNetwork(feed.name, self._deadline, internal=feed.internal, resolve=resolve)
        # Authorities take a third of a second to load; after a redirect from http, httpcore's own context verifies too.
        context = _tls() if self._home.scheme == "https" else None
        self._pool = httpcore.ConnectionPool(context, max_connections=1, network_backend=network)

    def __enter__(self) -> Getter:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, max_bytes: int | None = None,
        part: Part | None = None, idempotent: bool = True,
    ) -> Answer:  # fmt: skip
        """The answer to a GET: 200 with its body, or 304 if `headers` ask conditionally.

        An interrupted body goes on from `part`. With idempotent=False a request that may have been
        carried out is not repeated. Raises Refused (the server said no), Transient (all attempts failed), IntelError
        (not allowed), LimitExceeded (too big, too slow).
        """
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        def again(error: BaseException) -> bool:
            return isinstance(error, Transient) and (idempotent or error.status > 0)

        retrying = Retrying(
            retry=retry_if_exception(again), stop=stop_after_attempt(self._limits.attempts), wait=self._pause_for,
            sleep=self._sleep, reraise=True,
        )  # fmt: skip
        bound = self._feed.max_bytes if max_bytes is None else max_bytes
        home = self._same_host(_parse(self._feed, url), self._home)
        try:
            answer: Answer = retrying(self._follow, home, dict(headers or {}), bound, part)
        except Transient as error:
            tried = retrying.statistics.get("attempt_number", 1)
            raise Transient(f"{error} (tried {tried} times)", status=error.status, after=error.after) from error
        return answer

    def _follow(self, url: httpx.URL, headers: dict[str, str], max_bytes: int, part: Part | None) -> Answer:
        for _ in range(self._limits.redirects + 1):
            answer = self._once(url, headers, max_bytes, part)
            if answer.status not in REDIRECTS:
                return answer
            url = self._redirected(url, answer.headers.get("location", ""))
        raise IntelError(f"{self._at(url)} redirects more than {self._limits.redirects} times (check the url)")

    def _once(self, url: httpx.URL, headers: dict[str, str], max_bytes: int, part: Part | None) -> Answer:
        import httpcore

        arrived = part.arrived() if part is not None else None
        asked = {"Host": url.netloc.decode("ascii"), "User-Agent": f"aegis-soc-agents/{__version__}", "Accept": "*/*",
                 "Accept-Encoding": "gzip", **headers, **self._credentials}  # fmt: skip
        if arrived is not None:
            asked = {k: v for k, v in asked.items() if k not in ("If-None-Match", "If-Modified-Since")}
            asked |= {"Range": f"bytes={len(arrived.content)}-", "If-Range": arrived.etag}
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        waits = {"connect": self._limits.connect, "read": self._limits.read, "write": self._limits.read, "pool": 1.0}
        try:
            with self._pool.stream(
                "GET", target, headers=list(asked.items()), extensions={"timeout": waits}
            ) as response:
                got = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
                if part is not None and arrived is not None and (
                    response.status == 416 or (response.status == 206 and not fits(got, arrived))
                ):  # fmt: skip
                    part.discard()
                    raise Anew(f"{self._at(url)} no longer has the file that had begun to arrive")
                judge(self._feed.name, _shown(url), response.status, got)
                if response.status == 206 and arrived is None:
                    raise IntelError(f"{self._at(url)} sent a part that was not asked for (check the server)")
                if response.status == 304 and not {"If-None-Match", "If-Modified-Since"} & set(asked):
                    raise IntelError(f"{self._at(url)} says that nothing changed, but was not asked (check the server)")
                if response.status not in (200, 206):
                    return Answer(response.status, got)
                content = read_body(
                    self._feed.name, got, response.iter_stream(), max_bytes=max_bytes, part=part,
                    arrived=arrived if response.status == 206 else None,
                )  # fmt: skip
                if part is not None:
                    part.discard()
                return Answer(200, got, content)
        except httpcore.LocalProtocolError:
            # its message could repeat a header, and so a password
            raise IntelError(
                f"{self._at(url)} can't be asked: a header is not valid (check header and token)"
            ) from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            if _certificate(error) is not None:
                raise IntelError(f"{self._at(url)}: its certificate is not valid: {_certificate(error)}") from error
            said = plain(str(error))[:200] or type(error).__name__
            raise Transient(f"{self._at(url)} could not be read: {said}") from error
        finally:
            if part is not None:
                part.keep()

    def _redirected(self, url: httpx.URL, location: str) -> httpx.URL:
        import httpx

        try:
            to = url.join(location)
        except (httpx.InvalidURL, ValueError) as error:
            raise IntelError(f"{self._at(url)} redirects to no valid URL (check the url)") from error
        if not location or to.scheme not in _PORTS or (url.scheme, to.scheme) == ("https", "http"):
            raise IntelError(f"{self._at(url)} redirects to {plain(to.scheme)[:20]}, not to https (check the url)")
        return self._same_host(to.copy_with(fragment=None, userinfo=b""), url)

    def _same_host(self, to: httpx.URL, url: httpx.URL) -> httpx.URL:
        """The URL if it is where the feed is. Another port is another server."""
        upgraded = (url.scheme, to.scheme) == ("http", "https") and (_port(url), _port(to)) == (80, 443)
        if to.host != url.host or not (upgraded or _port(to) == _port(url)):
            there = plain(to.netloc.decode("latin-1"))[:200]
            message = f"{self._at(url)} leads to {there}, and nothing is fetched that you did not configure"
            raise IntelError(f"{message} (if that is right, make it the feed's url)")
        return to

    def _pause_for(self, state: RetryCallState) -> float:
        """Seconds before the next attempt: what the server asks for, else exponential with jitter."""
        from tenacity import wait_exponential_jitter

        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, Anew):
            return 0.0
        pause = wait_exponential_jitter(initial=1, max=self._limits.longest_pause, jitter=1)(state)
        if isinstance(error, Transient) and error.after is not None:
            if error.after > self._limits.longest_pause:
                raise IntelError(f"{error}; it asks to be left alone for {error.after:.0f} seconds") from error
            pause = error.after
        if pause >= self._deadline.left():
            raise IntelError(f"{error}; there is no time left to try again") from error
        return pause

    def _at(self, url: httpx.URL) -> str:
        return f"feed {self._feed.name}: url: {_shown(url)}"


def _shown(url: httpx.URL) -> str:
    """Scheme, host and port: path and query may hold a key."""
    return f"{url.scheme}://{url.netloc.decode('latin-1')}"


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]


def _parse(feed: Feed, text: str) -> httpx.URL:
    import httpx

    field = f"feed {feed.name}: url"
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise InputError("no valid URL", field=field, fix="write it as https://host/path") from error
    if url.userinfo:
        raise InputError("a password in a URL ends up in logs", field=field, fix="use username and password")
    if url.scheme not in _PORTS or not url.host:
        raise InputError("neither https nor http", field=field, fix="write it as https://host/path")
    return url.copy_with(fragment=None)


def _credentials(feed: Feed, url: httpx.URL) -> dict[str, str]:
    """The header that carries the feed's credentials. Raises InputError if they can't be sent safely."""
    given: dict[str, str] = {}
    if feed.username is not None and feed.password is not None:
        both = f"{feed.username}:{feed.password.get_secret_value()}".encode()
        given["Authorization"] = f"Basic {base64.b64encode(both).decode('ascii')}"
    elif feed.username is not None or feed.password is not None:
        raise InputError("one without the other", field=f"feed {feed.name}: username, password", fix="give both")
    if feed.token is not None:
        token = feed.token.get_secret_value()
        if not _HEADER_NAME.fullmatch(feed.header) or feed.header.lower() in _OURS:
            raise InputError("no header for a token", field=f"feed {feed.name}: header", fix="take Authorization")
        if given and feed.header.lower() == "authorization":
            raise InputError("two credentials", field=f"feed {feed.name}: token", fix="give a password or a token")
        if not token or not token.isascii() or not token.isprintable():
            fix = "give it as it stands in the header"
            raise InputError("not printable ASCII", field=f"feed {feed.name}: token", fix=fix)
        given[feed.header] = token
    if given and url.scheme == "http" and not feed.internal:
        raise InputError("credentials over http can be read by anybody", field=f"feed {feed.name}: url",
                         fix="use https")  # fmt: skip
    return given


def _tls() -> ssl.SSLContext:
    """Certificates are verified against certifi's authorities and the system's (an organisation's own are there)."""
    import httpx

    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _certificate(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return plain(error.verify_message)[:200]
        error = error.__cause__ or error.__context__
    return None
