"""What the product claims, what its words say, which assets it is about: who is first."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import SettingsError
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.inbox.priority import by_claim, claimed, prioritiser, scored
from aegis_agents.inbox.turn import PRIORITIES
from aegis_agents.settings import only
from aegis_agents.sources import parse
from tests.inbox.inboxes import alert


@pytest.mark.parametrize(
    ("severity", "rank"),
    [
        ("Critical", 3), ("HIGH", 2), (" medium ", 1), ("warn", 1), ("low", 0), ("Informational", 0), ("99", 3), ("75", 2),
        (40, 1), (12, 0), (9.5, 3), (7, 2), (5, 1), (1, 0), (None, 1), ("who knows", 1), ("-1", 1), ("9" * 400, 1),
        ("nan", 1), ("1e9", 1), (True, 1), ([], 1),
    ],
)  # fmt: skip
def test_a_claim_is_read_whatever_scale_it_is_on(severity: object, rank: int) -> None:
    assert claimed(parse({"title": "t", "severity": severity})) == rank


def test_scales_of_products() -> None:
    suricata = {"event_type": "alert", "flow_id": 1, "src_ip": "1.2.3.4", "dest_ip": "1.2.3.5", "proto": "TCP"}
    for severity, rank in ((1, 2), (2, 1), (3, 0), (250, 0)):
        assert claimed(parse(suricata | {"alert": {"signature": "s", "signature_id": 1, "severity": severity}})) == rank
    for level, rank in ((3, 0), (7, 1), (12, 2), (15, 3)):
        wazuh = {
            "rule": {"level": level, "id": "1", "description": "d"},
            "agent": {"id": "1"},
            "manager": {"name": "m"},
        }
        assert claimed(parse(wazuh, format="wazuh")) == rank


def test_words_weigh_more_than_the_claim_and_never_hide_it() -> None:
    for claim in range(4):
        assert scored(claim, -1.5) >= claim - 1
        assert scored(claim, 1.5) >= scored(claim, 0) >= scored(claim, -1.5)
    assert scored(0, 1.5) > scored(1, 0)


def _rank(settings: Any, fields: dict[str, Any]) -> int:
    return PRIORITIES.index(prioritiser(settings)(parse(fields)))


def test_what_reads_like_an_attack_comes_before_what_reads_like_work(tmp_path: Path) -> None:
    attack = {
        "title": "Credential dumping", "severity": "medium", "host": "ws-1",
        "cmd_line": "powershell -w hidden -enc SQBFAFgA; rundll32 comsvcs.dll MiniDump lsass.dmp", "signed": "unsigned",
    }  # fmt: skip
    work = {
        "title": "Scheduled task", "severity": "medium", "host": "ws-1", "ticket": "CHG-1 approved backup window",
        "cmd_line": "backup --nightly", "signed": "valid",
    }  # fmt: skip
    settings = only(home=tmp_path)
    assert _rank(settings, attack) > _rank(settings, work)


def test_an_asset_that_counts_is_a_step_up(tmp_path: Path) -> None:
    assets = tmp_path / "assets.toml"
    assets.write_text('[groups.crown]\ntier = "important"\nhosts = ["crown-*"]\n')
    fields = {"title": "Odd logon", "severity": "low", "hostname": "crown-1"}
    assert _rank(only(home=tmp_path, assets=assets), fields) == _rank(only(home=tmp_path), fields) + 1
    other = fields | {"hostname": "lab-1"}
    assert _rank(only(home=tmp_path, assets=assets), other) == _rank(only(home=tmp_path), other)


def test_a_wrong_list_of_assets_is_said_at_once(tmp_path: Path) -> None:
    assets = tmp_path / "assets.toml"
    assets.write_text("[groups.crown]\nhosts = 7\n")
    with pytest.raises(SettingsError, match="crown"):
        open_inbox(only(home=tmp_path, assets=assets))


def test_without_a_model_alerts_come_in_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "current.json").write_text("{}")
    inbox = open_inbox(only(home=tmp_path))
    assert inbox.put([alert(1, severity="critical")]).new == 1
    assert [h.priority for h in inbox.take("w")] == ["urgent"]
    inbox.close()


def test_opening_an_inbox_loads_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_agents.model.files.read_weights", lambda *_, **__: pytest.fail("loaded"))
    open_inbox(only(home=tmp_path)).close()


def test_a_padded_alert_does_not_take_long(tmp_path: Path) -> None:
    told = prioritiser(only(home=tmp_path))
    padded = parse({"title": "t", **{f"f{n}": f"word{n} " * 1000 for n in range(600)}})
    told(parse({"title": "warm"}))
    begun = time.thread_time()
    told(padded)
    assert time.thread_time() - begun < 0.5


def _auc(attacks: list[float], others: list[float]) -> float:
    """The share of pairs in which the attack is first, ties half (Mann and Whitney 1947)."""
    return sum((a > o) + (a == o) / 2 for a in attacks for o in others) / (len(attacks) * len(others))


def test_attacks_come_first_on_development_cases(dev_data: Path, tmp_path: Path) -> None:
    """The thresholds were chosen with these cases in sight: a floor against breaking it, no claim of how good it is."""
    told = prioritiser(only(home=tmp_path))
    lines = (dev_data / "dev_cases" / "tune" / "cases.jsonl").read_text("utf-8").splitlines()
    ranks: dict[bool, list[float]] = {True: [], False: []}
    claims: dict[bool, list[float]] = {True: [], False: []}
    for line in lines:
        case = json.loads(line)
        incident = parse(case["alert"])
        is_attack = case["truth"]["verdict"] == "true_positive"
        ranks[is_attack].append(PRIORITIES.index(told(incident)))
        claims[is_attack].append(PRIORITIES.index(by_claim(incident)))
    assert _auc(ranks[True], ranks[False]) > 0.65 > _auc(claims[True], claims[False])
