"""Indicators in an investigation: who lists them, how far that moves a verdict, and what it can never do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis
from aegis_agents.agents.indicators import MAX_INDICATORS, indicators_of
from aegis_agents.intel import Intel
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.records import Case
from aegis_agents.sources import parse
from tests.graph.conftest import FakeModel

Make = Callable[..., Aegis]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("built")
    Intel.build(directory, FakeModel()).close()
    return directory


@pytest.fixture
def make(tmp_path: Path, built: Path) -> Make:
    """Aegis with a snapshot of its own in `home`, which several may share."""

    def build(**settings: Any) -> Aegis:
        home = settings.pop("home", tmp_path)
        if not (home / "intel").exists():
            shutil.copytree(built, home / "intel")
        return Aegis(model=FakeModel(), home=home, **settings)

    return build


DOUBTFUL = {"event_id": "i-1", "title": "Outbound connection", "answer": "undetermined", "dest_ip": "203.0.113.7"}
HARMLESS = DOUBTFUL | {"answer": "benign_positive"}


def listing(tmp_path: Path, aegis: Aegis, *feeds: tuple[str, str, str], text: str = "203.0.113.7\n") -> None:
    """Sync lists of (name, owner, trust) that all name the address."""
    path = tmp_path / "list.txt"
    path.write_text(text)
    given = [Feed(name=n, kind="indicators", path=path, owner=o, trust=t) for n, o, t in feeds]  # type: ignore[arg-type]
    assert {r.status for r in aegis.syncer(given).sync()} == {"new"}


def attack_share(case: Case) -> float:
    return case.probabilities["true_positive"]


def judged(aegis: Aegis, alert: dict[str, Any], number: int = 1) -> Case:
    return aegis.investigate(alert | {"event_id": f"i-{number}"})


def cited(case: Case) -> list[str]:
    return [e.id for e in case.evidence if e.kind == "passage" and e.source == "indicator"]


def test_a_mistake_in_the_file_of_feeds_holds_no_alert_up(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aegis_agents.feeding.TIMES_KEPT", -1.0)
    path = tmp_path / "feeds.toml"
    path.write_text('[ours]\nkind = "indicators"\npath = "list.txt"\ntrust = "high"\n')
    with make(feeds=path) as aegis:
        listing(tmp_path, aegis, ("ours", "soc", "high"))
        assert cited(judged(aegis, DOUBTFUL, 1)) == ["ours/ip:203.0.113.7"]
        path.write_text("[ours]\nkind = 7\n")
        assert cited(judged(aegis, DOUBTFUL, 2)) == ["ours/ip:203.0.113.7"]
    with make(feeds=path) as aegis:
        case = judged(aegis, DOUBTFUL, 3)
        assert cited(case) == []
        assert any("feeds.toml" in note for note in case.notes)


def test_an_established_indicator_speaks_for_an_attack_and_is_cited(make: Make, tmp_path: Path) -> None:
    with make() as aegis:
        before = judged(aegis, DOUBTFUL)
        listing(tmp_path, aegis, ("ours", "soc", "high"))
        after = judged(aegis, DOUBTFUL, 2)
        assert attack_share(after) > attack_share(before)
        assert cited(after) == ["ours/ip:203.0.113.7"]
        assert any("listed as an indicator by soc" in note for note in after.notes)


@pytest.mark.parametrize(
    "feeds",
    [
        [("a", "one", "medium")],
        [("a", "one", "low"), ("b", "two", "low"), ("c", "three", "low")],
        [("a", "one", "medium"), ("b", "one", "medium"), ("c", "one", "low")],
    ],
)
def test_a_single_voice_that_is_not_trusted_moves_nothing(
    make: Make, tmp_path: Path, feeds: list[tuple[str, str, str]]
) -> None:
    with make() as aegis:
        before = judged(aegis, DOUBTFUL)
        listing(tmp_path, aegis, *feeds)
        after = judged(aegis, DOUBTFUL, 2)
        assert after.probabilities == before.probabilities
        assert after.verdict == before.verdict


def test_the_strength_is_a_setting_and_nought_turns_it_off(make: Make, tmp_path: Path) -> None:
    shares = []
    for strength in (0.0, 0.3, 0.8):
        with make(home=tmp_path / str(strength), indicator_strength=strength) as aegis:
            listing(tmp_path, aegis, ("ours", "soc", "high"))
            shares.append(attack_share(judged(aegis, HARMLESS)))
    assert shares[0] < shares[1] < shares[2]


def test_feeds_never_name_a_target(make: Make, tmp_path: Path) -> None:
    with make() as aegis:
        listing(tmp_path, aegis, ("ours", "soc", "high"), text="203.0.113.7\n198.51.100.66\nevil.example\n")
        case = judged(aegis, DOUBTFUL | {"answer": "true_positive"})
        targets = {a.target.value for a in case.actions if a.target is not None}
        assert not targets & {"198.51.100.66", "evil.example"}


def test_what_is_too_old_is_not_cited(make: Make, tmp_path: Path) -> None:
    with make() as aegis:
        listing(tmp_path, aegis, ("ours", "soc", "high"), text="value,last_seen\n203.0.113.7,2020-01-01T00:00:00Z\n")
        assert cited(judged(aegis, DOUBTFUL)) == []


def test_clearance_and_tenant_are_settings_of_the_store(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("203.0.113.7\n")
    with make() as aegis:
        red = Feed(name="red", kind="indicators", path=path, trust="high", tlp="red")
        theirs = Feed(name="theirs", kind="indicators", path=path, trust="high", tenant="blue")
        aegis.syncer([red, theirs]).sync()
        assert cited(judged(aegis, DOUBTFUL)) == []
    with make(clearance="red") as aegis:
        assert cited(judged(aegis, DOUBTFUL, 2)) == ["red/ip:203.0.113.7"]
    with make(tenant="blue") as aegis:
        assert cited(judged(aegis, DOUBTFUL, 3)) == ["theirs/ip:203.0.113.7"]


def test_another_process_s_sync_is_seen_at_once(make: Make, tmp_path: Path) -> None:
    with make() as here, make() as there:
        judged(here, DOUBTFUL)
        listing(tmp_path, there, ("ours", "soc", "high"))
        assert cited(judged(here, DOUBTFUL, 2)) == ["ours/ip:203.0.113.7"]


def test_an_alert_of_thousands_is_looked_up_within_bounds(make: Make, tmp_path: Path) -> None:
    alert = {"event_id": "big", "title": "Report", "ips": [f"203.0.{i // 250}.{i % 250 + 1}" for i in range(3000)]}
    assert len(indicators_of(parse(alert))) > MAX_INDICATORS
    with make() as aegis:
        listing(tmp_path, aegis, ("ours", "soc", "high"))
        notes = aegis.investigate(alert).notes
    assert [note for note in notes if note.endswith("were not looked up: 64 are")]


def test_decoys_in_a_text_push_out_no_field() -> None:
    decoys = " ".join(f"http://decoy{n}.example.net/x" for n in range(60))
    alert = {"event_id": "d", "title": "Beacon", "process_command_line": f"curl {decoys}", "dest_ip": "203.0.113.7", "dns_domain": "c2.example.org"}  # fmt: skip
    first = [value for _, value in indicators_of(parse(alert))[:MAX_INDICATORS]]
    assert {"203.0.113.7", "c2.example.org"} <= set(first)
