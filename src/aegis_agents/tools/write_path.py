"""The one write path: journal the intent, act, verify by reading back, journal the outcome.

Nothing else in Aegis calls a connector. After a crash, what was under way is settled by
looking at the world, never by doing it again blindly.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from aegis_agents.errors import ConnectorError, NotReversible, TransientConnectorError
from aegis_agents.ledger import JournalRow, Store
from aegis_agents.records import AEGIS, CATALOGUE, ActionName, Principal, Receipt
from aegis_agents.tools.connectors.protocol import Connector
from aegis_agents.tools.lifetimes import Lifetimes


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class WritePath:
    """Executes and takes back what the journal says may be.

    `attempts` and `longest_wait_s` bound the retries of TransientConnectorError; `redact`
    cleans the reason that goes out with an action; `lifetimes` say when it lifts itself.
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
    ) -> None:
        self._store, self._connectors, self._redact = store, connectors, redact
        self._lifetimes = lifetimes or Lifetimes()
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
        row = self._store.action(action_id)
        connector = self._connectors.get(row.proposal.action)
        if connector is None and row.state == "approved":
            detail = f"no connector does {row.proposal.action}: do it by hand, or configure one"
            return self._store.settle(action_id, "recommended", None, detail).receipt()
        begun = self._store.begin(action_id, owner=_owner())
        assert connector is not None  # noqa: S101 - begin() refuses what is not approved
        row = begun.row
        # What can't be taken back is an event, not a state: a second incident needs it again.
        there = self._look(connector, row) if CATALOGUE[row.proposal.action].reversible else None
        together = f"held together with {', '.join(begun.others)}"
        if there and begun.others:
            return self._settle(row, "executed", connector, f"in effect, {together}")
        if there is None and begun.sharing is not None:
            return self._settle(row, begun.sharing, connector, f"done once, {together}")
        if there:
            # Somebody else's doing: it is not ours to lift later.
            detail = "it was in effect before"
            return self._store.settle(action_id, "executed", connector.name, detail, foreign=True).receipt()
        return self._apply(connector, row, begun.key)

    def _apply(self, connector: Connector, row: JournalRow, key: str) -> Receipt:
        action, target, note = row.proposal.action, row.target, self._redact(row.proposal.reason)
        in_doubt = False

        def once() -> str:
            nonlocal in_doubt
            try:
                return connector.apply(action, target, key=key, note=note)
            except TransientConnectorError as error:
                # It may have happened all the same: look before trying again.
                in_doubt = True
                if self._look(connector, row):
                    return f"in effect, though it answered: {error}"
                raise

        try:
            reference = self._retrying(once)
        except ConnectorError as error:
            there = self._look(connector, row)
            if there:
                return self._settle(row, "executed", connector, f"in effect, though it answered: {error}")
            # A plain no after an answer that was lost may be a no to the second time only.
            unknown = there is None and in_doubt
            return self._settle(row, "unconfirmed" if unknown else "failed", connector, str(error))
        there = self._look(connector, row)
        if there is False:
            return self._settle(row, "failed", connector, f"accepted, and yet not in effect {reference}".rstrip())
        if there is None and not reference:
            return self._settle(row, "unconfirmed", connector, "sent, and can't be read back")
        return self._settle(row, "executed", connector, reference)

    def undo(self, action_id: str, by: Principal, outcome: Literal["undone", "expired"] = "undone") -> Receipt:
        """Take an action back, as `by`.

        Raises UnknownAction, NotReversible, AlreadyDecided, ActionError if there is nothing
        to take back, ConnectorError if the system would not; then it is still in effect.
        """
        row = self._store.action(action_id)
        if not CATALOGUE[row.proposal.action].reversible:
            raise NotReversible(f"{row.proposal.action} can't be taken back")
        connector = self._connectors.get(row.proposal.action)
        if connector is None:
            raise ConnectorError(f"no connector does {row.proposal.action} any more: take it back by hand")
        undoing = self._store.begin_undo(action_id, by, owner=_owner(), outcome=outcome)
        if undoing.row.state != "undoing":
            return undoing.row.receipt()
        if undoing.foreign:
            return self._settle(row, outcome, connector, "left in place: it was in effect before Aegis acted")
        try:
            reference = self._retrying(self._lift, connector, row, f"{undoing.key}-undo")
        except ConnectorError as error:
            there = self._look(connector, row)
            if there is False:
                return self._settle(row, outcome, connector, f"lifted, though it answered: {error}")
            self._settle(row, "unconfirmed" if there is None else "executed", connector, f"undo failed: {error}")
            raise
        there = self._look(connector, row)
        if there:
            self._settle(row, "executed", connector, "undo was accepted, and yet it is still in effect")
            raise ConnectorError(f"{action_id}: {connector.name} accepted the undo, and yet it is still in effect")
        if there is None and not reference:
            return self._settle(row, "unconfirmed", connector, "undo sent, and can't be read back")
        return self._settle(row, outcome, connector, reference)

    def _lift(self, connector: Connector, row: JournalRow, key: str) -> str:
        try:
            return connector.undo(row.proposal.action, row.target, key=key)
        except TransientConnectorError as error:
            if self._look(connector, row) is False:
                return f"lifted, though it answered: {error}"
            raise

    def settle_open(self) -> list[Receipt]:
        """After a crash: settle what was under way by looking. Call it when nobody else is at work."""
        return [self._settle_by_looking(row) for row in self._store.open_intents()]

    def _settle_by_looking(self, row: JournalRow) -> Receipt:
        connector = self._connectors.get(row.proposal.action)
        there = self._look(connector, row) if connector else None
        if row.state == "undoing":
            if there is False:
                return self._settle(
                    row, self._store.undo_outcome(row.action_id), connector, "found lifted after a crash"
                )
            outcome = "executed" if there else "unconfirmed"
            return self._settle(row, outcome, connector, "the undo was cut off by a crash")
        if there:
            return self._settle(row, "executed", connector, "found in effect after a crash")
        if there is False:
            return self._settle(row, "failed", connector, "cut off by a crash before it took effect; not repeated")
        return self._settle(row, "unconfirmed", connector, "cut off by a crash, and can't be read back")

    def _settle(self, row: JournalRow, outcome: str, connector: Connector | None, detail: str) -> Receipt:
        name = connector.name if connector else None
        life = self._lifetimes.of(row) if outcome == "executed" and row.state in ("approved", "intent") else None
        with self._store.transaction():
            settled = self._store.settle(row.action_id, outcome, name, detail)  # type: ignore[arg-type]
            if life is not None:
                self._store.set_expiry(row.action_id, datetime.now(UTC) + life, AEGIS)
        return settled.receipt()

    def _look(self, connector: Connector, row: JournalRow) -> bool | None:
        """Whether it is in effect; what can't be asked is not known."""
        try:
            return connector.read(row.proposal.action, row.target)
        except ConnectorError:
            return None
