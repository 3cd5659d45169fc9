"""What keeps the store sound: files that are let go, snapshots that can't be read, ids that many claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_agents.errors import IntelError
from aegis_agents.intel import Intel, segments
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
