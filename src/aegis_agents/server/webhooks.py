"""Tells receivers what happened: each entry of the ledger that is news, in order, until it was taken.

How far a receiver was told is kept in the store, so that a restart goes on where it was: at least once, with ids by
which a receiver drops what comes again. One that does not answer holds up only itself, and is tried ever more rarely;
what it did not take for three days (`webhook_give_up_hours`) is given up, and an entry says so. Only addresses from
the settings are ever called; redirects are not followed, and no proxy of the environment is used.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import tenacity
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from aegis_agents.honeytokens import stopped
from aegis_agents.ledger import LedgerEntry
from aegis_agents.server.answers import to_json
from aegis_agents.server.news import News, news_of
from aegis_agents.server.parts import Parts
from aegis_agents.server.signing import signed_headers
from aegis_agents.settings_server import WebhookSettings

if TYPE_CHECKING:
    import httpx

GIVEN_UP = "webhook.given_up"
"""Ledger entry: a receiver did not take a message in all that time."""
LOOK_S = 1.0
"""How often the ledger is looked at for news."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 600.0
_DOUBLINGS = 20
"""Of the wait after failures; more would not fit a float one day."""
_TIMEOUT_S = 15.0
_WHOLE_S = 30.0
"""Seconds for one attempt: each byte may come in time and the answer never."""
_PAGE = 200
_log = logging.getLogger("aegis.server")


class NotTaken(Exception):
    """A receiver did not take a message."""


class Webhooks:
    """The receivers of the settings, each told by a task of its own."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Begin to tell; receivers that are new hear of what happens from now on."""
        hooks, parts = self._parts.settings.webhooks, self._parts
        if not hooks:
            return
        import httpx

        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)
        origin = await parts.workroom.read(parts.served.origin)
        newest = await parts.workroom.read(parts.served.newest)
        self._tasks = [asyncio.create_task(self._tell(hook, origin, newest)) for hook in hooks]

    async def stop(self) -> None:
        """Stop telling; what was not taken yet is told after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _tell(self, hook: WebhookSettings, origin: str, newest: int) -> None:
        seq, failed = -1, 0
        while True:
            try:
                if seq < 0:
                    seq = await self._parts.workroom.read(lambda: self._parts.served.told(hook.name, newest))
                seq, more = await self._round(hook, origin, seq)
                failed = 0
            except Exception:  # noqa: BLE001 - one bad turn must not make a receiver deaf: counted, logged, tried again
                self._parts.metrics.background.labels("webhooks").inc()
                _log.exception("webhook %s failed; it is tried again", hook.name)
                seq, more, failed = -1, False, failed + 1  # how far it came is read anew
            if not more:
                await asyncio.sleep(min(LOOK_S * 2 ** min(failed, _DOUBLINGS), LONGEST_WAIT_S))

    async def _round(self, hook: WebhookSettings, origin: str, seq: int) -> tuple[int, bool]:
        """Tell what there is after `seq`; how far that came, and whether there may be more at once."""
        store, read = self._parts.aegis.store, self._parts.workroom.read
        after = seq
        entries = await read(lambda: list(store.entries(after=after, limit=_PAGE)))
        for entry in entries:
            news = await read(partial(news_of, entry, store, origin))
            if news is not None and news.event in hook.events:
                await self._until_taken(hook, news, entry)
                await self._parts.scribe.write(partial(self._parts.served.tell, hook.name, entry.seq))
            seq = entry.seq
        if entries:
            await self._parts.scribe.write(partial(self._parts.served.tell, hook.name, seq))
        return seq, len(entries) == _PAGE

    async def _until_taken(self, hook: WebhookSettings, news: News, entry: LedgerEntry) -> None:
        until = datetime.fromisoformat(entry.at) + timedelta(hours=self._parts.settings.webhook_give_up_hours)
        outcomes = self._parts.metrics.webhooks
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(NotTaken),
            wait=wait_exponential_jitter(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S, jitter=FIRST_WAIT_S),
            stop=lambda _: datetime.now(UTC) >= until,
            before_sleep=lambda _: outcomes.labels(news.event, "retried").inc(),
        )
        try:
            await retrying(self._send, hook, news)
            outcomes.labels(news.event, "taken").inc()
        except tenacity.RetryError as error:
            why = str(error.last_attempt.exception())[:300]
            body = {"receiver": hook.name, "message": news.id, "event": news.event, "entry": entry.seq, "why": why}
            store = self._parts.aegis.store
            await self._parts.scribe.write(lambda: store.append(GIVEN_UP, None, body))
            outcomes.labels(news.event, "given_up").inc()

    async def _send(self, hook: WebhookSettings, news: News) -> None:
        import httpx

        assert self._client is not None  # noqa: S101 - made by start
        body = to_json(news.body)
        if stopped(body.decode("utf-8", "replace"), "webhook"):
            self._parts.metrics.webhooks.labels(news.event, "stopped").inc()
            return
        headers = signed_headers(hook.secret, news.id, int(time.time()), body)
        headers |= {"Content-Type": "application/json", "User-Agent": "aegis-webhooks"}
        try:
            async with (
                asyncio.timeout(_WHOLE_S),
                self._client.stream("POST", hook.url, content=body, headers=headers) as response,
            ):
                status = response.status_code  # what it says besides is not read: it may have no end
        except (httpx.HTTPError, TimeoutError) as error:
            raise NotTaken(f"{hook.name}: {type(error).__name__}") from error
        if not 200 <= status < 300:
            raise NotTaken(f"{hook.name}: answered {status}")
