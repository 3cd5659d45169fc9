"""Each setting, turned, changes what happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.errors import PolicyError, SettingsError
from aegis_agents.feeding import configured
from aegis_agents.settings import load_settings
from tests.graph.conftest import ATTACK

Make = Callable[..., Aegis]


def connectors(aegis: Aegis) -> dict[str, str]:
    return {action: connector.name for action, connector in aegis._write_path._connectors.items()}


def ticket(aegis: Aegis, **more: str) -> Any:
    return next(a for a in aegis.investigate(ATTACK | more).actions if a.action == "open_ticket")


def test_tenants_have_cases_of_their_own(make: Make) -> None:
    ids = {make(tenant=name).investigate(ATTACK).incident_id for name in ("red", "blue")}
    assert len(ids) == 2


def test_home_is_where_state_lives(make: Make, tmp_path: Path) -> None:
    make().investigate(ATTACK)
    assert {"aegis.sqlite", "checkpoints.sqlite", "outbox"} <= {p.name for p in tmp_path.iterdir()}


def test_a_webhook_takes_tickets_from_the_outbox(make: Make) -> None:
    assert connectors(make())["open_ticket"] == "outbox"
    aegis = make(webhook_url="https://tickets.example/hook", webhook_secret="s3cret")
    assert connectors(aegis)["open_ticket"] == "webhook"
    assert connectors(aegis)["close_alert"] == "outbox"
    assert aegis._write_path._connectors["open_ticket"]._secret == "s3cret"  # type: ignore[attr-defined]


def test_the_secret_is_not_shown(tmp_path: Path) -> None:
    assert "s3cret" not in repr(load_settings(home=tmp_path, webhook_secret="s3cret"))


def test_nftables_blocks_only_where_it_is_asked_to(intel_home: Any, tmp_path: Path) -> None:
    from aegis_agents.errors import ConnectorError
    from aegis_agents.records import Target

    plain, firewalled = (
        Aegis(home=tmp_path / str(on), nftables=on, nftables_never=("203.0.113.0/24",)) for on in (False, True)
    )
    assert "block_ip" not in connectors(plain)
    block = firewalled._write_path._connectors["block_ip"]
    with pytest.raises(ConnectorError, match="never"):
        block.apply("block_ip", Target(kind="ip", value="203.0.113.9"), key="k", note="")
    plain.close()
    firewalled.close()


def test_a_policy_adds_a_forbid(make: Make, tmp_path: Path) -> None:
    rule = tmp_path / "rule.cedar"
    rule.write_text('@id("mine.no_tickets")\nforbid(principal, action == Aegis::Action::"open_ticket", resource);\n')
    assert ticket(make()).outcome == "executed"
    refused = ticket(make(policy=rule), event_id="p-2")
    assert refused.outcome == "refused"
    assert refused.rule == "mine.no_tickets"


def test_a_policy_with_an_error_names_file_and_line(make: Make, tmp_path: Path) -> None:
    rule = tmp_path / "rule.cedar"
    rule.write_text("permit(principal, action\n")
    with pytest.raises(PolicyError, match=r"rule\.cedar"):
        make(policy=rule).investigate(ATTACK)


def test_an_hour_has_only_so_many_actions(make: Make, tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[contain]\nstandard = "act"\n')
    for limit, rule in ((0, "budget.hour"), (None, "counterfactual.hangs_on_external")):
        aegis = make(matrix=matrix, risk={"contain": 0.1}, max_actions_per_hour=limit)
        case = aegis.investigate(ATTACK | {"event_id": f"b-{limit}"})
        block = next(a for a in case.actions if a.action == "block_ip")
        inputs = aegis.store.action(block.action_id).decision.inputs
        assert inputs["budget.rule"] == ("budget.hour" if limit == 0 else "budget.left"), rule


def test_risk_is_the_least_confidence_for_acting_alone(make: Make, tmp_path: Path) -> None:
    for threshold, ceiling in ((0.99, "ask"), (0.5, "execute")):
        aegis = make(risk={"contain": threshold})
        case = aegis.investigate(ATTACK | {"event_id": f"r-{threshold}"})
        block = next(a for a in case.actions if a.action == "block_ip")
        assert aegis.store.action(block.action_id).decision.inputs["risk"] == ceiling


def test_threads_and_cache_reach_the_model(tmp_path: Path, intel_home: Any) -> None:
    aegis = Aegis(home=tmp_path, intel=intel_home, threads=1, cache=7)
    encoder = aegis.context.model._encoder  # type: ignore[attr-defined]
    assert encoder._session.get_session_options().intra_op_num_threads == 1
    assert encoder._size == 7
    aegis.close()


def test_feeds_and_their_secrets_come_from_settings(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "feeds.toml").write_text('[partner]\nkind = "stix"\nurl = "https://feeds.example/bundle.json"\n')
    assert make().syncer().status() == []
    (feed,) = configured(load_settings(feeds=tmp_path / "feeds.toml"))
    assert feed.token is None
    monkeypatch.setenv("AEGIS_FEED_TOKENS", '{"partner": "Bearer s3cret"}')
    settings = load_settings(feeds=tmp_path / "feeds.toml")
    (feed,) = configured(settings)
    assert feed.token is not None
    assert feed.token.get_secret_value() == "Bearer s3cret"
    assert "s3cret" not in repr(settings) + repr(feed)
    assert [s.feed for s in make(feeds=tmp_path / "feeds.toml").syncer().status()] == ["partner"]


def test_checkpoints_are_signed_after_so_many_entries_with_the_key_of_the_settings(make: Make, tmp_path: Path) -> None:
    key, copies = tmp_path / "elsewhere" / "own.key", tmp_path / "copies"
    copies.mkdir()
    aegis = make(ledger_every=2, ledger_key=key, ledger_copies=copies)
    aegis.investigate(ATTACK)
    found = aegis.store.verify()
    assert found.checkpoints > 0
    assert found.unsigned < 2
    assert key.exists()
    assert not (tmp_path / "ledger.key").exists()
    assert any(copies.iterdir())


def test_without_it_a_hundred_entries_may_be_unsigned(make: Make, tmp_path: Path) -> None:
    aegis = make()
    aegis.investigate(ATTACK)
    assert aegis.store.verify().checkpoints == 0
    aegis.close()  # what is new is signed at the end
    assert make().store.verify().checkpoints == 1
    assert (tmp_path / "ledger.key").exists()


def test_budgets_of_the_settings_reach_the_gate(make: Make) -> None:
    for limit, rule in ((0, "budget.hour"), (5, "budget.left")):
        aegis = make(budgets={"actions_per_hour": limit})
        case = aegis.investigate(ATTACK | {"event_id": f"b-{limit}"})
        block = next(a for a in case.actions if a.action == "block_ip")
        assert aegis.store.action(block.action_id).decision.inputs["budget.rule"] == rule


def test_costs_of_the_settings_reach_the_gate(make: Make, tmp_path: Path) -> None:
    costs = tmp_path / "costs.toml"
    costs.write_text("[outage.block_ip]\nstandard = 99999\n")
    prices = []
    for number, given in enumerate((None, costs)):
        aegis = make(costs=given)
        case = aegis.investigate(ATTACK | {"event_id": f"c-{number}"})
        block = next(a for a in case.actions if a.action == "block_ip")
        prices.append(aegis.store.action(block.action_id).decision.inputs["cost.execute"])
    assert prices[1] > prices[0] + 90_000


def test_connectors_and_their_secrets_come_from_settings(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "connectors.toml"
    file.write_text('[desk]\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\nactions = ["open_ticket"]\n')
    aegis = make(connectors=file, connector_secrets={"desk.secret": "sesame"})
    case = aegis.investigate(ATTACK)
    ticket = next(a for a in case.actions if a.action == "open_ticket")
    row = aegis.store.action(ticket.action_id)
    assert (row.state, row.connector) != ("executed", "outbox")
    assert row.connector == "desk"
    assert "sesame" not in repr(aegis.settings)
    with pytest.raises(SettingsError, match="nowhere"):
        make(connectors=file, connector_secrets={"nowhere.secret": "x"}).investigate(ATTACK | {"event_id": "x"})
