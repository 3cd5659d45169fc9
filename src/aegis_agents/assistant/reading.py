"""What the assistant's graph works with: parts that read, and nothing that writes.

The store is wrapped so that the methods which change something do not exist on it; there is no write path, and a gate's
answer comes as a dry decision. What no node can reach, no text in an alert can talk it into.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from aegis_agents.errors import UnknownAction
from aegis_agents.gate import redact
from aegis_agents.ledger import IntakeRow, JournalRow, LedgerEntry, Store
from aegis_agents.records import ActionName, Case, Decision, Target

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

    from aegis_agents.assistant.names import IntelNames
    from aegis_agents.assistant.route import Router
    from aegis_agents.assistant.shelf import Shelf
    from aegis_agents.intel import Intel
    from aegis_agents.model import IncidentModel


MOST_TALKING = 16
"""Questions that a language model words at once; one that hangs must not gather threads."""


class ReadStore(Protocol):
    """The reading half of the store (see `ledger.Store`)."""

    def case(self, incident_id: str) -> Case | None:
        """The latest case, None while there is none."""
        ...

    def intake(self, incident_id: str) -> IntakeRow | None:
        """The incident as it was taken in."""
        ...

    def action(self, action_id: str) -> JournalRow:
        """One row. Raises UnknownAction."""
        ...

    def actions(self, incident_id: str) -> list[JournalRow]:
        """All actions of an incident."""
        ...

    def pending(self) -> list[JournalRow]:
        """What waits for a person."""
        ...

    def timers(self) -> list[JournalRow]:
        """What will lift itself."""
        ...

    def entries(
        self, incident_id: str | None = None, after: int = 0, limit: int = 1000, kind: str | None = None, *,
        newest: bool = False,
    ) -> Sequence[LedgerEntry]:  # fmt: skip
        """Entries of the ledger, in order; see Store.entries."""
        ...


class ReadOnly:
    """A store of which only the reading half can be reached, and of that what is of one tenant (None: of all)."""

    __slots__ = ("_mine", "action", "actions", "case", "entries", "intake", "pending", "timers")

    def __init__(self, store: Store, tenant: str | None = None) -> None:
        self._mine: dict[str, bool] = {}

        def is_mine(incident_id: str) -> bool:
            if tenant is None:
                return True
            if (known := self._mine.get(incident_id)) is None:
                taken_in = store.entries(incident_id=incident_id, kind="intake.admitted", limit=1)
                if not taken_in:
                    return False  # not there yet: not kept either
                if len(self._mine) >= _MOST_KNOWN:
                    self._mine.clear()
                known = self._mine[incident_id] = (taken_in[0].body or {}).get("tenant") == tenant
            return known

        def action(action_id: str) -> JournalRow:
            row = store.action(action_id)
            if not is_mine(row.incident_id):
                raise UnknownAction(action_id)
            return row

        def mine(rows: list[JournalRow]) -> list[JournalRow]:
            return [row for row in rows if is_mine(row.incident_id)]

        def entries(
            incident_id: str | None = None, after: int = 0, limit: int = 1000, kind: str | None = None, *,
            newest: bool = False,
        ) -> Sequence[LedgerEntry]:  # fmt: skip
            if incident_id is not None and not is_mine(incident_id):
                return ()
            return store.entries(incident_id=incident_id, after=after, limit=limit, kind=kind, newest=newest)

        self.case: Callable[[str], Case | None] = lambda id: store.case(id) if is_mine(id) else None
        self.intake: Callable[[str], IntakeRow | None] = lambda id: store.intake(id) if is_mine(id) else None
        self.actions: Callable[[str], list[JournalRow]] = lambda id: store.actions(id) if is_mine(id) else []
        self.action, self.entries = action, entries
        self.pending: Callable[[], list[JournalRow]] = lambda: mine(store.pending())
        self.timers: Callable[[], list[JournalRow]] = lambda: mine(store.timers())


_MOST_KNOWN = 100_000


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Desk:
    """What a question is answered from.

    `dry` asks the gate about an action and writes nothing; `autonomy` and `standings` answer rows as the façade's
    `autonomy_in_force` and `standings` do, None where nobody gave them. `tools` are the look-ups; each only reads.
    """

    store: ReadStore
    shelf: Shelf
    router: Router
    names: IntelNames
    model: IncidentModel
    intel: Intel | None
    dry: Callable[[str, ActionName, Target], Decision]
    autonomy: Callable[[], Sequence[Any]] | None = None
    standings: Callable[[], Sequence[Any]] | None = None
    llm: BaseChatModel | None = None
    llm_seconds: float = 30.0
    tools: tuple[BaseTool, ...] = ()
    now: Callable[[], datetime] = field(default=utc_now)
    talking: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(MOST_TALKING))

    def action(self, action_id: str) -> JournalRow | None:
        """A row of the journal, None if there is none."""
        try:
            return self.store.action(action_id)
        except UnknownAction:
            return None


def shown(value: str, length: int = 160) -> str:
    """A value of an alert or feed as an answer quotes it: on one line, secrets masked, cut."""
    return flat(redact(value), length)


def flat(value: str, length: int = 160) -> str:
    """Text on one line, without what can't be printed, cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def at(moment: datetime) -> str:
    """A time as answers say it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
