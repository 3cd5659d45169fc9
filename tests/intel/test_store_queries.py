"""Look-ups, lists, counts and differences of snapshots; and how soon a new passage is found."""

from __future__ import annotations

import datetime as dt
import json
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from aegis_agents.errors import InputError, IntelError
from aegis_agents.intel import Document, Intel, index
from aegis_agents.intel.changes import Change
from aegis_agents.records import Passage
from tests.intel.test_store_apply import change, report

NOW = dt.datetime(2026, 11, 26, 6, 0, tzinfo=dt.UTC)


def indicator(number: int, feed: str = "blocklist", **more: object) -> Document:
    key = f"ip:198.51.{number // 256}.{number % 256}"
    return Document(
        corpus="indicator", id=f"{feed}/{key}", title=key, text="seen in a botnet", licence="test", feed=feed, owner=feed,
        aliases=(key,), **more,
    )  # fmt: skip


def test_a_document_comes_back_as_it_was_given(directory: Path, model) -> None:
    whole = Document(
        corpus="report", id="news/1", title="title", text="text", licence="CC-BY", trust=0.6, technique="T1059",
        aliases=("one", "Two"), embedding_text="other words", feed="news", owner="publisher", tenant="default", tlp="amber",
        fetched_at=NOW, observed_at=NOW - dt.timedelta(days=1), valid_until=NOW + dt.timedelta(days=1), signer="ab" * 32,
    )  # fmt: skip
    bare = report(2)
    with Intel.open(directory, model) as intel:
        intel.apply([change([whole, bare])])
        assert {d.id: d for d in intel.documents(feed="news")} == {"news/1": whole, "news/2": bare}
        assert [d.sha256 for d in intel.documents(feed="news")] == [
            bare.sha256,
            whole.sha256,
        ]  # the tenant's own after all's
        said = whole.model_dump(exclude={"corpus", "aliases", "embedding_text", "tenant"})
        expected = Passage(source="report", score=1.0, snapshot=intel.snapshot_id, sha256=whole.sha256, **said)
        assert intel.lookup("TWO") == [expected]
        assert intel.lookup("TWO")[0].model_dump() == expected.model_dump()


def test_keys_are_answered_in_their_order_each_passage_once(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        feeds = [change([indicator(n, f) for n in range(3)], feed=f) for f in ("blocklist", "another")]
        intel.apply(feeds)
        found = intel.lookup(["ip:198.51.0.2", "nothing", "IP:198.51.0.0", "blocklist/ip:198.51.0.2", "T1059"])
        assert [p.id for p in found] == [
            "another/ip:198.51.0.2", "blocklist/ip:198.51.0.2", "another/ip:198.51.0.0", "blocklist/ip:198.51.0.0", "T1059",
        ]  # fmt: skip
        each = intel.lookup_each(["ip:198.51.0.2", "nothing"], ("indicator",))
        assert {k: [p.feed for p in v] for k, v in each.items()} == {"ip:198.51.0.2": ["another", "blocklist"]}
        assert intel.lookup("ip:198.51.0.2", ("report",)) == []
        assert intel.lookup([]) == []
        with pytest.raises(InputError, match="not a corpus"):
            intel.lookup("x", ("gossip",))  # type: ignore[arg-type]


def test_thirty_keys_are_looked_up_well_under_a_millisecond(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        intel.apply([change([indicator(n) for n in range(30_000)], feed="blocklist")])
        for number in range(4):
            intel.apply([change([report(number)], complete=False)])
        keys = [f"ip:198.51.{n}.{n}" for n in range(0, 120, 8)] + [f"domain:host{n}.example" for n in range(15)]
        assert len(intel.lookup(keys)) == 15
        taken = []
        for _ in range(200):
            begun = time.thread_time()  # other work on the machine does not count
            intel.lookup(keys)
            taken.append(time.thread_time() - begun)
        assert statistics.median(taken) < 0.001


def test_counts_are_by_corpus_and_feed(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        intel.apply([change([report(1), report(2), indicator(1, "news")]), change([report(1, feed="b")], feed="b")])
        counts = intel.counts()
        assert counts["report"] == {"news": 2, "b": 1}
        assert counts["indicator"] == {"news": 1}
        assert counts["technique"] == {"shipped": 691}
        assert sum(counts["kev"].values()) == len(list(intel.documents(corpora=("kev",))))


def test_snapshots_are_listed_newest_first(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        first = intel.snapshot_id
        for number in (1, 2):
            intel.apply([change([report(n) for n in range(number)])])
        newest, middle, oldest = intel.snapshots()
        assert (newest.id, oldest.id) == (intel.snapshot_id, first)
        assert [s.current for s in (newest, middle, oldest)] == [True, False, False]
        assert newest.documents == middle.documents + 1 == oldest.documents + 2
        assert newest.feeds["news"] == "1"
        assert "news" not in oldest.feeds
        assert dt.timedelta(0) <= dt.datetime.now(dt.UTC) - newest.made_at < dt.timedelta(minutes=5)


def test_a_difference_names_what_came_went_and_changed(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        a = intel.apply([change([report(1), report(2), report(3)])])
        b = intel.apply([change([report(2, "another text"), report(3), report(4)])])
        found = {d.id: d for d in intel.diff(a, b)}
        assert {i: d.kind for i, d in found.items()} == {"news/1": "removed", "news/2": "changed", "news/4": "added"}
        changed = found["news/2"]
        assert (changed.before, changed.after) == (report(2).sha256, report(2, "another text").sha256)
        assert (found["news/1"].after, found["news/4"].before) == (None, None)
        assert {d.kind for d in intel.diff(b, a) if d.id == "news/1"} == {"added"}
        assert intel.diff(a, a) == []
        with pytest.raises(IntelError, match="no such snapshot"):
            intel.diff(a, "0" * 32)
        with pytest.raises(IntelError, match="not a snapshot id"):
            intel.diff(a, "../current")


def test_folding_segments_is_no_difference(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        ids = [intel.apply([change([report(n)], complete=False)]) for n in range(12)]
        assert len({p.segment for p in intel.manifest.parts}) < 9
        found = intel.diff(ids[5], ids[11])
        assert sorted((d.kind, d.id) for d in found) == sorted(("added", f"news/{n}") for n in range(6, 12))


def test_passages_carry_the_hash_that_was_stored(directory: Path, model, monkeypatch) -> None:
    with Intel.open(directory, model) as intel:
        intel.apply([change([report(1)])])
        expected = report(1).sha256
        monkeypatch.setattr(Document, "sha256", property(lambda self: pytest.fail("hashed again")))
        assert intel.search("zanzibar gateway", corpora=("report",))[0].sha256 == expected
        assert intel.lookup("news/1")[0].sha256 == expected


@pytest.mark.parametrize(("own", "kept"), [([], False), (["kev"], True)])
def test_a_snapshot_of_an_older_release_is_rebuilt_unless_that_loses_something(
    tmp_path: Path, model, own: list[str], kept: bool
) -> None:
    old = tmp_path / "snapshots" / ("0" * 32)
    old.mkdir(parents=True)
    (old / "manifest.json").write_text(json.dumps({"format": 1, "own": own}))
    (tmp_path / "current").write_text("0" * 32)
    with pytest.raises(IntelError, match="older release"):
        Intel.open(tmp_path, model, build_if_missing=False)
    if kept:
        with pytest.raises(IntelError, match="your own kev"):
            Intel.open(tmp_path, model)
    else:
        with Intel.open(tmp_path, model) as intel:
            assert intel.technique("T1059") is not None


class Numbered:
    """Vectors that cost nothing to make."""

    version = "numbered-1"

    def embed(self, texts):
        found = np.ones((len(texts), 384), np.float32)
        for row, text in enumerate(texts):
            found[row, hash(text) % 384] += 5
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_new_passage_is_found_within_a_second_among_a_hundred_thousand(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(index, "EXACT_UP_TO", 10**6)  # training is not what is tested, and takes longer
    common = {
        "licence": "t",
        "trust": 0.3,
        "technique": None,
        "aliases": (),
        "feed": "big",
        "owner": "big",
        "tenant": "",
    }
    common |= {"tlp": "clear", "signer": "", "fetched_at": None, "observed_at": None, "valid_until": None}
    many = [
        Document.model_construct(
            corpus="report", id=f"big/{n}", title=f"t{n}", text=f"word{n % 977} word{n % 89} word{n % 5003}",
            embedding_text=str(n % 5000), **common,
        )
        for n in range(100_000)
    ]  # fmt: skip
    with Intel.build(tmp_path, Numbered()) as intel:
        intel.apply([Change("big", "1", many, complete=True)])
        taken = []
        for number in range(5):
            begun = time.perf_counter()
            intel.apply([change([report(number, f"zanzibar{number} gateway")], complete=False)])
            assert "news/" + str(number) in [p.id for p in intel.search(f"zanzibar{number}")]
            taken.append(time.perf_counter() - begun)
        assert statistics.median(taken) < 1
        assert max(p.rows for p in intel.manifest.parts) == 100_000
