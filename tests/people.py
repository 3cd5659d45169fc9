"""Authenticated persons for tests."""

from __future__ import annotations

from datetime import timedelta

from aegis_agents.ledger import Store
from aegis_agents.records import AEGIS, ROLES, Principal

YEAR = timedelta(days=365)


def person(name: str) -> Principal:
    """Somebody a token vouches for, with every role."""
    return Principal(name=name, method="token", roles=frozenset(ROLES), detail="token test")


def token_of(store: Store, name: str) -> str:
    """A token of this person, with every role."""
    return store.add_token(name, ROLES, AEGIS, valid_for=YEAR)
