"""BM25 over the store's own postings: the ranks of FTS5, at a cost that has a bound."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from aegis_agents.intel import Intel, words
from aegis_agents.intel.changes import Change
from aegis_agents.intel.readers import KEEPER, Reader, Rows
from tests.intel.test_store_apply import report

QUERIES = [
    "powershell encoded command", "phishing attachments opened", "credentials dumped from memory", "log4j remote code",
    "ransomware encrypts backups", "scheduled tasks persistence", "the network of the adversary", "mimikatz", "dns tunnelling",
    "block an address", "T1059 interpreters", "running runs runner",
]  # fmt: skip


def fts5(intel: Intel, query: str, n: int) -> list[tuple[str, float]]:
    """What FTS5's own bm25 ranks, over the same texts."""
    rows = [(row, s.fields[3], s.fields[4]) for row, s in intel._opened.store.seen_by(KEEPER).each()]
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE t USING fts5(title, text, tokenize='porter unicode61 remove_diacritics 2')")
        db.executemany("INSERT INTO t(rowid, title, text) VALUES (?, ?, ?)", rows)
        match = " OR ".join(
            f'"{t}"' for t in dict.fromkeys(words.words_of(query)) if len(t) > 1 and t not in words._COMMON
        )
        return db.execute(
            "SELECT rowid, rank FROM t WHERE t MATCH ? ORDER BY rank, rowid LIMIT ?", (match, n)
        ).fetchall()


@pytest.mark.parametrize("query", QUERIES)
def test_ranks_are_those_of_fts5(shared: Intel, query: str) -> None:
    expected = fts5(shared, query, 10)
    found = [s.row for s in shared._view.lexical(query, None, 10)]
    if len(expected) == 10:  # what ties with the last may be cut either way
        expected = [e for e in expected if e[1] < expected[-1][1] - 1e-4]
    assert set(found[: len(expected)]) == {row for row, _ in expected}


def test_words_are_stemmed_and_stripped_of_accents(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        intel.apply(
            [Change("news", "1", [report(1, "Les résumés étaient chiffrés"), report(2, "naïve_encryption")], True)]
        )
        for asked, found in (("resume", 1), ("RÉSUMÉ", 1), ("naive", 2), ("encrypting", 2), ("zanzibar", None)):
            ids = [intel._view.stored([r])[r].fields[2] for r, *_ in intel._view.lexical(asked, ("report",), 5)]
            assert ids == ([] if found is None else [f"news/{found}"]), asked


def made(n: int, seed: int = 3) -> list[str]:
    rng = np.random.default_rng(seed)
    ranks = 1 / np.arange(1, 20_001)
    return [" ".join(f"w{w}q" for w in row) for row in rng.choice(20_000, (n, 40), p=ranks / ranks.sum())]


class Shelf:
    """Ten thousand texts as one segment's words."""

    def __init__(self, folder: Path, texts: list[str]) -> None:
        with closing(sqlite3.connect(":memory:")) as db:
            db.execute("CREATE TABLE term (term TEXT PRIMARY KEY, start INTEGER, rows INTEGER)")
            postings = words.write_words(folder / "words.bin", db, texts)
            self.at = {t: (s, n) for t, s, n in db.execute("SELECT * FROM term")}
        self.words = words.Words(folder / "words.bin", rows=len(texts), postings=postings)
        self.rows = Rows.of([(0, len(texts))])

    def best(self, query: str, budget: int, rows: Rows | None = None) -> list[int]:
        rows = rows or self.rows
        found = {t: self.words.postings(*self.at[t], rows) for t in words.query_terms(query) if t in self.at}
        scope = words.Scope(self.words, found, rows, 0)
        return [s.row for s in words.best([scope], rows=rows.count, length=self.words.total(rows), n=10, budget=budget)]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, list[str]]:
    texts = made(10_000)
    return Shelf(tmp_path_factory.mktemp("words"), texts), texts


def test_the_bound_costs_no_quality_at_ten_thousand(shelf: tuple[Shelf, list[str]]) -> None:
    here, texts = shelf
    rng = np.random.default_rng(5)
    queries = [" ".join(rng.choice(texts[i].split(), 8)) for i in rng.integers(0, len(texts), 100)]
    same = [here.best(q, words.MAX_POSTINGS) == here.best(q, 10**9) for q in queries]
    assert sum(same) == len(same)


def test_a_small_bound_looks_at_the_rarest_words_first(shelf: tuple[Shelf, list[str]]) -> None:
    here, texts = shelf
    sizes = {t: n for t, (_, n) in here.at.items()}
    rare = next(t for t, n in sorted(sizes.items()) if n == 3)
    common = max(sizes, key=lambda t: sizes[t])
    holders = {row for row, text in enumerate(texts) if rare in text.split()}
    assert set(here.best(f"{common} {rare}", 1)) == holders
    assert len(here.best(common, 1)) == 10  # one word is looked at whatever it costs


def test_dead_and_hidden_rows_are_left_out_and_weigh_nothing(shelf: tuple[Shelf, list[str]], tmp_path: Path) -> None:
    here, texts = shelf
    query = " ".join(texts[17].split()[:6])
    dead = np.zeros(len(texts), np.bool_)
    first = here.best(query, 10**9)
    dead[first[:3]] = True
    assert not {*here.best(query, 10**9, Rows.of([(0, len(texts))], dead))} & {*first[:3]}
    # the ranks are those of a store that never had the dead
    rng = np.random.default_rng(2)
    live = np.flatnonzero(rng.random(len(texts)) < 0.6)
    dead = ~np.isin(np.arange(len(texts)), live)
    bare = Shelf(tmp_path, [texts[row] for row in live])
    for at in (3, 17, 40):
        some = " ".join(texts[at].split()[:6])
        assert here.best(some, 10**9, Rows.of([(0, len(texts))], dead)) == [
            int(live[r]) for r in bare.best(some, 10**9)
        ]
    inside = Rows.of([(100, 200), (5000, 5100)])
    found = here.best(query, 10**9, inside)
    assert found
    assert all(row in inside for row in found)


def test_what_only_others_have_changes_no_weight(directory: Path, model) -> None:
    own = [report(n, "zanzibar gateway" if n % 2 else "quokka gateway relay") for n in range(6)]
    theirs = [report(n, "quokka " * 5, tenant="globex") for n in range(10, 60)]
    with Intel.open(directory, model) as intel:
        intel.apply([Change("news", "1", own, complete=True)])
        before = [p.id for p in intel.search("quokka zanzibar", corpora=("report",))]
        intel.apply([Change("news", "1", [*own, *theirs], complete=True)])
        assert [p.id for p in intel.search("quokka zanzibar", corpora=("report",))] == before
        assert len(intel.seen_by(Reader("globex")).search("quokka", corpora=("report",), k=100)) == 56


def test_a_new_segment_of_one_document_competes_by_the_weights_of_all(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        intel.apply([Change("news", "1", [report(1, "mimikatz dumped credentials from lsass on the gateway")], True)])
        rows = [s.row for s in intel._view.lexical("mimikatz lsass gateway", None, 3)]
        assert intel._view.stored(rows)[rows[0]].fields[2] == "news/1"


@pytest.mark.parametrize("query", ["", "a", "the of and", "\ud800", "_ _", "\x00", "🦊", "x" * 10**6])
def test_a_question_without_words_finds_nothing(shared: Intel, query: str) -> None:
    assert shared._view.lexical(query, None, 5) == []


def test_a_long_question_is_cut() -> None:
    assert len(words.query_terms(" ".join(f"word{n}" for n in range(1000)))) <= words.MAX_WORDS


def test_the_stemmer_forgets_when_it_knows_too_much(monkeypatch) -> None:
    monkeypatch.setattr(words, "_REMEMBERED", 10)
    stemmer = words.Stemmer()
    for at in range(0, 60, 6):
        found = stemmer.terms([f"running{n}" for n in range(at, at + 6)] + ["running"])
        assert found["running"] == ("run",)
    assert len(stemmer._known) <= 20


def test_scores_are_those_of_a_store_that_never_had_what_was_removed(directory: Path, tmp_path: Path, model) -> None:
    import shutil

    other = Path(shutil.copytree(directory, tmp_path / "other"))
    all_of = [report(n, "quokka relay" if n % 3 else "zanzibar gateway numbat " * (n + 1)) for n in range(10)]
    with Intel.open(directory, model) as intel, Intel.open(other, model) as bare:
        intel.apply([Change("news", "1", all_of, complete=True)])
        intel.apply([Change("news", "2", all_of[:6], complete=True)])
        assert any(part.dead for part in intel.manifest.parts)
        bare.apply([Change("news", "2", all_of[:6], complete=True)])
        for query in ("quokka", "zanzibar numbat", "relay gateway"):
            scores = [[said.score for said in i._view.lexical(query, ("report",), 10)] for i in (intel, bare)]
            assert scores[0]
            assert scores[0] == scores[1]
