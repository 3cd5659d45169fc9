"""Publishers' real files, over HTTP on loopback, from the configuration to what is found."""

from __future__ import annotations

import datetime as dt
import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.intel import Intel
from aegis_agents.intel.feeds.load import load_feeds
from aegis_agents.intel.feeds.reports import SyncReport
from aegis_agents.intel.feeds.sync import Syncer

pytestmark = pytest.mark.skipif(
    "AEGIS_DEV_DATA" not in os.environ, reason="AEGIS_DEV_DATA names the folder of real files"
)

FEEDS = """
[attack]
kind = "attack"
url = "{at}/mitre_attack/techniques_from_atomic_index.jsonl"
trust = "high"
tlp = "clear"
internal = true

[kev]
kind = "kev"
url = "{at}/cisa_kev/known_exploited_vulnerabilities.json"
trust = "high"
tlp = "clear"
internal = true

[sigma]
kind = "sigma"
url = "{at}/sigma/rules.jsonl"
trust = "high"
tlp = "clear"
internal = true

[react]
kind = "react"
url = "{at}/react/response_actions.jsonl"
trust = "high"
tlp = "clear"
internal = true

[gone]
kind = "react"
url = "{at}/react/nothing_there.jsonl"
internal = true
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the tests' own output."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=os.environ["AEGIS_DEV_DATA"])
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_attack_kev_sigma_and_react_come_in_and_are_found(
    server: str, directory: Path, tmp_path: Path, model: Any
) -> None:
    (tmp_path / "feeds.toml").write_text(FEEDS.format(at=server))
    feeds = load_feeds(tmp_path / "feeds.toml")
    with Intel.open(directory, model) as intel:
        shipped = intel.snapshot_id
        syncer = Syncer(intel, feeds, tmp_path / "state", embed=model, speaks_to_machines=lambda text: None)
        reports: dict[str, SyncReport] = {r.feed: r for r in syncer.sync()}
        assert {name: r.status for name, r in reports.items()} == {
            "attack": "new", "kev": "new", "sigma": "new", "react": "new", "gone": "failed",
        }  # fmt: skip
        assert "404" in reports["gone"].error
        assert reports["gone"].stale_seconds is None
        assert sum(r.skipped + r.quarantined for r in reports.values()) == 0
        counts = intel.counts()
        assert counts["technique"] == {"attack": 697}
        assert counts["kev"] == {"kev": 1404}
        assert counts["rule"]["sigma"] == 3676
        assert counts["playbook"]["react"] == 216
        assert "shipped" in counts["group"], "the file has techniques alone: what it lacks stays as it ships"

        # one snapshot for all of them, and the ids of the model's release lead to those of the newer one
        assert {r.snapshot for r in reports.values() if r.status == "new"} == {intel.snapshot_id}
        old, new = intel.technique("T1562.001"), intel.technique("T1685")
        assert old is not None
        assert new is not None
        assert old.id == new.id == "T1685"
        assert (old.feed, old.licence.startswith("ATT&CK Terms of Use")) == ("attack", True)
        assert old.fetched_at is not None
        assert old.fetched_at <= dt.datetime.now(dt.UTC)
        rule = intel.search("Disable Windows Defender Functionalities Via Registry Keys", corpora=("rule",), k=1)[0]
        assert (rule.feed, rule.licence) == ("sigma", "DRL-1.1")

        # asked again, nothing is new; the shipped snapshot can still be read
        assert {r.status for r in syncer.sync(["attack", "kev", "sigma", "react"])} == {"unchanged"}
        with Intel.open(directory, model, snapshot=shipped) as before:
            assert before.technique("T1685").id == "T1562.001"  # type: ignore[union-attr]
        changed = {d.corpus for d in intel.diff(shipped, intel.snapshot_id)}
        assert {"technique", "kev", "rule", "playbook"} <= changed
