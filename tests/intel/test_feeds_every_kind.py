"""Every kind of feed from its file to what is found, with the screen in between."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.intel import Intel
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.sync import Syncer

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
KEY = "5f0d9a3e-6a1c-4d0e-9f5e-1a2b3c4d5e6f"

MISP = {
    "Event": {
        "uuid": KEY, "info": "Phishing wave against the finance team", "date": "2026-11-20", "Tag": [{"name": "tlp:green"}],
        "Attribute": [
            {"type": "ip-dst", "value": "203.0.113.7", "to_ids": True, "timestamp": "1795136000"},
            {"type": "domain|ip", "value": "login-corp.example|203.0.113.8", "to_ids": True, "timestamp": "1795136000"},
            {"type": "filename|sha256", "value": f"invoice.xlsm|{'0123abcd' * 8}", "to_ids": True, "timestamp": "1795136000"},
            {"type": "ip-dst", "value": "198.51.100.9", "to_ids": False, "timestamp": "1795136000"},
        ],
    }
}  # fmt: skip
BUNDLE = {
    "type": "bundle", "id": f"bundle--{KEY}",
    "objects": [
        {
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--{KEY}", "created": "2026-11-01T00:00:00.000Z",
            "modified": "2026-11-01T00:00:00.000Z", "pattern_type": "stix", "valid_from": "2026-11-01T00:00:00Z",
            "pattern": "[url:value = 'https://evil.example/drop'] OR [domain-name:value = 'evil.example']",
        },
        {
            "type": "malware", "spec_version": "2.1", "id": f"malware--{KEY}", "created": "2026-11-01T00:00:00.000Z",
            "modified": "2026-11-01T00:00:00.000Z", "name": "QuietLoader", "is_family": True,
            "description": "A loader that persists with a scheduled task and fetches its payload over HTTPS.",
        },
    ],
}  # fmt: skip
WARNINGS = {
    "name": "Large CDN", "type": "cidr", "version": 1, "description": "x", "list": ["203.0.113.0/25"], "matching_attributes": ["ip-dst"],
}  # fmt: skip
SIGMA = """
title: Scheduled Task From Temp Folder
id: 0d1e2f3a-4b5c-4d6e-8f70-a1b2c3d4e5f6
status: test
description: A scheduled task that runs a program from a temporary folder was created on this host.
logsource: {category: process_creation, product: windows}
detection:
  selection: {CommandLine|contains: '\\\\Temp\\\\'}
  condition: selection
level: high
tags: [attack.persistence, attack.t1053.005]
"""
REACT = """
title: RA_3101_block_external_ip_address
id: RA3101
description: Block an external IP address from being accessed by corporate assets
stage: containment
workflow: |
  Put the address on the deny list of the border firewall and check that traffic to it ends.
"""
EPSS = "#model_version:v2026.03.14,score_date:2026-11-25T00:00:00+0000\ncve,epss,percentile\nCVE-2024-3400,0.94321,0.99987\n"
HANDBOOK = (
    "# VPN\n\n## Partners\n\nPartners connect to the VPN from the network of the branch in Oslo and with a token.\n"
)


def files(folder: Path) -> dict[str, Path]:
    """A file of each kind."""
    contents: dict[str, str] = {
        "misp": json.dumps(MISP), "stix": json.dumps(BUNDLE), "warninglist": json.dumps(WARNINGS), "sigma": SIGMA,
        "react": REACT, "epss": EPSS, "documents": HANDBOOK, "indicators": "value,last_seen\nbad[.]example,2026-11-20\n",
    }  # fmt: skip
    suffixes = {"sigma": "yml", "react": "yml", "epss": "csv", "documents": "md", "indicators": "csv"}
    found = {}
    for kind, text in contents.items():
        found[kind] = folder / f"{kind}.{suffixes.get(kind, 'json')}"
        found[kind].write_text(text, "utf-8")
    return found


@pytest.fixture
def synced(tmp_path: Path, directory: Path, model: Any) -> Callable[..., Any]:
    """Syncs feeds of these kinds into an Intel that the test closes."""

    def sync(*kinds: str, trust: str = "high") -> tuple[Intel, Any]:
        paths = files(tmp_path)
        feeds = [Feed(name=k, kind=k, path=paths[k], trust=trust, tlp="green") for k in kinds]  # type: ignore[arg-type]
        intel = Intel.open(directory, model)
        syncer = Syncer(
            intel, feeds, tmp_path / "state", embed=model, clock=lambda: NOW, speaks_to_machines=lambda t: None
        )
        return intel, {r.feed: r for r in syncer.sync()}

    return sync


def test_nothing_of_a_good_feed_is_lost_on_the_way(synced: Any) -> None:
    kinds = ("misp", "stix", "sigma", "react", "epss", "documents", "indicators")
    intel, reports = synced(*kinds)
    with intel:
        assert {k: (r.status, r.quarantined, r.error) for k, r in reports.items()} == dict.fromkeys(
            kinds, ("new", 0, "")
        )
        keys = [
            "ip:203.0.113.7",
            "ip:203.0.113.8",
            "domain:login-corp.example",
            f"sha256:{'0123abcd' * 8}",
            "ip:198.51.100.9",
        ]
        assert [p.id.partition("/")[2] for p in intel.lookup(keys, ("indicator",))] == keys[:4]
        assert {p.feed for p in intel.lookup(["url:https://evil.example/drop", "domain:evil.example"])} == {"stix"}
        assert "QuietLoader" in intel.search("loader with a scheduled task", corpora=("report",), k=3)[0].title
        assert intel.search("temporary folder task", corpora=("rule",), k=1)[0].technique == "T1053.005"
        assert intel.search("RA3101", corpora=("playbook",), k=1)[0].id == "RA3101"
        assert "0.94" in intel.lookup("CVE-2024-3400", ("epss",))[0].text
        assert "Oslo" in intel.search("where do partners connect from", corpora=("document",), k=1)[0].text
        assert len(intel.lookup("domain:bad.example")) == 1
        assert set(intel.counts()["indicator"]) == {"misp", "stix", "indicators"}


def test_a_warning_list_keeps_a_shared_address_from_counting(synced: Any) -> None:
    from aegis_agents.intel.indicators import read_indicator
    from aegis_agents.intel.trust import matches, warned

    intel, reports = synced("warninglist", "misp")
    with intel:
        assert reports["warninglist"].added == 1
        shared = read_indicator("203.0.113.7")
        assert shared is not None
        assert warned(shared, intel.lookup) == "Large CDN"
        assert matches([shared], intel.lookup, NOW) == []
        other = read_indicator("login-corp.example")
        assert other is not None
        assert len(matches([other], intel.lookup, NOW)) == 1
