"""A tiny random model with a tokenizer of its own, so that the slow path is tested without fetching anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis_agents.model.language.prompt import LABELS, PREFIX


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of two layers, 128 wide, whose answers mean nothing."""
    torch = pytest.importorskip("torch", reason="needs the llm extra")
    transformers = pytest.importorskip("transformers", reason="needs the llm extra")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    words = [
        PREFIX,
        *LABELS.values(),
        'In words [{"text": "a", "cites": ["f1"]}] abcdefghijklmnopqrstuvwxyz 0123456789',
    ]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=1
    )
    raw.train_from_iterator(words * 4, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", pad_token="<end>")
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=2048, eos_token_id=0, pad_token_id=0, bos_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny")
    transformers.LlamaForCausalLM(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder
