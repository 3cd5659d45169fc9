"""Tenants and markings are kept apart in the store: no public way leads to a row that is not the reader's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel import Document, Intel
from aegis_agents.intel.changes import Change
from aegis_agents.intel.documents import TLP_ORDER, Tlp
from aegis_agents.intel.opened import cases_file
from aegis_agents.intel.readers import Reader, Rows

SECRET = "zanzibar gateway credentials stolen"
OTHERS = [
    ("globex", "clear"),
    ("globex", "red"),
    ("default", "red"),
    ("", "red"),
    ("Default", "clear"),
    ("default ", "clear"),
]


def secret(number: int, tenant: str, tlp: str, corpus: str = "report") -> Document:
    return Document(
        corpus=corpus, id=f"news/{number}-{corpus}", title="stolen", text=f"{SECRET} {number}", licence="test", feed="news",
        tenant=tenant, tlp=tlp, aliases=(f"domain:secret{number}.example", "CVE-2031-77777"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A snapshot with secrets of others in every corpus that a feed may fill, and one document of the default tenant."""
    import shutil

    from tests.intel.conftest import FakeEmbedder

    place = Path(shutil.copytree(built, tmp_path_factory.mktemp("shelf") / "intel"))
    corpora = ("rule", "playbook", "report", "document", "epss", "indicator", "warning")
    documents = [secret(n, *whose, corpus=c) for n, whose in enumerate(OTHERS) for c in corpora]
    mine = Document(
        corpus="report", id="news/mine", title="mine", text="zanzibar is quiet", licence="test", feed="news"
    )
    with Intel.open(place, FakeEmbedder()) as intel:
        intel.apply([Change("news", "1", [*documents, mine.model_copy(update={"tenant": "default"})], complete=True)])
        intel.apply(
            [
                Change(
                    "spies",
                    "1",
                    [d.model_copy(update={"feed": "spies", "id": f"spies/{d.id}"}) for d in documents],
                    True,
                )
            ]
        )
    return place


@pytest.fixture
def intel(shelf: Path, model) -> Iterator[Intel]:
    with Intel.open(shelf, model) as opened:
        yield opened


def test_nothing_of_others_is_found_by_any_question(intel: Intel, model) -> None:
    vector = model.embed([SECRET])[0]
    questions = [
        SECRET, f'"{SECRET}"', "zanzibar OR gateway", "zanzibar*", "title:stolen", "% _ *", "' OR 1=1 --", "NEAR(zanzibar gateway)",
        "CVE-2031-77777", "news/0-report", "domain:secret0.example",
    ]  # fmt: skip
    corpora = ("rule", "playbook", "report", "document", "epss", "indicator", "warning")
    for question in questions:
        for where in (None, corpora, ("report",), ("indicator",)):
            for given in (None, vector):
                seen = {p.id for p in intel.search(question, vector=given, corpora=where, k=100)}
                assert not {i for i in seen if i.startswith(("news/", "spies/"))} - {"news/mine"}, question
    assert {p.id for p in intel.search(vector=vector, corpora=("report",), k=100)} == {"news/mine"}


def test_nothing_of_others_is_found_by_id_or_alias(intel: Intel) -> None:
    ids = [
        f"{prefix}news/{n}-{c}"
        for prefix in ("", "spies/")
        for n in range(len(OTHERS))
        for c in ("report", "indicator")
    ]
    keys = [*ids, *(f"domain:secret{n}.example" for n in range(len(OTHERS))), "CVE-2031-77777"]
    assert intel.lookup(keys) == []
    assert intel.lookup_each(keys) == {}
    assert intel.cve("CVE-2031-77777") is None
    assert intel.technique("news/0-report") is None


def test_nothing_of_others_is_listed_counted_or_compared(intel: Intel) -> None:
    assert [d.id for d in intel.documents(feed="news")] == ["news/mine"]
    assert list(intel.documents(feed="spies")) == []
    assert "spies" not in {feed for feeds in intel.counts().values() for feed in feeds}
    assert intel.counts()["report"] == {"news": 1}
    newest, middle, oldest = intel.snapshots()
    assert "spies" not in newest.feeds
    assert newest.documents == middle.documents == oldest.documents + 1
    assert intel.diff(middle.id, newest.id) == []
    assert [d.id for d in intel.diff(oldest.id, newest.id)] == ["news/mine"]
    assert [d.kind for d in intel.diff(newest.id, oldest.id)] == ["removed"]


def test_nothing_of_others_is_retrieved(intel: Intel) -> None:
    found = intel.as_retriever(corpora=("report", "indicator"), k=100).invoke(SECRET)
    assert [d.id for d in found] == ["news/mine"]


def test_rows_can_not_be_read_by_number(intel: Intel) -> None:
    view = intel._view
    every = range(sum(part.rows for part in intel.manifest.parts))
    seen = view.stored(every)
    assert {s.origin.tenant for s in seen.values()} == {"", "default"}
    assert {s.origin.tlp for s in seen.values()} <= set(TLP_ORDER) - {"red"}
    vector = np.zeros(384, np.float32)
    vector[0] = 1
    hidden = next(iter(set(every) - set(seen)))
    assert view.cosine(hidden, vector) == 0.0


@pytest.mark.parametrize("tenant", ["", "default", "globex"])
@pytest.mark.parametrize("clearance", TLP_ORDER)
def test_a_reader_sees_exactly_what_is_theirs(intel: Intel, model, tenant: str, clearance: Tlp) -> None:
    view = intel.seen_by(Reader(tenant, clearance))
    allowed = {
        f"news/{n}-report"
        for n, (whose, tlp) in enumerate(OTHERS)
        if whose in ("", tenant) and TLP_ORDER.index(tlp) <= TLP_ORDER.index(clearance)
    } | ({"news/mine"} if tenant == "default" else set())
    keys = [f"news/{n}-report" for n in range(len(OTHERS))] + ["news/mine"]
    assert {p.id for p in view.lookup(keys)} == allowed
    by_words = {p.id for p in view.search(SECRET, corpora=("report",), k=100)}
    by_vector = {p.id for p in view.search(vector=model.embed([SECRET]), corpora=("report",), k=100)}
    assert {i for i in by_words if i.startswith("news/")} == {i for i in by_vector if i.startswith("news/")} == allowed
    assert view.counts().get("report", {}).get("news", 0) == len(allowed)
    assert {d.id for d in view.documents(feed="news", corpora=("report",))} == allowed


def test_what_others_hold_moves_no_rank_of_ones_own(shelf: Path, built: Path, model) -> None:
    with Intel.open(shelf, model) as crowded, Intel.open(built, model) as alone:
        for text in (SECRET, "credentials stolen from a gateway", "powershell encoded command"):
            ours = [p.id for p in crowded.seen_by(Reader("", "clear")).search(text, k=50)]
            assert ours == [p.id for p in alone.search(text, k=50)]


def test_red_is_never_seen_without_asking(intel: Intel) -> None:
    assert Reader().clearance == "amber+strict"
    assert not Reader().sees("default", "red")
    assert Reader(clearance="red").sees("default", "red")


def test_a_technique_of_another_tenant_is_unknown(directory: Path, model) -> None:
    document = Document(
        corpus="technique", id="T9001", title="private", text="private", licence="test", feed="attack-feed", tenant="globex",
        aliases=("T1059",),
    )  # fmt: skip
    with Intel.open(directory, model) as intel:
        intel.apply([Change("attack-feed", "1", [document], complete=True, instead=("technique",))])
        assert not intel.is_technique("T9001")
        assert intel.technique("T9001") is None
        assert intel.seen_by(Reader("globex")).is_technique("T9001")


def test_confirmed_cases_are_each_tenants_own(directory: Path, model) -> None:
    vector = model.embed(["backup job"])[0]
    with Intel.open(directory, model) as intel:
        intel.confirm_case("case-1", vector, "benign_positive", "backup job", "k")
        other = intel.seen_by(Reader("globex"))
        assert other.similar_cases(vector) == []
        assert other.similar_to_case("case-1") is None
        assert other.search("backup job", corpora=("case",)) == []
        assert other.case_counts() == (0, 0)
        other.confirm_case("case-2", vector, "true_positive", "theft", "k")
        assert [c.case_id for c in intel.similar_cases(vector)] == ["case-1"]
        assert intel.memory_version != other.memory_version
    assert (directory / "cases.sqlite").exists()
    assert (directory / "cases-globex.sqlite").exists()


def test_no_two_tenants_share_a_file_of_cases() -> None:
    tenants = [
        "default",
        "",
        "Default",
        "globex",
        "Globex",
        "../x",
        "a/b",
        "x.0",
        "é",
        "cases",
        "a" * 100,
        "con",
        "x" * 64,
    ]
    files = [cases_file(t) for t in tenants]
    assert len({f.lower() for f in files}) == len(files)
    assert all("/" not in f and "\\" not in f and f.isascii() and len(f) < 100 for f in files)


@pytest.mark.parametrize(
    ("given", "field"),
    [({"clearance": "white"}, "clearance"), ({"tenant": "a\nb"}, "tenant"), ({"tenant": "x" * 201}, "tenant")],
)
def test_a_reader_that_is_none_is_named(given: dict, field: str) -> None:
    with pytest.raises(InputError) as caught:
        Reader(**given)
    assert caught.value.field == field


def test_a_view_follows_its_intelligence_and_closes_nothing(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        with intel.seen_by(Reader("globex")) as view:
            intel.apply([Change("news", "1", [secret(1, "globex", "amber")], complete=True)])
            assert [p.id for p in view.lookup("news/1-report")] == ["news/1-report"]
            assert view.reader == Reader("globex")
        assert intel.technique("T1059") is not None


def test_rows_are_joined_cut_and_counted() -> None:
    dead = np.zeros(10, np.bool_)
    dead[[1, 6]] = True
    rows = Rows.of([(4, 8), (0, 2), (2, 3), (9, 9)], dead)
    assert rows.ranges == ((0, 3), (4, 8))
    assert rows.count == 5
    assert rows.all.tolist() == [0, 2, 4, 5, 7]
    assert rows.gone.tolist() == [1, 6]
    ascending = [[], [0, 1], [1, 2, 6], [0, 2, 4, 5, 7], [6], [0, 1, 2, 4, 5, 6, 7]]
    assert [rows.dead_among(np.array(r, np.int32)) for r in ascending] == [0, 1, 2, 0, 1, 2]
    assert [r in rows for r in (0, 1, 3, 7, 8)] == [True, False, False, True, False]
    assert rows.below(5).all.tolist() == [0, 2, 4]
    assert np.unpackbits(rows.bitmap, bitorder="little")[:8].tolist() == [1, 0, 1, 0, 1, 1, 0, 1]
    assert Rows.of([(2, 6)], dead).dead is None
