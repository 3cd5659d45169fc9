"""After a crash: what processes that died had begun is finished, once, and beside others at work."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import AlreadyDecided
from aegis_agents.records import ActionReport, Case, Incident
from aegis_agents.tools.owners import STALE_AFTER, UNDER_WAY, may_take_over, this_process

if TYPE_CHECKING:
    from aegis_agents.context import Context
    from aegis_agents.ledger import IntakeRow, JournalRow, Store
    from aegis_agents.settings import Settings
    from aegis_agents.tools import WritePath

TAKEN_OVER = "intake.taken_over"
"""Ledger entry (see `IntakeTable.claim`): another process decides it, the one that took it in being dead."""
MOST_TAKEN_OVER = 5
"""Takeovers after which an undecided incident is no longer decided by whoever recovers."""
_log = logging.getLogger(__name__)
_SHADOW_ID = re.compile(r"-shadow-[0-9a-f]{8}$")


class Recovering(ABC):
    """The part of Aegis that goes on where a process ended."""

    settings: Settings

    # what it stands on
    @property
    @abstractmethod
    def store(self) -> Store:
        """Intake, journal and ledger."""

    @property
    @abstractmethod
    def context(self) -> Context:
        """What the agents work with."""

    @property
    @abstractmethod
    def graph(self) -> Any:
        """The compiled state graph."""

    @property
    @abstractmethod
    def _write_path(self) -> WritePath: ...

    @abstractmethod
    def case(self, incident_id: str) -> Case:
        """The case of an incident."""

    @abstractmethod
    def _drive(self, incident: Incident, native: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Take an incident in and decide it."""

    @abstractmethod
    def expire_due(self) -> list[ActionReport]:
        """Lift what is past its time."""

    @abstractmethod
    def _do(self, action_id: str) -> None:
        """Do what was approved, unless somebody is at it."""

    @abstractmethod
    def _refresh(self, incident_id: str) -> None:
        """Bring the kept case up to what the journal says."""

    @abstractmethod
    def _heed_failures(self, incident_id: str) -> list[int]:
        """Demote what acted alone and had no effect."""

    def recover(
        self, stale_after: timedelta = STALE_AFTER, *, leave: Callable[[str], bool] | None = None
    ) -> list[Case]:
        """After a crash: finish what processes that died had begun, and answer the cases decided by it.

        What was under way is settled by looking; then what was taken in and not decided is decided, what was
        approved is done if the gate still allows it, and the kept cases are brought up to the journal.

        Safe beside others at work on the same state: what a living process does stays its own. One on another
        machine can't be asked after, so that what it began is left alone until it is `stale_after` old; call
        recover again then. In shadow, shadow runs alone are decided, and nothing is touched. An error with
        one incident does not keep the others from being decided; the first is raised in the end. Undecided
        incidents that `leave` says yes to are left to whoever else decides them: by default those in the inbox, which sets
        aside what ends every process. What was taken over MOST_TAKEN_OVER times is left to a person, and said.
        """
        leave = leave or self._is_in_the_inbox
        shadow = self.settings.mode == "shadow"
        if not shadow:
            self._write_path.settle_open(stale_after)
        failed: list[Exception] = []
        mine = [row for row in self.store.unfinished() if not leave(row.incident_id)]
        cases = [case for row in mine if (case := self._decide_late(row, stale_after, failed))]
        if not shadow:
            undecided = {row.incident_id for row in self.store.unfinished()}
            for late in self.store.approved():
                if late.incident_id not in undecided:  # another process is at work on it, or it could not be decided
                    self._do_late(late, failed)
            for incident_id in self.store.outdated_cases():
                self._refresh(incident_id)
            self.expire_due()
        if failed:
            raise failed[0]
        return cases

    def _decide_late(self, row: IntakeRow, stale_after: timedelta, failed: list[Exception]) -> Case | None:
        """Decide what was taken in and not decided, if that is ours to do."""
        if is_shadow(row.incident_id) != (self.settings.mode == "shadow") or not self._take_over(row, stale_after):
            return None
        try:
            for _ in self._drive(row.incident, row.native):
                pass
            return self.case(row.incident_id)
        except Exception as error:  # noqa: BLE001 - raised by recover, once the others were decided
            failed.append(error)
            return None

    def _is_in_the_inbox(self, incident_id: str) -> bool:
        """Whether its alert came through an inbox; who has none (see Aegis) decides all."""
        return False

    def _take_over(self, row: IntakeRow, stale_after: timedelta) -> bool:
        """Whether an undecided incident is ours to decide: nobody living is at work on it, and we were first to see."""
        since = [datetime.fromisoformat(e.at) for e in self.store.entries(row.incident_id, kind=TAKEN_OVER)]
        if len(since) >= MOST_TAKEN_OVER:
            _log.warning(
                "%s was taken over %d times and never decided: it may end every process; look at it, and give its alert to"
                " `aegis investigate`", row.incident_id, len(since),
            )  # fmt: skip
            return False
        age = datetime.now(UTC) - max([row.at, *since])
        if UNDER_WAY.given_up(row.owner, row.incident_id) or may_take_over(row.owner, age, stale_after):
            return self.store.claim(row.incident_id, this_process(), row.owner)
        return False

    def _do_late(self, row: JournalRow, failed: list[Exception]) -> None:
        """Do what was approved before a crash, if the gate still allows it; else say why not."""
        from aegis_agents.agents.again import decide_again

        try:
            decision = decide_again(self.graph, self.context, row, None)
            if decision.verb == "execute":
                self._do(row.action_id)
            else:
                why = f"approved before a crash, and not allowed now: {decision.rule}: {decision.reason}"
                self.store.settle(row.action_id, "recommended", None, why)
        except AlreadyDecided:
            return  # begun meanwhile by whoever approved it
        except Exception as error:  # noqa: BLE001 - raised by recover, once the others were done
            failed.append(error)
            return
        self._heed_failures(row.incident_id)
        self._refresh(row.incident_id)


def is_shadow(incident_id: str) -> bool:
    """Whether it is a shadow run's own id (see `cases.shadow_id`): never to be decided live, nor the other way."""
    return _SHADOW_ID.search(incident_id) is not None
