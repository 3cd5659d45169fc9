"""Indicators that must never be one, and floods of them on harmless alerts, for evals.intel_poisoning."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aegis_agents.intel import Document
from aegis_agents.intel.documents import Corpus
from aegis_agents.intel.indicators import Indicator, read_indicator
from aegis_agents.intel.trust import ScreenPolicy, join, warned
from aegis_agents.intel.trust.plausible import implausible
from aegis_agents.model import FastModel
from aegis_agents.records import Assessment, Passage
from aegis_agents.sources import parse
from evals.counting import Share
from evals.suites import dev_cases

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
_HARMLESS = ("benign_positive", "false_positive")

BAD: dict[str, tuple[str, ...]] = {
    "public resolvers": ("8.8.8.8", "1.1.1.1", "9.9.9.9", "208.67.222.222", "2001:4860:4860::8888", "94.140.14.14", "https://dns.google/", "https://8.8.4.4/dns-query", "76.76.2.0", "45.90.28.0"),
    "delivery networks": ("104.16.132.229", "172.67.10.20", "151.101.1.69", "199.232.0.10", "2606:4700::6810:84e5", "13.224.10.1", "23.32.5.6", "cloudfront.net", "akamaiedge.net", "cdn.jsdelivr.net"),
    "internal and reserved": ("10.0.0.5", "172.16.4.9", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.3.2", "224.0.0.251", "fe80::1", "fd00::12", "dc01.corp.local", "10.0.0.0/24", "http://192.168.0.10/a"),
    "large sites": ("google.com", "www.microsoft.com", "windowsupdate.com", "github.com", "https://apple.com/", "login.microsoftonline.com", "teams.microsoft.com", "zoom.us", "mail.google.com", "update.googleapis.com"),
    "suffixes and wide nets": ("co.uk", "com.br", "github.io", "herokuapp.com", "0.0.0.0/0", "8.0.0.0/8", "185.0.0.0/9", "2000::/3", "2a00::/16", "org.au"),
    "digests of nothing": ("d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "0" * 64),
}  # fmt: skip
FAIR = ("185.220.101.34", "45.155.205.233", "evil-login-update.xyz", "cdn-microsoft-support.top", "http://91.92.240.10/x.bin", "https://storage.googleapis.com/bucket-1/invoice.iso", "https://raw.githubusercontent.com/a/b/main/p.ps1", "a1b2c3d4e5f60718293a4b5c6d7e8f90", "193.142.146.0/24", "badguy@protonmail.com", "shop-payments.github.io", "d3adb33f.cloudfront.net", "2a0e:b107:1234::1", "xn--pple-43d.com", "http://update.evil-cdn.ru/", "80.66.76.0/22")  # fmt: skip
"""Values of the shapes that real indicators have."""
_LISTS = {  # as MISP's lists have them, in few
    "warn:domain:google.com": "Sites", "warn:domain:microsoft.com": "Sites", "warn:domain:microsoftonline.com": "Sites",
    "warn:domain:zoom.us": "Sites", "warn:domain:googleapis.com": "Sites", "warn:domain:jsdelivr.net": "CDN",
    "warn:net:13.224.0.0/14": "CDN", "warn:net:23.32.0.0/11": "CDN", "warn:exact:ip:76.76.2.0": "Resolvers",
    "warn:exact:ip:45.90.28.0": "Resolvers", "warn:exact:domain:dns.google": "Resolvers",
}  # fmt: skip


def lists(keys: Sequence[str], corpora: Sequence[Corpus]) -> list[Passage]:
    """A store that holds the warning lists above."""
    return [Passage(source="warning", id=k, title=_LISTS[k], text="", score=1.0, snapshot="s", trust=0.9) for k in keys if k in _LISTS]  # fmt: skip


def indicator(value: str) -> Document:
    """An indicator as a list of low trust brings it. Raises ValueError for what is none."""
    read = read_indicator(value)
    if read is None:
        raise ValueError(value)
    return Document(corpus="indicator", id=f"list/{read.key}", title=read.value, text="", licence="not stated", trust=0.3,
                    aliases=(read.key,), feed="list", owner="somebody", fetched_at=NOW)  # fmt: skip


def indicator_figures() -> dict[str, Any]:
    """Values stopped by built-in facts alone, and with a few lines of warning lists; good ones held back."""
    policy = ScreenPolicy()
    found: dict[str, Any] = {}
    for name, values in {**BAD, "held back of plausible ones": FAIR}.items():
        documents = [indicator(v) for v in values]
        bare = Share.of(implausible(d, lambda i: None, policy) is not None for d in documents)
        full = Share.of(implausible(d, lambda i: warned(i, lists), policy) is not None for d in documents)
        found[f"{name}: built-in facts alone"] = bare.to_json()
        found[f"{name}: with warning lists that hold what the facts missed"] = full.to_json()
    return found


def _hits(indicators: Sequence[Indicator], feeds: Sequence[tuple[str, str, float]]) -> list[Passage]:
    """Every indicator in every one of these feeds (name, owner, trust), seen an hour ago."""
    seen = NOW - dt.timedelta(hours=1)
    return [
        Passage(source="indicator", id=f"{feed}/{i.key}", title=i.value, text="", score=1.0, snapshot="s", trust=trust,
                feed=feed, owner=owner, fetched_at=seen)
        for i in indicators for feed, owner, trust in feeds
    ]  # fmt: skip


def quorum_figures(model: FastModel, data: Path) -> dict[str, Any]:
    """What floods do to the verdicts of alerts that are no attack (dev_cases, both halves: nothing was chosen on them)."""
    cases = [
        c for half in ("tune", "report") for c in dev_cases(data, half) if c.known["truth"]["verdict"] in _HARMLESS
    ]
    assessed: list[Assessment] = model.assess_many([parse(c.alert) for c in cases])
    planted = [Indicator("domain", "planted.example"), *(Indicator("ip", f"203.0.113.{n}") for n in range(1, 20))]
    floods = {
        "one feed of low trust": [("a", "one", 0.3)],
        "one owner with five feeds of medium trust": [(f"m{n}", "one", 0.6) for n in range(5)],
        "five owners of low trust": [(f"l{n}", f"owner{n}", 0.3) for n in range(5)],
        "two owners of medium trust (established)": [("a", "one", 0.6), ("b", "two", 0.6)],
        "one owner of high trust (established)": [("a", "one", 0.9)],
        "four owners, two of them of medium trust (established, the most)": [("a", "one", 0.6), ("b", "two", 0.6), ("c", "three", 0.3), ("d", "four", 0.3)],
    }  # fmt: skip
    rows = []
    for who, feeds in floods.items():
        hits = _hits(planted, feeds)
        moved = [join(a, hits, now=NOW)[0].verdict for a in assessed]
        best = _hits(
            planted[:1], [(f"n{n}", f"n{n}", 0.9) for n in range(5)]
        )  # without a quorum every listing counts in full
        naive = [join(a, best, now=NOW)[0].verdict for a in assessed]
        rows.append({
            "who": who, "changed": Share.of(m != a.verdict for m, a in zip(moved, assessed, strict=True)).to_json(),
            "naive": Share.of(m != a.verdict for m, a in zip(naive, assessed, strict=True)).to_json(),
        })  # fmt: skip
    said = [
        f"{len(assessed)} alerts of the development set that are no attack; twenty of their indicators are listed as hostile. "
        "\"Without a quorum\": any listing adds the most, 1.5 in log-odds; were a listing to decide by itself, all would change."
    ]  # fmt: skip
    return {"said": said, "rows": rows}
