"""Somebody whom a server around Aegis has authenticated: believed, but for a token that ended since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import IdentityError
from aegis_agents.records import AEGIS, Principal
from tests.graph.conftest import ATTACK

Make = Callable[..., Aegis]
OIDC = Principal(name="alice@example.com", method="oidc", roles=frozenset({"approver"}), detail="https://idp.example")


def waiting(aegis: Aegis) -> str:
    aegis.investigate(ATTACK)
    return aegis.pending()[0].action_id


def test_somebody_of_the_identity_provider_approves_under_their_own_name(make: Make) -> None:
    aegis = make(require_token=True)
    action_id = waiting(aegis)
    aegis.approve(action_id, token=OIDC)
    row = aegis.store.action(action_id)
    assert row.principal == "oidc:alice@example.com"


def test_their_roles_bind_them(make: Make) -> None:
    aegis = make()
    with pytest.raises(IdentityError, match="no operator"):
        aegis.undo(waiting(aegis), token=OIDC)


def test_a_token_that_was_revoked_since_answers_nothing(make: Make) -> None:
    aegis = make()
    action_id = waiting(aegis)
    token = aegis.store.add_token("bob", ("approver",), AEGIS, valid_for=timedelta(days=1))
    bob = aegis.store.authenticate(token)
    aegis.revoke_token(bob.detail.removeprefix("token "))
    with pytest.raises(IdentityError, match="revoked"):
        aegis.approve(action_id, token=bob)
    assert aegis.pending()


@pytest.mark.parametrize("method", ["os_account", "aegis"])
def test_nobody_else_is_vouched_for(make: Make, method: str) -> None:
    aegis = make()
    made_up = OIDC.model_copy(update={"method": method})
    with pytest.raises(IdentityError, match="nobody that a server can vouch for"):
        aegis.approve(waiting(aegis), token=made_up)
