"""The one write path: journal the intent, act, verify by reading back, journal the outcome.

Nothing else in Aegis calls a connector. After a crash, what was under way is settled by
looking at the world, never by doing it again blindly (see `settling`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Literal

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from aegis_agents.errors import ConnectorError, NotReversible, TransientConnectorError
from aegis_agents.honeytokens import stopped
from aegis_agents.ledger import Begun, JournalRow, Settled, Store
from aegis_agents.records import CATALOGUE, ActionName, Principal, Receipt
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.telemetry.watch import Telemetry
from aegis_agents.tools.connectors.assign import connector_for
from aegis_agents.tools.connectors.protocol import Connector
from aegis_agents.tools.lifetimes import Lifetimes
from aegis_agents.tools.owners import STALE_AFTER, UNDER_WAY, this_process
from aegis_agents.tools.settling import FOUND, look, may_settle, settle_by_looking, storable


class WritePath:
    """Executes and takes back what the journal says may be.

    `attempts` and `longest_wait_s` bound the retries of TransientConnectorError; `redact`
    cleans the reason that goes out with an action; `lifetimes` say when it lifts itself;
    `stopped` says why an action must not be done at this moment (the kill switch), "" while it may.
    """

    def __init__(
        self,
        store: Store,
        connectors: Mapping[ActionName, Connector],
        *,
        redact: Callable[[str], str] = str,
        attempts: int = 3,
        longest_wait_s: float = 4.0,
        lifetimes: Lifetimes | None = None,
        stopped: Callable[[ActionName], str] = lambda _: "",
    ) -> None:
        self._store, self._connectors, self._redact = store, connectors, redact
        self._lifetimes, self._stopped = lifetimes or Lifetimes(), stopped
        self.watch = Telemetry(TelemetrySettings())
        """Who listens to what is done; nobody until another one is put in its place."""
        self._retrying = Retrying(
            stop=stop_after_attempt(attempts),
            wait=wait_exponential_jitter(multiplier=min(0.2, longest_wait_s), max=longest_wait_s, jitter=0.1),
            retry=retry_if_exception_type(TransientConnectorError),
            reraise=True,
        )

    def execute(self, action_id: str) -> Receipt:
        """Do an approved action, at most once.

        Raises UnknownAction, AlreadyDecided if it was begun before, ActionError if it is
        not approved. What a connector says no to is a receipt with outcome `failed`.
        """
        with UNDER_WAY.at_work(action_id):
            row = self._store.action(action_id)
            connector = self._connector_of(row)
            if connector is None and row.state == "approved":
                detail = f"no connector does {row.proposal.action}: do it by hand, or configure one"
                return self._store.settle(action_id, "recommended", None, detail).receipt()
            if row.state == "approved" and (why := self._stopped(row.proposal.action)):
                return self._store.settle(action_id, "recommended", None, f"not done: {why}").receipt()
            # What can't be taken back is an event, not a state: a second incident needs it again.
            state = CATALOGUE[row.proposal.action].reversible and row.state == "approved"
            before = look(connector, row) if state and connector else None
            if before is None and state and connector:
                before = look(connector, row)  # a look that fails once tells nothing
            begun = self._begin(row, there=bool(before))
            assert connector is not None  # noqa: S101 - begin() refuses what is not approved
            row = begun.row
            # The world may have changed until the intent was on disk, and so may who holds it.
            there = look(connector, row) if state and (before or begun.others) else before
            together = f"held together with {', '.join(begun.others)}"
            if there and begun.others:
                return self._settle(row, "executed", connector, f"in effect, {together}")
            if there is None and begun.sharing is not None:
                return self._settle(row, begun.sharing, connector, f"done once, {together}")
            if before and there is not False and not begun.others:
                return self._settle(row, "executed", connector, "it was in effect before", foreign=True)
            with self._seen(row, connector):
                return self._apply(connector, row, begun.key, unseen=state and before is None and not begun.others)

    def _begin(self, row: JournalRow, *, there: bool) -> Begun:
        """Journal the intent, and with it that it was in effect already: a crash must not make that ours."""

        def once() -> Begun:
            with self._store.transaction():
                begun = self._store.begin(row.action_id, owner=this_process())
                if there and not begun.others:
                    self._store.append(FOUND, row.incident_id, {"action_id": row.action_id})
            return begun

        try:
            return self._retrying(once)
        except TransientConnectorError:
            self.settle_open()  # the undo that stands in the way may be a dead process's
            return once()

    def _apply(self, connector: Connector, row: JournalRow, key: str, *, unseen: bool) -> Receipt:
        """Do it. `unseen`: nobody could tell whether it was in effect before; what then is must not be lifted as ours."""
        action, target, note = row.proposal.action, row.target, self._redact(row.proposal.reason)
        in_doubt = False

        def once() -> str:
            nonlocal in_doubt
            if why := self._stopped(action) or stopped(f"{target.value}\n{note}", "write path"):
                raise ConnectorError(f"stopped: {why}")
            try:
                return connector.apply(action, target, key=key, note=note)
            except TransientConnectorError as error:
                # It may have happened all the same: look before trying again.
                in_doubt = True
                if look(connector, row):
                    return f"in effect, though it answered: {error}"
                raise
            except ConnectorError:
                raise
            except Exception as error:  # its author's mistake: it may have acted, and the row must not stay open
                in_doubt = True
                raise ConnectorError(f"{connector.name} broke: {type(error).__name__}") from error

        try:
            reference = self._retrying(once)
        except ConnectorError as error:
            there = look(connector, row)
            if there:
                return self._settle(row, "executed", connector, f"in effect, though it answered: {error}")
            # A plain no after an answer that was lost may be a no to the second time only.
            unknown = there is None and in_doubt
            return self._settle(row, "unconfirmed" if unknown else "failed", connector, str(error))
        there = look(connector, row)
        if there is False:
            return self._settle(row, "failed", connector, f"accepted, and yet not in effect {reference}".rstrip())
        if there is None and not reference:
            return self._settle(row, "unconfirmed", connector, "sent, and can't be read back")
        if there and unseen:
            unsure = f"in effect; whether it was before could not be told, so it is not lifted by itself {reference}".rstrip()
            return self._settle(row, "executed", connector, unsure, foreign=True)
        return self._settle(row, "executed", connector, reference)

    def undo(self, action_id: str, by: Principal, outcome: Literal["undone", "expired"] = "undone") -> Receipt:
        """Take an action back, as `by`.

        Raises UnknownAction, NotReversible, AlreadyDecided, ActionError if there is nothing
        to take back, ConnectorError if the system would not; then it is still in effect.
        """
        with UNDER_WAY.at_work(action_id):
            row = self._store.action(action_id)
            if not CATALOGUE[row.proposal.action].reversible:
                raise NotReversible(f"{row.proposal.action} can't be taken back")
            connector = self._connector_of(row)
            if connector is None:
                raise ConnectorError(f"no connector does {row.proposal.action} any more: take it back by hand")
            undoing = self._store.begin_undo(action_id, by, owner=this_process(), outcome=outcome)
            if undoing.row.state != "undoing":
                return undoing.row.receipt()
            if undoing.foreign:
                return self._settle(row, outcome, connector, "left in place: it was in effect before Aegis acted")
            with self._seen(row, connector, CATALOGUE[row.proposal.action].undo):
                return self._take_back(connector, row, f"{undoing.key}-undo", outcome)

    def _take_back(self, connector: Connector, row: JournalRow, key: str, outcome: Settled) -> Receipt:
        try:
            reference = self._retrying(self._lift, connector, row, key)
        except ConnectorError as error:
            there = look(connector, row)
            if there is False:
                return self._settle(row, outcome, connector, f"lifted, though it answered: {error}")
            self._settle(row, "unconfirmed" if there is None else "executed", connector, f"undo failed: {error}")
            raise
        there = look(connector, row)
        if there:
            self._settle(row, "executed", connector, "undo was accepted, and yet it is still in effect")
            raise ConnectorError(f"{row.action_id}: {connector.name} accepted the undo, and yet it is still in effect")
        if there is None and not reference:
            return self._settle(row, "unconfirmed", connector, "undo sent, and can't be read back")
        return self._settle(row, outcome, connector, reference)

    def _lift(self, connector: Connector, row: JournalRow, key: str) -> str:
        if why := stopped(row.target.value, "write path"):
            raise ConnectorError(f"stopped: {why}")
        try:
            return connector.undo(row.proposal.action, row.target, key=key)
        except TransientConnectorError as error:
            if look(connector, row) is False:
                return f"lifted, though it answered: {error}"
            raise
        except ConnectorError:
            raise
        except Exception as error:  # its author's mistake: the row must not stay open
            raise ConnectorError(f"{connector.name} broke: {type(error).__name__}") from error

    def settle_open(self, stale_after: timedelta = STALE_AFTER) -> list[Receipt]:
        """Settle by looking what was begun by processes that died, and answer what became of it.

        Safe beside others at work: what a living process is at stays its own, and what one began that this
        host can't ask after (another machine's, another container's) is left alone until it is `stale_after` old.
        """
        found = []
        for row in self._store.open_intents():
            if may_settle(row, stale_after):
                settled = settle_by_looking(self._store, self._connector_of(row), row, self._settle)
                found += [settled] if settled else []
        return found

    def _settle(
        self, row: JournalRow, outcome: Settled, connector: Connector | None, detail: str, *, foreign: bool = False
    ) -> Receipt:
        name = connector.name if connector else None
        # What may be in effect lifts itself like what is: nobody would remember it.
        ours = outcome in ("executed", "unconfirmed") and row.state in ("approved", "intent") and not foreign
        life = self._lifetimes.of(row) if ours else None
        # From when it was begun: one that a crash kept from being settled has not stayed shorter for it.
        until = None if life is None else (row.begun_at or datetime.now(UTC)) + life
        settled = self._store.settle(row.action_id, outcome, name, storable(detail), foreign=foreign, until=until)
        self.watch.settled(row.proposal.action, outcome, row.incident_id, row.action_id, name)
        return settled.receipt()

    def _seen(self, row: JournalRow, connector: Connector, name: str | None = None) -> AbstractContextManager[None]:
        return self.watch.tool(name or row.proposal.action, row.target, row.incident_id, row.action_id, connector.name)

    def _connector_of(self, row: JournalRow) -> Connector | None:
        """Who does it, or, once it was done, who did."""
        return connector_for(self._connectors, row.proposal.action, row.target, did=row.connector)
