"""The inbox Protocol: a durable queue, on SQLite or PostgreSQL. Nothing outside this room knows which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aegis_agents.inbox.records import Counts, DeadLetter, Held, Mark, Message, Taken


class Inbox(Protocol):
    """Alerts that wait. Every method may raise StoreError; what `put` answered for is on disk.

    At least once in, at least once out, exactly one case: a message that comes again is known by its position, an
    alert that is taken again (its worker died) has the same incident id, and the store decides each incident once.
    Safe to share between threads; processes each open their own.
    """

    def put(self, messages: Sequence[Message], marks: Sequence[Mark] = ()) -> Taken:
        """Take messages in, all or none, and remember how far their streams were read.

        What can't be read as an alert becomes a dead letter, and never stops the rest. Raises InboxFull, with nothing
        taken in, when as much waits as may: the stream stops reading and tries again.
        """
        ...

    def mark(self, stream: str, part: str) -> str | None:
        """Where reading a part of a stream goes on; None at its beginning."""
        ...

    def take(self, owner: str, most: int = 1) -> list[Held]:
        """The next in turn, at most `most`, held for `owner` until `hold_s` has passed; empty if none waits.

        What was held by somebody who let that time pass is taken like any other; what was by then taken `attempts`
        times is set aside. Who takes several should work on one that was taken before alone, and give the others back:
        if it ends the process, none of them has been tried.
        """
        ...

    def extend(self, owner: str, numbers: Sequence[int]) -> list[int]:
        """Hold them `hold_s` longer; answers those that are still this owner's."""
        ...

    def give_back(self, owner: str, numbers: Sequence[int]) -> None:
        """They were not begun: those that are still this owner's wait again as if nobody had taken them."""
        ...

    def done(self, owner: str, number: int) -> bool:
        """It has its case, and its text is let go of: the ledger's intake has it.

        False if it is no longer this owner's; then somebody else does it again, which is harmless.
        """
        ...

    def again(self, owner: str, number: int, why: str) -> bool:
        """It could not be decided now: it waits, longer each time, and is set aside after `attempts`. True if set aside.

        False, and nothing happens, if it is no longer this owner's.
        """
        ...

    def kill(self, owner: str, number: int, why: str) -> None:
        """It can never be decided: set it aside, whole, with the reason."""
        ...

    def dead(self, limit: int = 100, after: int = 0) -> list[DeadLetter]:
        """What was set aside, oldest first, with number > `after`."""
        ...

    def replay(self, numbers: Sequence[int] | None = None) -> int:
        """Let what was set aside wait again, these or all; answers how many. What still can't be read stays."""
        ...

    def discard(self, numbers: Sequence[int] | None = None) -> int:
        """Remove what was set aside for good, these or all; answers how many."""
        ...

    def copies(self, incident_id: str) -> int:
        """How many messages there were of one incident; 0 if it never was in the inbox, or was folded into another."""
        ...

    def folded_into(self, incident_id: str) -> str | None:
        """The incident that stands for an alert which differs from it in times and serial numbers alone; else None.

        Whoever waits for the case of an alert that he put asks here: it may be that of another.
        """
        ...

    def counts(self) -> Counts:
        """How things stand now."""
        ...

    def forget(self, days: float) -> int:
        """Remove what was done so long ago, and which positions were read then; answers how many messages.

        Dead letters stay until they are replayed or discarded. An alert that comes again after that is taken in as new: it has the
        same incident id, and its case is not made twice.
        """
        ...

    def close(self) -> None:
        """Release the database. Calling it twice is fine."""
        ...
