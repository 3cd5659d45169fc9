"""Changes of feeds: what is written, what stays, what is refused, how segments are shared and folded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel import Document, Intel
from aegis_agents.intel.changes import Change
from aegis_agents.intel.writer import MAX_PARTS, to_fold


def report(number: int, text: str = "zanzibar gateway", *, feed: str = "news", **more: object) -> Document:
    named = {"corpus": "report", "id": f"{feed}/{number}", "title": f"report {number}", "licence": "test"} | more
    return Document(text=text, feed=feed, owner=feed, **named)  # type: ignore[arg-type]


def change(documents: Sequence[Document], *, feed: str = "news", complete: bool = True, **more: object) -> Change:
    return Change(feed, "1", documents, complete, **more)  # type: ignore[arg-type]


@pytest.fixture
def intel(directory: Path, model):
    with Intel.open(directory, model) as opened:
        yield opened


def found(intel: Intel, text: str) -> list[str]:
    return [p.id for p in intel.search(text, corpora=("report",), k=50)]


def files_of(directory: Path) -> set[Path]:
    return {p for p in directory.rglob("*") if p.is_file() and p.parent.name != directory.name}


def test_documents_come_change_and_go(intel: Intel) -> None:
    first = intel.take_in([change([report(1), report(2)])])
    assert first.deltas == (("news", 2, 0, 0, 0, 0),)
    assert found(intel, "zanzibar") == ["news/1", "news/2"]
    second = intel.take_in([change([report(2), report(3, "quokka relay")])])
    assert second.deltas == (("news", 1, 0, 1, 1, 0),)
    assert found(intel, "zanzibar")[:1] == ["news/2"]
    assert "news/1" not in found(intel, "zanzibar gateway")
    third = intel.take_in([change([report(3, "wombat relay")], complete=False, removed=("news/2",))])
    assert third.deltas == (("news", 0, 1, 1, 0, 0),)
    assert [p.text for p in intel.search("relay", corpora=("report",))] == ["wombat relay"]
    assert len({first.snapshot, second.snapshot, third.snapshot}) == 3


def test_what_did_not_change_is_neither_written_nor_embedded(directory: Path, embedder) -> None:
    model = embedder()
    with Intel.open(directory, model) as intel:
        before = intel.apply([change([report(1), report(2)])])
        present, asked = files_of(directory), model.asked
        later = report(1).model_copy(update={"fetched_at": "2026-11-26T06:00:00Z"})
        assert intel.apply([change([later, report(2)])]) == before
        assert (files_of(directory), model.asked) == (present, asked)
        intel.apply([change([report(1), report(2), report(3, "something new")])])
        assert model.asked == asked + 1
        new = files_of(directory) - present
        assert sorted(p.name for p in new) == sorted([
            "documents.sqlite", "manifest.json", "vectors.faiss", "words.bin", f"{intel.snapshot_id}.json",
        ])  # fmt: skip


def test_all_feeds_of_one_call_go_into_one_segment(intel: Intel, directory: Path) -> None:
    before = len(list((directory / "segments").iterdir()))
    intel.apply([change([report(1)]), change([report(1, feed="other")], feed="other")])
    assert len(list((directory / "segments").iterdir())) == before + 1
    assert intel.counts()["report"] == {"news": 1, "other": 1}


def test_no_feed_replaces_or_removes_anothers_document(intel: Intel) -> None:
    shared = {"corpus": "rule", "id": "0e7163d4-9e19-4fa7-9be6-000c61aad77a"}
    intel.apply([change([report(1, "the first text", **shared)])])
    claim = report(1, "another text", feed="rogue", **shared)
    applied = intel.take_in([change([claim], feed="rogue", removed=("news/1", shared["id"]))])
    (refused,) = applied.refused
    assert refused.id == shared["id"]
    assert "belongs to feed news" in refused.why
    (kept,) = intel.lookup(shared["id"])
    assert (kept.text, kept.feed) == ("the first text", "news")
    # also when both come in one call, and when it is about leaving something out
    applied = intel.take_in([
        change([report(2, **shared | {"id": "x"})]), change([report(2, feed="rogue", **shared | {"id": "x"})], feed="rogue"),
    ])  # fmt: skip
    assert [r.feed for r in applied.refused] == ["rogue"]
    intel.apply([change([], feed="rogue")])
    assert [p.feed for p in intel.lookup("x")] == ["news"]


def test_a_document_stamped_for_another_feed_is_refused(intel: Intel) -> None:
    applied = intel.take_in([change([report(1, feed="shipped"), report(2)])])
    assert [r.why for r in applied.refused] == ["is stamped for feed shipped, not news"]
    assert applied.deltas[0].refused == 1


def test_an_id_that_is_there_twice_counts_once(intel: Intel) -> None:
    applied = intel.take_in([change([report(1, "the first"), report(1, "the second")])])
    assert [r.why for r in applied.refused] == ["is there twice; the first counts"]
    assert intel.lookup("news/1")[0].text == "the first"


@pytest.mark.parametrize("corpus", ["technique", "mitigation", "group", "software", "kev", "action"])
def test_a_feed_can_not_fill_a_standard_corpus_unasked(intel: Intel, corpus: str) -> None:
    before = intel.snapshot_id
    applied = intel.take_in([change([report(1, corpus=corpus, id="T1059.999")])])
    assert "not for this feed" in applied.refused[0].why
    assert applied.snapshot == before


def test_a_feed_takes_the_place_of_what_is_shipped_and_gives_it_back(directory: Path, model) -> None:
    cve = report(1, corpus="kev", id="CVE-2021-44228")
    with Intel.open(directory, model) as intel:
        old = len(intel.technique_ids)
        intel.apply([change([cve], instead=("kev", "technique"))])
        assert intel.cve("CVE-2021-44228").feed == "news"
        assert intel.counts()["kev"] == {"news": 1}
        assert len(intel.technique_ids) == old  # the feed brought none: what is shipped stays
        assert intel.manifest.sources["kev"] == "news 1"
        more = report(2, corpus="kev", id="CVE-2031-00002")
        assert intel.take_in([change([more], complete=False)]).refused == ()  # what it fills it may add to
    with Intel.open(directory, model) as again:  # and is not rebuilt over
        assert again.cve("CVE-2031-00002").feed == "news"
        assert again.cve("CVE-2021-44228").feed == "news"
        again.apply([change([])])
        assert again.cve("CVE-2021-44228") is None
    with Intel.open(directory, model) as given_up:
        assert given_up.cve("CVE-2021-44228").feed == "shipped"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ([change([], feed="shipped")], "feed"), ([change([], feed="")], "feed"), ([change([]), change([])], "changes"),
        ([change([], instead=("action",))], "instead"), ([change([], instead=("report",))], "instead"),
        ([change([], complete=False, instead=("kev",))], "instead"),
    ],
)  # fmt: skip
def test_a_change_that_can_not_be_meant_is_named(intel: Intel, changes: list[Change], field: str) -> None:
    with pytest.raises(InputError) as caught:
        intel.apply(changes)
    assert caught.value.field == field


def test_many_small_changes_keep_few_segments_and_every_document(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        ids = []
        for number in range(40):
            intel.apply([change([report(number, f"zanzibar {number}")], complete=False)])
            ids.append(intel.snapshot_id)
            assert len(intel.manifest.parts) <= MAX_PARTS
        big = max(intel.manifest.parts, key=lambda p: p.rows)
        assert big.rows > 2000  # what is shipped was not written again
        assert len(intel.search("zanzibar", corpora=("report",), k=100)) == 40
        assert {p.id for p in intel.lookup([f"news/{n}" for n in range(40)])} == {f"news/{n}" for n in range(40)}
        assert sum(h.documents for h in intel.manifest.held if h.feed == "news") == 40
        hashes = {p.id: p.sha256 for p in intel.search("zanzibar", corpora=("report",), k=100)}
        assert hashes["news/3"] == report(3, "zanzibar 3").sha256
    with Intel.open(directory, model, snapshot=ids[5]) as replay:  # of several segments, some folded since
        assert len(replay.manifest.parts) == 7
        assert len(replay.search("zanzibar", corpora=("report",), k=100)) == 6
    with Intel.open(directory, model) as again:
        assert again.snapshot_id == ids[-1]


@pytest.mark.parametrize(
    ("live", "rows", "births", "folded"),
    [
        ([1000] + [1] * 6, [1000] + [1] * 6, 1, []),
        ([1000] + [1] * 7, [1000] + [1] * 7, 1, [1, 2, 3, 4, 5, 6, 7]),
        ([100] * 8, [100] * 8, 1, [0, 1, 2, 3, 4, 5, 6, 7]),
        ([10**7, 10**6, 10**5, 10**4, 1000, 100, 10, 1], [10**7, 10**6, 10**5, 10**4, 1000, 100, 10, 1], 1, [7]),
        ([1000, 400], [1000, 1000], 1, [1]),
        ([1000, 0], [1000, 1000], 1, []),
    ],
)
def test_the_smallest_are_folded_and_a_large_one_when_as_much_is_new(
    live: list[int], rows: list[int], births: int, folded: list[int]
) -> None:
    assert to_fold(live, rows, births) == folded


def test_a_segment_with_no_row_alive_is_named_no_more(intel: Intel) -> None:
    intel.apply([change([report(1)])])
    assert len(intel.manifest.parts) == 2
    intel.apply([change([])])
    assert len(intel.manifest.parts) == 1
    assert found(intel, "zanzibar") == []


def test_two_directories_with_the_same_history_have_the_same_snapshots(tmp_path: Path, directory, embedder) -> None:
    import shutil

    other = Path(shutil.copytree(directory, tmp_path / "other"))
    ids = []
    for place in (directory, other):
        with Intel.open(place, embedder()) as intel:
            ids.append([
                intel.apply([change([report(n) for n in range(5)])]),
                intel.apply([change([report(n) for n in range(3, 9)])]),
            ])  # fmt: skip
    assert ids[0] == ids[1]


def test_what_feeds_brought_is_carried_over_to_another_model(directory: Path, embedder) -> None:
    with Intel.open(directory, embedder()) as intel:
        intel.apply([change([report(1), report(2, tenant="acme", tlp="red")])])
    with Intel.open(directory, embedder("fake-2")) as newer:
        assert newer.lookup("news/1")[0].feed == "news"
        held = {(h.tenant, h.tlp) for h in newer.manifest.held if h.feed == "news"}
        assert held == {("", "clear"), ("acme", "red")}
        assert newer.manifest.feeds == {"news": "1"}


def test_what_another_process_added_is_kept(directory: Path, embedder) -> None:
    with Intel.open(directory, embedder()) as one, Intel.open(directory, embedder()) as two:
        one.apply([change([report(1)])])
        two.apply([change([report(1, feed="other")], feed="other")])
        assert two.counts()["report"] == {"news": 1, "other": 1}
        assert one.refresh()
        assert one.snapshot_id == two.snapshot_id


def test_exact_corpora_have_neither_vector_nor_words(directory: Path, embedder) -> None:
    model = embedder()
    with Intel.open(directory, model) as intel:
        asked = model.asked
        indicator = report(1, corpus="indicator", id="news/ip:203.0.113.7", aliases=("ip:203.0.113.7",))
        intel.apply([change([indicator])])
        assert model.asked == asked
        assert [p.id for p in intel.lookup("IP:203.0.113.7")] == ["news/ip:203.0.113.7"]
        assert intel.search("zanzibar gateway", corpora=("indicator",)) == []
        assert "indicator" not in {p.source for p in intel.search("zanzibar gateway", k=100)}
        score = report(2, corpus="epss", id="CVE-2021-44228")
        intel.apply([change([score], complete=False)])
        assert [p.source for p in intel.search("CVE-2021-44228")] == ["kev"]
        assert {p.source for p in intel.lookup("CVE-2021-44228")} == {"kev", "epss"}


def test_a_manifest_says_how_many_documents_of_whom(intel: Intel) -> None:
    intel.apply([change([report(1), report(2, tlp="green"), report(3, tenant="acme")])])
    intel.apply([change([report(2, tlp="amber"), report(3, tenant="acme")])])
    held = {(h.tenant, h.tlp): h.documents for h in intel.manifest.held if h.feed == "news"}
    assert held == {("", "amber"): 1, ("acme", "clear"): 1}
    assert json.loads(intel.manifest.to_bytes())["feeds"] == {"news": "1"}
