from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aegis_agents.errors import InputError
from aegis_agents.intel import Document, Intel
from aegis_agents.intel.changes import Change
from aegis_agents.intel.search import fuse, ids_in, only_ids
from aegis_agents.intel.words import Said

TEXT = "powershell encoded command downloads a payload"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see cve-2021-44228, and T1059.001!", ["CVE-2021-44228", "T1059.001"]),
        ("(t1059) S0002/G0016 m1013", ["T1059", "S0002", "G0016", "M1013"]),
        ("RA3102 D3-NI T1059 T1059", ["RA3102", "D3-NI", "T1059"]),
        ("T1059.", ["T1059"]),
        ("T10590 XT1059 T1059.0011 CVE-2021-1 T1059-x host.T1059 CVE-2021-44228-poc", []),
    ],
)
def test_ids_are_found_whole_or_not_at_all(text: str, found: list[str]) -> None:
    assert ids_in(text) == found


def test_only_so_many_ids_are_looked_up() -> None:
    assert len(ids_in(" ".join(f"CVE-2024-{n}" for n in range(10_000, 11_000)))) == 16


def test_a_query_of_ids_alone_is_recognised() -> None:
    assert only_ids(" T1059, CVE-2021-44228. ")
    assert not only_ids("T1059 powershell")
    assert not only_ids("powershell")


def test_words_add_a_share_of_their_best_to_the_cosine() -> None:
    said, sure = [Said(3, 20.0, 0.4), Said(2, 10.0, 0.2)], dict.fromkeys((1, 2, 3), 1.0)
    assert fuse({1: 0.50, 2: 0.44, 3: 0.42}, said, sure) == [3, 1, 2]  # 0.52, 0.50, 0.49
    assert fuse({1: 0.50, 2: 0.44, 3: 0.42}, said, sure, weight=0.0) == [1, 2, 3]
    assert fuse({2: 0.4, 1: 0.4}, [], sure) == [1, 2]
    assert fuse({}, [], {}) == []


def test_a_name_that_stands_in_one_passage_is_found_however_far_its_vector(
    directory: Path, model, one_hot: Callable[..., NDArray[np.float32]]
) -> None:
    told = Document(
        corpus="document", id="news/1", title="News", text="QuietLoader was seen.", licence="made", feed="news", trust=0.3
    )  # fmt: skip
    with Intel.open(directory, model) as intel:
        intel.apply([Change("news", "1", [told], complete=True)])
        far = one_hot(int(np.argmin(np.abs(model.embed([told.to_embed])[0]))))
        assert "news/1" in [p.id for p in intel.search("QuietLoader", far, k=5)]
        few = [p.id for p in intel.search("credentials dumping lsass memory quietloader registry", far, k=5)]
        assert "news/1" not in few, "one word of many is no reason"
        assert intel.search("QuietLoader", far, k=1)[0].id != "news/1", "the only place is the best's"


def test_a_passage_of_little_trust_must_be_clearly_nearer() -> None:
    assert fuse({1: 0.60, 2: 0.75}, [], {1: 1.0, 2: 0.3}) == [1, 2]
    assert fuse({1: 0.60, 2: 0.85}, [], {1: 1.0, 2: 0.3}) == [2, 1]
    assert fuse({1: 0.60, 2: 0.62}, [], {1: 0.9, 2: 0.9}) == [2, 1]


@pytest.mark.parametrize("query", ["CVE-2021-44228", "cve-2021-44228", "what of Cve-2021-44228 then?"])
def test_a_named_cve_comes_first(shared: Intel, query: str) -> None:
    first = shared.search(query)[0]
    assert (first.id, first.source, first.score, first.licence) == ("CVE-2021-44228", "kev", 1.0, "CC0-1.0")
    assert first.snapshot == shared.snapshot_id


@pytest.mark.parametrize(
    ("query", "expected"),
    [("t1059.001", "T1059.001"), ("T1059", "T1059"), ("T1086", "T1059.001"), ("g0016", "G0016"), ("M1013", "M1013"),
     ("S0002", "S0002"), ("ra3102", "isolate_host"), ("D3-NI", "isolate_host")],
)  # fmt: skip
def test_an_id_alone_answers_itself_and_nothing_else(shared: Intel, query: str, expected: str) -> None:
    assert [p.id for p in shared.search(query)] == [expected]


def test_an_unknown_id_answers_nothing_rather_than_look_alikes(shared: Intel) -> None:
    assert shared.search("CVE-1999-99999") == []
    assert shared.technique("T1059.999") is None
    assert shared.technique("nonsense") is None
    assert shared.cve("CVE-1999-99999") is None
    assert shared.cve("T1059") is None
    assert shared.cve("CVE-2021-\ud800") is None


def test_words_and_vectors_find_the_technique(shared: Intel) -> None:
    assert "T1059.001" in [p.id for p in shared.search(TEXT, k=3)]
    assert shared.search("mimikatz", k=3)[0].id == "S0002"


def test_corpora_limit_what_is_found(shared: Intel) -> None:
    for corpus in ("technique", "mitigation", "group", "software", "kev", "action"):
        found = shared.search("microsoft windows account host network", corpora=(corpus,), k=10)
        assert len(found) == 10
        assert {p.source for p in found} == {corpus}
    assert shared.search("CVE-2021-44228", corpora=("technique",)) == []
    with pytest.raises(InputError, match="not a corpus"):
        shared.search("x", corpora=("gossip",))


def test_a_vector_alone_ranks_by_cosine(shared: Intel, model) -> None:
    vector = model.embed([TEXT])[0]
    scores = [p.score for p in shared.search(vector=vector, k=20)]
    assert scores == sorted(scores, reverse=True)
    (segment,) = shared._opened.store.segments
    everything = segment.index.vectors(np.arange(segment.index.size, dtype=np.int32)) @ vector
    assert scores == pytest.approx(sorted(everything, reverse=True)[:20], abs=1e-5)


def test_a_document_finds_itself_with_cosine_1(shared: Intel, model) -> None:
    passage = shared.technique("T1003.001")
    found = shared.search(vector=model.embed([passage.text]), k=1)[0]
    assert found.id == "T1003.001"
    assert found.score == pytest.approx(1.0, abs=1e-3)


def test_scores_stay_between_0_and_1(shared: Intel, model) -> None:
    found = shared.search(TEXT, vector=-model.embed([TEXT])[0], k=50)
    assert len(found) == 50
    assert all(0.0 <= p.score <= 1.0 for p in found)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "query"), ({"query": "  "}, "query"), ({"query": "x", "k": 0}, "k"), ({"query": "x", "k": 101}, "k"),
        ({"vector": np.zeros(384, np.float32)}, "vector"), ({"vector": np.ones(3, np.float32)}, "vector"),
        ({"vector": np.full(384, np.nan, np.float32)}, "vector"),
    ],
)  # fmt: skip
def test_a_bad_question_is_named(shared: Intel, arguments: dict, field: str) -> None:
    with pytest.raises(InputError) as caught:
        shared.search(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        '"', "' OR 1=1 --", "NEAR(a b)", "title:*", "AND OR NOT", "a" * 100_000, "^ ( ) { } *", "\x00\ud800",
        "日本語", "%_",
    ],
)  # fmt: skip
def test_no_text_is_a_query_language(shared: Intel, text: str) -> None:
    assert len(shared.search(text, k=3)) <= 3


def test_techniques_are_recognised_by_id(shared: Intel) -> None:
    assert shared.is_technique("T1059.001")
    assert not shared.is_technique("T1685")
    assert not shared.is_technique("T1086")
    assert not shared.is_technique("T9999")
    assert len(shared.technique_ids) == 691


@pytest.mark.parametrize(
    ("asked", "known"), [("t1086", "T1059.001"), ("T1685", "T1562.001"), ("T1059", "T1059"), ("T1150", "T1647")]
)
def test_ids_of_other_releases_are_translated(shared: Intel, asked: str, known: str) -> None:
    assert shared.resolve_technique(asked) == known
    assert shared.technique(asked).technique == known


def test_readers_in_many_threads_get_the_same_answers(shared: Intel) -> None:
    queries = [TEXT, "mimikatz", "CVE-2021-44228", "block an address", "phishing attachment opened"] * 20
    alone = [[p.id for p in shared.search(q)] for q in queries]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda q: [p.id for p in shared.search(q)], queries))
    assert together == alone


def test_search_goes_on_while_the_snapshot_is_swapped(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel, ThreadPoolExecutor(2) as pool:
        kev = list(intel.documents(corpora=("kev",)))
        searches = pool.map(lambda _: intel.search(TEXT, k=1)[0].id, range(200))
        intel.replace_corpus("kev", kev[:100], version="fewer")
        assert len(set(searches)) == 1


def test_opening_and_searching_are_fast(built: Path, model) -> None:
    vector = model.embed([TEXT])[0]
    started = time.thread_time()
    with Intel.open(built, model) as intel:
        opened = time.thread_time() - started
        took = []
        for _ in range(50):
            started = time.thread_time()
            intel.search(TEXT, vector=vector)
            took.append(time.thread_time() - started)
    # 10 ms and 1 ms on two quiet cores (evals/bench measures): the limits only notice another order of cost
    assert opened < 1.0
    assert statistics.median(took) < 0.02


def test_the_retriever_works_in_langchain(shared: Intel) -> None:
    from langchain_core.runnables import RunnableLambda

    retriever = shared.as_retriever(corpora=("technique",), k=3)
    documents = retriever.invoke(TEXT)
    assert len(documents) == 3
    assert "T1059.001" in [d.id for d in documents]
    assert {"source", "score", "snapshot", "licence", "trust", "technique"} <= set(documents[0].metadata)
    chain = retriever | RunnableLambda(lambda found: [d.metadata["source"] for d in found])
    assert chain.invoke("phishing") == ["technique"] * 3
    assert chain.batch(["phishing", "T1059"]) == [["technique"] * 3, ["technique"]]
