"""The console with its sessions, and what waits, on PostgreSQL."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.checkpoints import open_checkpointer
from aegis_agents.ledger.opening import open_store
from aegis_agents.records import AEGIS
from tests.console.conftest import Rig, words_of
from tests.graph.conftest import FakeFirewall, FakeModel
from tests.ledger.postgres_server import postgres_url, schema  # noqa: F401 - fixtures


@pytest.fixture
def make(
    tmp_path: Path, firewall: FakeFirewall, intel_home: Any, postgres_url: str, schema: str
) -> Iterator[Callable[..., Aegis]]:
    made: list[Aegis] = []

    def build(**settings: Any) -> Aegis:
        aegis = Aegis(
            model=FakeModel(), intel=intel_home, tools=[firewall], home=tmp_path,
            ledger=open_store(postgres_url, tmp_path, schema=schema),
            checkpointer=open_checkpointer(tmp_path / "unused", postgres_url, schema=schema), **settings,
        )  # fmt: skip
        made.append(aegis)
        return aegis

    yield build
    for aegis in made:
        aegis.store.close()
        aegis.close()


def test_what_waits_is_answered_by_somebody_who_signed_in(rig: Rig) -> None:
    action, other = rig.waiting(), rig.waiting(event_id="a-2", destination_ip="203.0.113.10")
    ann = rig.tab("ann", "approver", "operator")
    before = ann.get("/pulse").json()
    page = ann.get("/").text
    assert page.index(action) < page.index(other)
    done = ann.follow(ann.post(f"/actions/{action}/approve"))
    assert "Done: block IP 203.0.113.9" in words_of(done.text)
    assert ann.get("/pulse").json() != before
    for path in ("/", "/queue", "/ledger", f"/actions/{action}", "/health", "/timers"):
        assert ann.get(path).status_code == 200
    assert "The ledger is whole" in words_of(ann.post("/ledger/verify").text)


def test_sessions_end_with_their_token_and_by_signing_out(rig: Rig) -> None:
    ann, bob = rig.tab("ann", "viewer"), rig.tab("bob", "viewer")
    (row,) = [t for t in rig.aegis.store.tokens() if t.name == "ann"]
    rig.aegis.store.revoke_token(row.token_id, AEGIS)
    assert ann.get("/").status_code == 303
    held = dict(bob.cookies)
    bob.post("/logout")
    bob.cookies = held
    assert bob.get("/").status_code == 303
