"""Sixty incidents while workers, feeder, desk and database are killed in turn; `python -m tests.scale.soak` does thousands."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from aegis_agents.intel import Intel
from tests.crash.worker import SureModel
from tests.ledger import postgres_server
from tests.scale.campaign import KINDS, Campaign, Report
from tests.scale.nodes import Nodes
from tests.scale.roles import Load

pytest.importorskip("psycopg", reason="the extra postgres is not installed")
pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here"),
    pytest.mark.skipif(postgres_server.why_not() is not None, reason=str(postgres_server.why_not())),
]


def shown(report: Report, incidents: int) -> None:
    assert report.breaches == []
    assert report.counts["incidents"] == incidents
    # Enough happened, and enough of it was cut off in the middle, for that to mean something.
    assert report.counts["copies folded"] > 0
    assert report.counts["effective calls"] > incidents / 2
    assert report.counts["entries action.answered"] > 0, "people answered while it went on"
    assert sum(report.found.values()) > 0, (
        "each death is followed by a look; which half it finds is the machine's doing"
    )


def test_every_kind_of_death_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    Intel.open(tmp_path / "intel", SureModel()).close()
    with postgres_server.running() as server:
        campaign = Campaign(tmp_path / "home", tmp_path / "intel", server, Load(20261126, 60))
        report = campaign.run(len(KINDS), KINDS)
    shown(report, 60)
    assert set(report.kills) == set(KINDS)
    assert report.counts["dead letters"] > 0


def test_two_ray_nodes_of_which_one_dies_and_then_the_driver(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra scale is not installed")
    Intel.open(tmp_path / "intel", SureModel()).close()
    with postgres_server.running() as server:
        campaign = Campaign(
            tmp_path / "home", tmp_path / "intel", server, Load(20261127, 40), workers=0, nodes=Nodes(tmp_path / "ray")
        )
        report = campaign.run(3, ("node", "driver", "database"))
    shown(report, 40)
    assert set(report.kills) == {"node", "driver", "database"}
