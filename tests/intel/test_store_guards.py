"""What keeps the store sound: files that are let go, snapshots that can't be read, ids that many claim."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from aegis_agents.errors import InputError, IntelError, IntelTampered
from aegis_agents.intel import Intel, build, opened, segments, words
from aegis_agents.intel.embedding import embed_documents
from aegis_agents.intel.readers import Reader
from tests.intel.test_store_apply import change, report


def test_segments_that_no_snapshot_in_use_names_are_closed(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        view = intel.seen_by(Reader("globex"))
        for number in range(25):
            intel.apply([change([report(number)], complete=False)])
            intel.search("zanzibar")
            view.search("zanzibar")
            assert set(intel._opened._pool._open) == {p.segment for p in intel.manifest.parts}


def test_a_snapshot_that_can_not_be_read_never_becomes_current(directory: Path, model, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise IntelError("FAISS can't read it")

    with Intel.open(directory, model) as intel:
        before = intel.snapshot_id
        with monkeypatch.context() as patch:
            patch.setattr(segments, "VectorIndex", fail)
            with pytest.raises(IntelError, match="can't read"):
                intel.apply([change([report(1)])])
        assert (directory / "current").read_text().strip() == intel.snapshot_id == before
        intel.apply([change([report(1)])])
        assert intel.lookup("news/1")


def test_a_corpus_that_the_user_supplies_is_theirs_even_if_it_says_the_same(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        same = list(intel.documents(corpora=("kev",)))
        intel.replace_corpus("kev", same, version="mine")
        assert intel.manifest.own == ("kev",)
        assert intel.manifest.sources["kev"] == "mine"
        assert len(intel.manifest.parts) == 1  # no document was written again


def test_a_well_known_id_is_answered_by_who_bears_it_whatever_claims_it(directory: Path, model) -> None:
    flood = [report(n, "T1059 is harmless", aliases=("T1059", "CVE-2021-44228"), trust=0.3) for n in range(50)]
    friend = report(1, "what our team says of it", feed="team", aliases=("T1059",), trust=0.9)
    with Intel.open(directory, model) as intel:
        intel.apply([change(flood), change([friend], feed="team")])
        found = intel.search("T1059", k=20)
        assert [p.id for p in found[:2]] == ["T1059", "team/1"]
        assert len(found) == 5
        mixed = intel.search("T1059 powershell interpreter", k=20)
        assert mixed[0].id == "T1059"
        assert len([p for p in mixed if p.score == 1.0]) <= 5
        assert intel.technique("T1059").source == "technique"
        assert intel.cve("CVE-2021-44228").source == "kev"
        assert len(intel.lookup("T1059")) == 52  # a look-up hides nothing


def segment_of(directory: Path) -> Path:
    """The folder of the largest segment."""
    return max((directory / "segments").iterdir(), key=lambda p: (p / "documents.sqlite").stat().st_size)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
@pytest.mark.parametrize("name", ["vectors.faiss", "manifest.json"])
@pytest.mark.parametrize("kind", ["link", "broken link", "pipe", "folder"])
def test_only_plain_files_are_read(directory: Path, model, tmp_path: Path, name: str, kind: str) -> None:
    path = segment_of(directory) / name
    path.rename(tmp_path / name)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / (name if kind == "link" else "nowhere"))
    with pytest.raises(IntelTampered, match=name):
        Intel.open(directory, model)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_segment_that_is_a_link_is_not_followed(directory: Path, model, tmp_path: Path) -> None:
    path = segment_of(directory)
    path.rename(tmp_path / path.name)
    path.symlink_to(tmp_path / path.name)
    with pytest.raises(IntelTampered, match="not a plain file"):
        Intel.open(directory, model)


@pytest.mark.skipif(os.name != "posix", reason="a file's ctime is its making on Windows")
def test_a_file_whose_time_was_set_back_is_hashed_again(directory: Path, model) -> None:
    Intel.open(directory, model).close()
    path = segment_of(directory) / "words.bin"
    raw, before = bytearray(path.read_bytes()), path.stat()
    raw[100] ^= 1
    with path.open("r+b") as file:
        file.write(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(IntelTampered, match=r"words\.bin: altered"):
        Intel.open(directory, model)


def test_a_process_remembers_few_segments(directory: Path, model, monkeypatch) -> None:
    monkeypatch.setattr(segments, "_REMEMBERED", 3)
    with Intel.open(directory, model) as intel:
        for n in range(6):
            intel.apply([change([report(n)], complete=False)])
    assert len(segments._verified) <= 3


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("kind", ["pipe", "folder", "endless"])
def test_a_pointer_that_is_no_plain_file_is_named(directory: Path, model, kind: str) -> None:
    path = directory / "current"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(IntelTampered, match="not a plain file"):
        Intel.open(directory, model)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [("segment", "../../elsewhere", "not a manifest"), ("rows", 5, "counts other rows")],
)
def test_a_manifest_that_can_not_be_meant_is_refused(
    directory: Path, model, field: str, value: object, why: str
) -> None:
    """A manifest whose name fits, as only who may write to the directory could make it."""
    old = directory / "snapshots" / f"{(directory / 'current').read_text().strip()}.json"
    manifest = json.loads(old.read_bytes())
    manifest["parts"][0][field] = value
    raw = json.dumps(manifest, sort_keys=True, indent=1).encode()
    name = hashlib.sha256(raw).hexdigest()[:32]
    (directory / "snapshots" / f"{name}.json").write_bytes(raw)
    (directory / "current").write_text(name)
    with pytest.raises(IntelTampered, match=why):
        Intel.open(directory, model)


@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b"])
@pytest.mark.parametrize("field", ["id", "aliases", "technique", "licence", "signer"])
def test_a_document_that_can_not_be_stored_is_refused_and_the_rest_taken_in(
    directory: Path, model, field: str, bad: str
) -> None:
    wrong = report(1, **{field: (bad,) if field == "aliases" else bad})
    with Intel.open(directory, model) as intel:
        applied = intel.take_in([change([wrong, report(2)])])
        assert [r.why[:5] for r in applied.refused] == ["has a"]
        assert applied.refused[0].id.encode("utf-8").isascii()
        assert "\x00" not in applied.refused[0].id
        assert [d.id for d in intel.documents(feed="news")] == ["news/2"]
        with pytest.raises(InputError, match="NUL or half"):
            intel.replace_corpus("report", [wrong], version="1")


def test_an_id_wins_over_another_s_alias_in_every_order(directory: Path, model, one_hot, monkeypatch) -> None:
    from aegis_agents.intel import taught

    rows = [
        report(0, "claims both", corpus="technique", id="T0001", aliases=("T0002", "T0009")),
        report(1, "the real one", corpus="technique", id="T0002"),
        report(2, "claims one below", corpus="technique", id="T0003", aliases=("T0002",)),
    ]
    lessons = taught.Taught(("T0002", "T0009", "T0001"), np.stack([one_hot(5), one_hot(6), one_hot(7)]), (1, 1, 1))
    monkeypatch.setattr(taught, "shipped_taught", lambda model, corpus: lessons if corpus == "technique" else None)
    with Intel.open(directory, model) as intel:
        intel.apply([change(rows, instead=("technique",))])
        assert intel.technique("T0002").text == "the real one"
        assert intel.resolve_technique("T0002") == "T0002"
        near = intel.search(vector=one_hot(5), corpora=("technique",), k=1)[0]
        assert (near.id, round(near.score, 3)) == ("T0002", 1.0)
        for lean in (6, 7):  # two ids of one technique: it counts as the better of the two
            best = intel.search(vector=one_hot(lean), corpora=("technique",), k=3)
            assert (best[0].id, round(best[0].score, 3)) == ("T0001", 1.0)
            assert len({p.id for p in best}) == 3


def test_who_bears_an_id_is_found_under_any_number_of_claims(directory: Path, model) -> None:
    flood = [report(n, aliases=("RA2001",), corpus="rule") for n in range(1200)]
    real = report(1, "block it", feed="react", corpus="playbook", id="RA2001")
    with Intel.open(directory, model) as intel:
        intel.apply([change(flood)])
        intel.apply([change([real], feed="react")])
        assert intel.search("RA2001", k=1)[0].text == "block it"


def test_words_are_the_same_however_their_accents_are_written() -> None:
    for text in ("résumé naïve", "Ångström"):
        assert words.words_of(unicodedata.normalize("NFD", text)) == words.words_of(text)
        assert len(words.words_of(text)) == len(text.split())


def test_the_stemmer_answers_after_it_was_interrupted(monkeypatch) -> None:
    stemmer = words.Stemmer()

    class Interrupted:
        def __init__(self, real: sqlite3.Connection) -> None:
            self._real = real

        def execute(self, sql: str, *values: object) -> object:
            if "SELECT" in sql:
                raise KeyboardInterrupt
            return self._real.execute(sql, *values)

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    with monkeypatch.context() as patch:
        patch.setattr(stemmer, "_db", Interrupted(stemmer._db))
        with pytest.raises(KeyboardInterrupt):
            stemmer.terms(["running"])
    assert stemmer.terms(["walked", "running"]) == {"walked": ("walk",), "running": ("run",)}


def test_a_cache_of_vectors_that_are_none_is_named(tmp_path: Path, model) -> None:
    embed_documents([report(1)], model, cache=tmp_path / "cache")
    with sqlite3.connect(tmp_path / "cache") as db:
        db.execute("UPDATE vector SET vector = ?", (np.full(384, np.nan, np.float16).tobytes(),))
    db.close()
    with pytest.raises(IntelError, match="not finite unit vectors"):
        embed_documents([report(1)], model, cache=tmp_path / "cache")


def test_a_rebuild_loses_nothing_that_another_process_applied_meanwhile(directory: Path, embedder, monkeypatch) -> None:
    with Intel.open(directory, embedder()) as intel:
        intel.apply([change([report(1)])])
    real, once = build.only_writer, []

    def late(place: Path):
        if not once:  # another process was first: it rebuilt and took something in
            once.append(1)
            with Intel.open(directory, embedder("fake-2")) as other:
                other.apply([change([report(2)], complete=False)])
        return real(place)

    monkeypatch.setattr(build, "only_writer", late)
    with Intel.open(directory, embedder("fake-2")) as newer:
        assert once
        assert {p.id for p in newer.lookup(["news/1", "news/2"])} == {"news/1", "news/2"}


def test_a_slow_refresh_does_not_go_back_behind_a_change(directory: Path, model, monkeypatch) -> None:
    with Intel.open(directory, model) as intel, Intel.open(directory, model) as other:
        behind = other.apply([change([report(1)])])
        reached, go_on = threading.Event(), threading.Event()
        real = opened.current

        def slow(place: Path) -> str | None:
            name = real(place)
            if threading.current_thread() is refresher:
                reached.set()
                go_on.wait(0.5)  # the change below has to wait for it, so that this runs out
            return name

        refresher = threading.Thread(target=intel.refresh)
        monkeypatch.setattr(opened, "current", slow)
        refresher.start()
        reached.wait()
        applied = intel.take_in([change([report(2)], complete=False)])
        go_on.set()
        refresher.join()
        assert applied.snapshot == intel.snapshot_id != behind
        assert intel.lookup("news/2")
