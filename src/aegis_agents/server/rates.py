"""How much may be asked: by address before anybody is known, by person after, and how often one may guess."""

from __future__ import annotations

import ipaddress
import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from aegis_agents.server.problems import Refused
from aegis_agents.settings_server import ServerSettings


def address_of(host: str) -> str:
    """What an address is counted as: an IPv6 /64 is one, since whoever has one address of it has all."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Rates:
    """The limits in force, in this process's memory: with several servers each counts for itself."""

    def __init__(self, settings: ServerSettings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._person = parse(settings.rate_per_person.replace("/", "/1 "))
        self._address = parse(settings.rate_per_address.replace("/", "/1 "))
        self._failures = parse(settings.failures_per_address.replace("/", "/1 "))

    def address(self, address: str) -> None:
        """Count a request of an address. Raises Refused (429)."""
        self._count(self._address, "address", address)
        if not self._limiter.test(self._failures, "failures", address):
            raise self._too_many(self._failures, "wrong tokens from this address", "failures", address)

    def failed(self, address: str) -> None:
        """Count a wrong token."""
        self._limiter.hit(self._failures, "failures", address)

    def person(self, who: str) -> None:
        """Count a request of a person. Raises Refused (429)."""
        self._count(self._person, "person", who)

    def _count(self, item: RateLimitItem, *key: str) -> None:
        if not self._limiter.hit(item, *key):
            raise self._too_many(item, "requests", *key)

    def _too_many(self, item: RateLimitItem, of_what: str, *key: str) -> Refused:
        wait = math.ceil(self._limiter.get_window_stats(item, *key).reset_time - time.time())
        said = f"more than {item.amount} {of_what} a {item.GRANULARITY.name}"
        return Refused(429, "rate_limited", said, fix="wait as Retry-After says", retry_after=wait)
