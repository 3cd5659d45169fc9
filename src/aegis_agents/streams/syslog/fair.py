"""What was received and is not taken in yet: bounded, and shared by the addresses that send, so that none fills it alone.

Addresses take turns (round robin). How many there may be at once of one address is its share of the whole: all of it
while it is alone, half when there are two. An IPv6 /64 is one address. One event loop's.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import deque

from aegis_agents.streams.syslog.framing import Frame

MOST_ADDRESSES = 4_096
"""Addresses that have a share of their own; those beyond share one, since UDP's can be made up."""
OTHERS = "others"


def address_of(peer: object) -> str:
    """The name under which an address has its share."""
    host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    try:
        known = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return OTHERS
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)


class Fair:
    """A queue of messages by address."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._queues: dict[str, deque[Frame]] = {}
        self._bytes: dict[str, int] = {}
        self._count = self._size = 0
        self._changed = asyncio.Event()
        """Something came in, or it is closed."""
        self._room = asyncio.Event()
        """Something was taken out."""

    def offer(self, address: str, frame: Frame) -> bool:
        """Put a message in, if the address' share has room for it."""
        if address not in self._queues and len(self._queues) >= MOST_ADDRESSES:
            address = OTHERS
        queue = self._queues.get(address)
        share = len(self._queues) + (queue is None)
        count, size = (len(queue), self._bytes[address]) if queue else (0, 0)
        # A first message is held neither to the share, so that one that is longer is not stuck, nor to the whole, which
        # those may have filled that came when there were fewer: it has as much again, which bounds all.
        if count and (count >= self._most // share or size + len(frame.data) > self._most_bytes // share):
            return False
        whole = self._most_bytes * (1 if count else 2)
        if self._count >= self._most or (self._count and self._size + len(frame.data) > whole):
            return False
        if queue is None:
            queue = self._queues[address] = deque()
            self._bytes[address] = 0
        queue.append(frame)
        self._bytes[address] += len(frame.data)
        self._size += len(frame.data)
        self._count += 1
        self._changed.set()
        return True

    async def put(self, address: str, frame: Frame) -> None:
        """Put a message in, when there is room."""
        while not self.offer(address, frame):
            self._room.clear()
            await self._room.wait()

    async def wait(self) -> None:
        """Wait for a message, or for `wake`."""
        await self._changed.wait()

    def wake(self) -> None:
        """End the waiting."""
        self._changed.set()

    def clear(self) -> None:
        """Let the next `wait` wait, if there is nothing."""
        if not self._count:
            self._changed.clear()

    def take(self, most: int, most_bytes: int) -> list[Frame]:
        """So many at most, the addresses in turn."""
        found: list[Frame] = []
        size = 0
        while self._queues and len(found) < most and size < most_bytes:
            address = next(iter(self._queues))
            queue = self._queues.pop(address)
            frame = queue.popleft()
            if queue:
                self._queues[address] = queue  # at the end: the others come first
                self._bytes[address] -= len(frame.data)
            else:
                del self._bytes[address]
            found.append(frame)
            size += len(frame.data)
        self._count -= len(found)
        self._size -= size
        if found:
            self._room.set()
        return found

    def __len__(self) -> int:
        return self._count
