"""What every connector must do, tried through the real write path against a vendor on loopback.

A connector's test module gives two things: a Rig, which is the vendor's side with its switches, and
the Cases that the connector can do there:

    class TestOkta(ConnectorContract):
        cases = (Case("disable_user", Target(kind="user", value="ann@example.com")),)

        @pytest.fixture
        def rig(self) -> Iterator[Rig]: ...

The vendor's side should be the real SDK's other end: it validates each request by the vendor's
published schema, evaluates the vendor's filters for real (else escaping is not tested), and holds
bystanders beside each case's target. A configurable connector has `kind`, `extra`, `secrets` and
keyword-only parameters (connectors/protocol.py); the contract checks those too.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from aegis_agents.errors import AegisError, ConnectorError, NotPermitted, TargetNotFound
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import CATALOGUE, ActionName, EntityKind, Target
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.connectors.protocol import Connector
from tests.people import person

Approved = Callable[..., str]
ALICE = person("alice")

HOSTILE = (
    "*", "%", "_", "?", ".*", "a*", "' or '1'='1", "x' or startswith(userPrincipalName,'a') or 'x' eq '", "x'+hostname:*'*",
    'x" or profile.login sw "a', "x\\", "\\'", "../admin", "..%2fadmin", "%2e%2e/", "a/b", "a?b=c", "a#b", "a&b=c", "a;b",
    "x\r\nX-Evil: 1", "x\nx", "x\x00y", "x\x7fy", "*)(uid=*", "${jndi:ldap://x}", "{{7*7}}", "$(id)", "`id`", "", " ", "  x  ",
    "ünïcödé-ß", "ｆｕｌｌ", "‮evil", "x\u200by", "\ud800", "😀" * 40, "a" * 5000, "me", "[]", "null", "0", "-1", ",", "a,b",
)  # fmt: skip
"""Target values that an alert's author could plant."""


@dataclass(frozen=True)
class Case:
    """One action on one target that the vendor knows.

    `readable`: whether the connector can read it back (in the process that did it, for events).
    `repeatable`: an event that can't be read back and that doing twice does no harm (ending sessions).
    """

    action: ActionName
    target: Target
    readable: bool = True
    repeatable: bool = False

    @property
    def reversible(self) -> bool:
        """Whether it can be taken back."""
        return CATALOGUE[self.action].reversible

    def __str__(self) -> str:
        return f"{self.action}-{self.target.kind}"


class Rig(ABC):
    """The vendor's side of one connector, new for each test."""

    secrets: tuple[str, ...] = ()
    """What must never be shown. The vendor puts them into its error texts, as some do."""

    @abstractmethod
    def connector(self) -> Connector:
        """The connector, built as a configuration would, against this vendor."""

    @abstractmethod
    def set_in_effect(self, action: ActionName, target: Target) -> None:
        """Somebody else did it; it does not count in effects()."""

    @abstractmethod
    def in_effect(self, action: ActionName, target: Target) -> bool:
        """The vendor's own truth: for an event, whether it happened."""

    @abstractmethod
    def effects(self) -> int:
        """How often an effect asked for by the connector really changed something (undo not counted)."""

    @abstractmethod
    def touched(self) -> set[str]:
        """Names of everything on which something was done, as the targets' values would call it."""

    @abstractmethod
    def forget(self, target: Target) -> None:
        """The vendor knows no such target any more."""

    @abstractmethod
    def deny(self) -> None:
        """From now on the credentials may not do that (403), with the secrets in the answer's text."""

    @abstractmethod
    def ignore(self) -> None:
        """From now on changes are accepted, and nothing happens."""

    @abstractmethod
    def lose_answers(self, count: int) -> None:
        """The next `count` changes take effect, and the connection ends without an answer."""

    @abstractmethod
    def limit_rate(self, count: int) -> None:
        """The next `count` changes are answered 429 and don't happen."""

    def plant(self, target: Target) -> bool:
        """Make the vendor know a thing of exactly this name; False where it can't have such a name."""
        return False

    def twin(self, target: Target) -> bool:
        """Make the target's name match two things; False where the vendor's names are unique."""
        return False


class ConnectorContract:
    """The tests. A subclass named Test... sets `cases` and has the fixture `rig`."""

    cases: ClassVar[tuple[Case, ...]]
    hostile: ClassVar[tuple[str, ...]] = HOSTILE
    forgetful: ClassVar[bool] = True
    """Whether a target can be unknown to the vendor (a block list takes any address)."""
    odd_kind: ClassVar[EntityKind] = "pod"
    """A kind of target that none of the cases takes."""

    @pytest.fixture
    def path(self, rig: Rig, store: SqliteStore) -> WritePath:
        return WritePath(store, assign([rig.connector()]), attempts=3, longest_wait_s=0.01)

    def test_do(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome == "executed", receipt.detail
        assert receipt.connector == path._connectors[case.action].name
        assert rig.in_effect(case.action, case.target)
        assert rig.effects() == 1
        if not case.readable:
            assert receipt.detail, "what can't be read back is confirmed by the vendor's reference"

    def test_it_is_read_back(self, rig: Rig, case: Case) -> None:
        connector = rig.connector()
        before = connector.read(case.action, case.target)
        assert before is (False if case.readable and case.reversible else None)
        connector.apply(case.action, case.target, key="k1", note="n")
        assert connector.read(case.action, case.target) is (True if case.readable else None)
        if case.reversible:
            # Another process, which remembers nothing, sees the same.
            assert rig.connector().read(case.action, case.target) is (True if case.readable else None)

    def test_accepted_and_yet_not_in_effect_is_failed(
        self, rig: Rig, path: WritePath, approved: Approved, case: Case
    ) -> None:
        if not case.readable:
            pytest.skip("can't be read back")
        rig.ignore()
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome in ("failed", "unconfirmed"), receipt.detail
        assert not rig.in_effect(case.action, case.target)

    def test_undo(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        if not case.reversible:
            pytest.skip("can't be taken back")
        key = approved(case.action, case.target)
        path.execute(key)
        receipt = path.undo(key, ALICE)
        assert receipt.outcome == "undone", receipt.detail
        assert not rig.in_effect(case.action, case.target)
        assert rig.connector().read(case.action, case.target) is (False if case.readable else None)

    def test_undo_by_another_process(self, rig: Rig, store: SqliteStore, approved: Approved, case: Case) -> None:
        if not case.reversible:
            pytest.skip("can't be taken back")
        key = approved(case.action, case.target)
        WritePath(store, assign([rig.connector()]), longest_wait_s=0.01).execute(key)
        receipt = WritePath(store, assign([rig.connector()]), longest_wait_s=0.01).undo(key, ALICE)
        assert receipt.outcome == "undone", receipt.detail
        assert not rig.in_effect(case.action, case.target)

    def test_done_again_after_an_undo(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        if not case.reversible:
            pytest.skip("can't be taken back")
        first = approved(case.action, case.target)
        path.execute(first)
        path.undo(first, ALICE)
        receipt = path.execute(approved(case.action, case.target, generation=1))
        assert receipt.outcome == "executed", receipt.detail
        assert rig.in_effect(case.action, case.target)
        assert rig.effects() == 2

    def test_what_was_there_before_stays(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        if not (case.reversible and case.readable):
            pytest.skip("an event, or can't be read back")
        rig.set_in_effect(case.action, case.target)
        key = approved(case.action, case.target)
        receipt = path.execute(key)
        assert (receipt.outcome, receipt.detail) == ("executed", "it was in effect before")
        assert rig.effects() == 0
        assert path.undo(key, ALICE).outcome == "undone"
        assert rig.in_effect(case.action, case.target)

    def test_taking_back_what_is_not_in_effect(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        if not case.reversible:
            pytest.skip("can't be taken back")
        rig.connector().undo(case.action, case.target, key="k1-undo")
        key = approved(case.action, case.target)
        path.execute(key)
        rig.connector().undo(case.action, case.target, key="k2-undo")
        assert path.undo(key, ALICE).outcome == "undone"
        assert not rig.in_effect(case.action, case.target)

    def test_not_found(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        if not self.forgetful:
            pytest.skip("takes any target")
        rig.forget(case.target)
        with pytest.raises(TargetNotFound):
            rig.connector().apply(case.action, case.target, key="k1", note="n")
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome == "failed", receipt.detail
        assert receipt.detail
        assert rig.effects() == 0

    def test_permission_denied(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        rig.deny()
        with pytest.raises(NotPermitted) as caught:
            rig.connector().apply(case.action, case.target, key="k1", note="n")
        self._no_secret(rig, "".join(traceback.format_exception(caught.value)))
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome == "failed", receipt.detail
        assert "may not" in receipt.detail
        self._no_secret(rig, receipt.detail)
        assert rig.effects() == 0

    def test_time_out_after_the_effect(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        rig.lose_answers(1)
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome == "executed", receipt.detail
        assert rig.in_effect(case.action, case.target)
        self._no_secret(rig, receipt.detail)
        if not case.repeatable:
            assert rig.effects() == 1

    def test_every_answer_lost(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        rig.lose_answers(10)
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome == ("executed" if case.readable else "unconfirmed"), receipt.detail
        if not case.repeatable:
            assert rig.effects() == 1

    def test_time_out_after_the_undo(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        if not case.reversible:
            pytest.skip("can't be taken back")
        key = approved(case.action, case.target)
        path.execute(key)
        rig.lose_answers(1)
        assert path.undo(key, ALICE).outcome == "undone"
        assert not rig.in_effect(case.action, case.target)

    def test_a_rate_limit_is_waited_out(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        rig.limit_rate(1)
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome == "executed", receipt.detail
        assert rig.effects() == 1

    def test_twice_with_one_key_is_once(self, rig: Rig, case: Case) -> None:
        connector = rig.connector()
        for _ in range(2):
            connector.apply(case.action, case.target, key="k1", note="n")
        if not case.repeatable:
            assert rig.effects() == 1
        assert rig.in_effect(case.action, case.target)

    def test_a_name_of_two_is_refused(self, rig: Rig, path: WritePath, approved: Approved, case: Case) -> None:
        if not rig.twin(case.target):
            pytest.skip("names are unique there")
        receipt = path.execute(approved(case.action, case.target))
        assert receipt.outcome == "failed", receipt.detail
        assert rig.touched() == set()
        assert receipt.detail

    def test_hostile_names_touch_nothing_else(self, rig: Rig, case: Case) -> None:
        """Whatever the name, at most the thing of that very name is touched."""
        connector = rig.connector()
        for value in self.hostile:
            target = Target.model_construct(kind=case.target.kind, value=value)
            for ask in (
                lambda t=target: connector.read(case.action, t),
                lambda t=target: connector.apply(case.action, t, key="k1", note="n"),
                lambda t=target: connector.undo(case.action, t, key="k1") if case.reversible else None,
            ):
                try:
                    ask()
                except ConnectorError as error:
                    self._no_secret(rig, str(error))
                if self.forgetful:
                    assert rig.touched() == set(), f"{value!r} touched {rig.touched()}"
                else:
                    assert rig.touched() <= {value, value.strip().lower()}, value

    def test_hostile_names_that_exist(self, rig: Rig, case: Case) -> None:
        """A thing may be called so: then it is touched, or it is refused, and nothing else is touched."""
        connector = rig.connector()
        for value in self.hostile:
            target = Target.model_construct(kind=case.target.kind, value=value)
            if not rig.plant(target):
                continue
            before, done = rig.touched(), {value}
            try:
                connector.apply(case.action, target, key="k1", note="n")
            except ConnectorError:
                done = set()
            assert rig.touched() - before == done, value

    def test_other_kinds_of_target_are_refused(self, rig: Rig, case: Case) -> None:
        connector = rig.connector()
        odd = Target.model_construct(kind=self.odd_kind, value=case.target.value)
        with pytest.raises(ConnectorError):
            connector.apply(case.action, odd, key="k1", note="n")
        assert rig.effects() == 0

    def test_other_actions_are_refused(self, rig: Rig, case: Case) -> None:
        connector = rig.connector()
        for action in CATALOGUE.keys() - {one.action for one in self.cases}:
            with pytest.raises(ConnectorError):
                connector.apply(action, case.target, key="k1", note="n")
        assert rig.effects() == 0
        assert rig.touched() == set()

    def test_what_it_can_do_is_in_the_catalogue(self, rig: Rig) -> None:
        connector = rig.connector()
        assert connector.actions == {case.action for case in self.cases}
        assert connector.actions <= CATALOGUE.keys()

    def test_its_configuration(self, rig: Rig) -> None:
        made = type(rig.connector())
        parameters = inspect.signature(made).parameters.values()
        assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters), "configuration keys are named"
        assert made.secrets <= {p.name for p in parameters}  # type: ignore[attr-defined]
        assert made.kind  # type: ignore[attr-defined]
        assert isinstance(made.extra, str)  # type: ignore[attr-defined]
        assert inspect.getdoc(made)

    def test_no_secret_in_any_log(
        self, rig: Rig, path: WritePath, approved: Approved, case: Case, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nor in those of its SDK, whoever turns them on."""
        caplog.set_level(logging.DEBUG)
        assert path.execute(approved(case.action, case.target)).outcome == "executed"
        rig.deny()
        path.execute(approved(case.action, case.target, incident="inc-2"))
        self._no_secret(rig, caplog.text)

    def test_no_secret_in_its_repr(self, rig: Rig) -> None:
        self._no_secret(rig, repr(rig.connector()) + str(rig.connector()))

    @staticmethod
    def _no_secret(rig: Rig, text: str) -> None:
        for secret in rig.secrets:
            assert secret not in text


def refused(call: Callable[[], object]) -> str:
    """The message with which Aegis refuses; fails where it does not."""
    with pytest.raises(AegisError) as caught:
        call()
    return str(caught.value)
