"""What a look-up does with listed indicators: their age, warning lists, and what covers an alert's values."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import Any

import pytest

from aegis_agents.intel import Intel
from aegis_agents.intel.documents import Corpus
from aegis_agents.intel.indicators import Indicator, read_indicator
from aegis_agents.intel.trust import AgePolicy, is_current, matches, warned
from aegis_agents.intel.trust.known import IntelKnown
from aegis_agents.intel.trust.warnings import networks_around
from aegis_agents.intel.trust.wellknown import harmless
from aegis_agents.records import Passage

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


def ago(days: float) -> dt.datetime:
    return NOW - dt.timedelta(days=days)


def listed(key: str, feed: str = "list", **more: Any) -> Passage:
    fields: dict[str, Any] = {
        "source": "indicator", "id": f"{feed}/{key}", "title": key, "text": "", "score": 1.0, "snapshot": "s",
        "feed": feed, "owner": feed, "trust": 0.6, "fetched_at": ago(1),
    } | more  # fmt: skip
    return Passage(**fields)


def on(value: str) -> Indicator:
    found = read_indicator(value)
    assert found is not None
    return found


class Store:
    """Passages by alias; counts how often it is asked."""

    def __init__(self, indicators: Sequence[Passage] = (), warnings: dict[str, float] | None = None) -> None:
        self.indicators, self.warnings, self.asked = indicators, warnings or {}, 0

    def lookup(self, keys: Sequence[str], corpora: Sequence[Corpus]) -> Sequence[Passage]:
        self.asked += 1
        if corpora == ("warning",):
            return [Passage(source="warning", id=f"w/{k}", title="A list", text="", score=1.0, snapshot="s", trust=self.warnings[k]) for k in keys if k in self.warnings]  # fmt: skip
        assert corpora == ("indicator",)
        return [p for p in self.indicators if p.id.partition("/")[2] in keys]


def test_every_network_around_a_value_is_asked_for() -> None:
    for value in ("203.0.113.7", "203.0.113.0/24", "2001:db8::7", "2001:db8::/32"):
        network = ipaddress.ip_network(value)
        expected = [str(network.supernet(new_prefix=n)) for n in range(network.prefixlen, -1, -1)]
        assert networks_around(value) == expected


def test_an_address_of_version_4_is_the_same_as_version_6_writes_it() -> None:
    for value in ("::ffff:8.8.8.8", "::ffff:10.0.0.5", "http://[::ffff:8.8.8.8]/"):
        assert harmless(on(value)) is not None
    assert harmless(on("::ffff:45.9.148.7")) is None


@pytest.mark.parametrize(
    ("key", "days"),
    [("ip:203.0.113.7", 30), ("net:203.0.113.0/24", 30), ("domain:evil.example", 90), ("url:http://evil.example/x", 60), ("email:a@evil.example", 180)],
)  # fmt: skip
def test_each_kind_ages(key: str, days: int) -> None:
    assert is_current(listed(key, observed_at=ago(days)), NOW)
    assert not is_current(listed(key, observed_at=ago(days + 0.1)), NOW)
    kind = key.partition(":")[0]
    assert is_current(listed(key, observed_at=ago(days + 0.1)), NOW, AgePolicy(**{kind: days + 1}))
    assert is_current(listed(key, observed_at=ago(9999)), NOW, AgePolicy(**{kind: None}))


@pytest.mark.parametrize(("kind", "length"), [("md5", 32), ("sha1", 40), ("sha256", 64)])
def test_digests_do_not_age_unless_told(kind: str, length: int) -> None:
    old = listed(f"{kind}:{'ab' * (length // 2)}", observed_at=ago(3000))
    assert is_current(old, NOW)
    assert not is_current(old, NOW, AgePolicy(**{kind: 365}))
    assert is_current(old, NOW, max_age_days={"list": 7})  # a feed's limit is for what ages at all


def test_a_feeds_own_limit_goes_before() -> None:
    old = listed("ip:203.0.113.7", observed_at=ago(40))
    assert is_current(old, NOW, max_age_days={"list": 60})
    assert not is_current(old, NOW, max_age_days={"other": 60})
    assert not is_current(listed("ip:203.0.113.7", observed_at=ago(10)), NOW, max_age_days={"list": 7})


def test_without_a_sighting_the_time_of_fetching_counts() -> None:
    assert is_current(listed("ip:203.0.113.7", fetched_at=ago(29)), NOW)
    assert not is_current(listed("ip:203.0.113.7", fetched_at=ago(31)), NOW)
    assert is_current(listed("ip:203.0.113.7", fetched_at=ago(31)), NOW, listed_at={"list": ago(0.1)})
    assert not is_current(listed("ip:203.0.113.7", fetched_at=ago(31), observed_at=ago(31)), NOW, listed_at={"list": NOW})  # fmt: skip
    assert not is_current(listed("ip:203.0.113.7", fetched_at=None), NOW)


def test_a_date_in_the_future_prolongs_nothing() -> None:
    future = NOW + dt.timedelta(days=400)
    entry = listed("ip:203.0.113.7", observed_at=future, fetched_at=ago(31))
    assert not is_current(entry, NOW)
    assert not is_current(listed("ip:203.0.113.7", observed_at=ago(31), valid_until=future), NOW)
    planted = listed("ip:203.0.113.7", observed_at=future, fetched_at=None)
    assert not is_current(planted, NOW)
    clock = listed("ip:203.0.113.7", fetched_at=future)
    assert is_current(clock, NOW)
    assert not is_current(clock, future + dt.timedelta(days=31))


def test_valid_until_ends_it_early() -> None:
    assert not is_current(listed("ip:203.0.113.7", valid_until=NOW), NOW)
    assert is_current(listed("ip:203.0.113.7", valid_until=NOW + dt.timedelta(seconds=1)), NOW)
    assert not is_current(listed("md5:" + "ab" * 16, valid_until=ago(1)), NOW)


def test_what_is_no_indicator_does_not_count() -> None:
    assert not is_current(listed("T1059"), NOW)
    assert not is_current(listed("ip:203.0.113.7", feed="list", id="other/ip:203.0.113.7"), NOW)


@pytest.mark.parametrize(
    ("value", "alias", "hit"),
    [
        ("google.example", "warn:domain:google.example", True),
        ("a.b.google.example", "warn:domain:google.example", True),
        ("notgoogle.example", "warn:domain:google.example", False),
        ("google.example.evil.example", "warn:domain:google.example", False),
        ("google.example", "warn:exact:domain:google.example", True),
        ("a.google.example", "warn:exact:domain:google.example", False),
        ("198.51.100.9", "warn:net:198.51.100.0/24", True),
        ("198.51.100.9", "warn:net:198.51.100.9/32", True),
        ("198.51.100.9", "warn:exact:ip:198.51.100.9", True),
        ("198.51.101.9", "warn:net:198.51.100.0/24", False),
        ("198.51.100.128/25", "warn:net:198.51.100.0/24", True),
        ("198.51.0.0/16", "warn:net:198.51.100.0/24", False),
        ("2001:db8::9", "warn:net:2001:db8::/32", True),
        ("https://google.example/", "warn:domain:google.example", True),
        ("https://google.example/file.iso", "warn:domain:google.example", False),
        ("https://198.51.100.9", "warn:net:198.51.100.0/24", True),
        ("ab" * 16, f"warn:exact:md5:{'ab' * 16}", True),
    ],
)
def test_warning_lists_cover_what_lies_below_them(value: str, alias: str, hit: bool) -> None:
    store = Store(warnings={alias: 0.6})
    assert warned(on(value), store.lookup) == ("A list" if hit else None)
    assert store.asked == 1


def test_a_list_of_low_trust_may_not_silence() -> None:
    store = Store(warnings={"warn:domain:evil.example": 0.3})
    assert warned(on("evil.example"), store.lookup) is None
    assert warned(on("evil.example"), store.lookup, warns_from=0.3) == "A list"


@pytest.mark.parametrize(
    ("seen", "key"),
    [
        ("203.0.113.7", "ip:203.0.113.7"),
        ("203.0.113.7", "net:203.0.113.0/24"),
        ("2001:db8::7", "net:2001:db8::/48"),
        ("mail.evil.example", "domain:evil.example"),
        ("http://mail.evil.example/a", "domain:evil.example"),
        ("http://203.0.113.7/a", "net:203.0.113.0/24"),
        ("http://evil.example/a", "url:http://evil.example/a"),
        ("ab" * 32, f"sha256:{'ab' * 32}"),
    ],
)
def test_an_alerts_value_is_found_by_what_covers_it(seen: str, key: str) -> None:
    store = Store([listed(key)])
    assert [(m.indicator, m.passage.id) for m in matches([on(seen)], store.lookup, NOW)] == [(on(seen), f"list/{key}")]


@pytest.mark.parametrize(
    ("seen", "key"),
    [
        ("evil.example", "domain:mail.evil.example"), ("other.example", "domain:evil.example"),
        ("shop.github.io", "domain:github.io"), ("x.co.uk", "domain:co.uk"), ("8.8.8.8", "ip:8.8.8.8"),
        ("10.0.0.1", "ip:10.0.0.1"), ("203.0.113.7", "ip:203.0.113.70"),
    ],
)  # fmt: skip
def test_what_does_not_cover_it_or_is_everybodys_is_not_found(seen: str, key: str) -> None:
    assert matches([on(seen)], Store([listed(key)]).lookup, NOW) == []


def test_stale_and_warned_indicators_are_left_out() -> None:
    value = on("portal.example")
    fresh, stale = listed("domain:portal.example"), listed("domain:portal.example", "old", fetched_at=ago(100))
    assert [m.passage.feed for m in matches([value], Store([fresh, stale]).lookup, NOW)] == ["list"]
    assert matches([value], Store([fresh], {"warn:domain:portal.example": 0.9}).lookup, NOW) == []
    assert len(matches([value], Store([fresh], {"warn:domain:portal.example": 0.3}).lookup, NOW)) == 1
    net = Store([listed("net:203.0.113.0/24")], {"warn:net:203.0.113.0/24": 0.9})
    assert matches([on("203.0.113.7")], net.lookup, NOW) == []
    assert matches([value], Store([fresh]).lookup, NOW, AgePolicy(domain=1), max_age_days=None) != []
    assert matches([value], Store([stale]).lookup, NOW, AgePolicy(domain=200)) != []
    assert matches([value], Store([stale]).lookup, NOW, max_age_days={"old": 200}) != []
    assert matches([value], Store([stale]).lookup, NOW, listed_at={"old": ago(1)}) != []


def test_a_whole_alert_takes_at_most_two_look_ups_unless_something_is_warned_of() -> None:
    store = Store([listed("ip:203.0.113.7")])
    many = [on(f"203.0.113.{n}") for n in range(1, 31)]
    assert len(matches(many, store.lookup, NOW)) == 1
    assert store.asked == 2
    store.asked = 0
    assert matches(many[:3], store.lookup, NOW) == []
    assert store.asked == 1
    assert matches([], store.lookup, NOW) == []


def test_facts_that_need_no_list() -> None:
    for value in ("8.8.8.8", "192.168.0.1", "::1", "224.0.0.1", "cloudfront.net", "com.br", "printer.local", "1.1.1.0/24", "104.16.0.0/20"):  # fmt: skip
        assert harmless(on(value)) is not None, value
    for value in ("203.0.113.7", "d1.cloudfront.net", "evil.example", "a@gmail.com", "93.184.216.34"):
        assert harmless(on(value)) is None, value


def test_intel_answers_what_the_screen_asks(shared: Intel, model: Any) -> None:
    store = Store(warnings={"warn:domain:portal.example": 0.9})
    known = IntelKnown(shared, store.lookup, lambda feed: 7)
    technique = shared.technique("T1003.001")
    assert technique is not None
    near = known.nearest(model.embed([technique.text])[0], 3)
    assert near[0].id == "T1003.001"
    assert near[0].score == pytest.approx(1.0, abs=1e-3)
    assert len(near) == 3
    assert [p.id for p in known.named(["T1003.001", "t1086", "CVE-1999-0001", "nonsense"])] == ["T1003.001", "T1059.001"]  # fmt: skip
    assert known.warned(on("www.portal.example")) == "A list"
    assert known.held("any") == 7
    assert known.technique_names()["lsass memory"] == "T1003"
