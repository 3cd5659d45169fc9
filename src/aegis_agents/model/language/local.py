"""A chat model on this machine: transformers, with our adapter over the base, bounded in tokens and in time."""

from __future__ import annotations

import copy
import json
import threading
import time
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from aegis_agents.errors import ModelError
from aegis_agents.model.language.adapter import check_adapter, put_on
from aegis_agents.model.language.prompt import LABELS, PREFIX, Told, verdict_prompt
from aegis_agents.records import Verdict

Quantise = Literal["none", "int8", "nf4"]


class Leaning(NamedTuple):
    """What the language model would say, with the share of each verdict."""

    verdict: Verdict
    shares: dict[Verdict, float]


class LocalChat(BaseChatModel):
    """The generative model of `folder`, with an adapter over it; a LangChain chat model like any other.

    `adapter` None means the shipped one, "" none at all. `quantise` loads the base in NF4 or
    int8 by bitsandbytes: on a CPU that saves memory and costs time. An answer ends at
    `max_tokens` or after `max_seconds`, whichever comes first. Raises ModelError where it
    can't be loaded, ModelTampered for an altered adapter.
    """

    folder: Path
    adapter: Path | Literal[""] | None = None
    adapter_sha256: str | None = None
    quantise: Quantise = "none"
    max_tokens: int = 200
    max_seconds: float = 20.0
    _loaded: Any = PrivateAttr(default=None)
    _prefix: Any = PrivateAttr(default=None)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "aegis-local"

    def parts(self) -> tuple[Any, Any]:
        """The model and its tokenizer, loaded on first use."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
        loaded: tuple[Any, Any] = self._loaded
        return loaded

    def _load(self) -> tuple[Any, Any]:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
        except ImportError as error:
            raise ModelError(f'{error.name} is not installed: pip install "aegis-soc-agents[llm]"') from error
        if not (self.folder / "config.json").is_file():
            raise ModelError(f"{self.folder} holds no model: run `aegis model setup`")
        given: dict[str, Any] = {"dtype": torch.float32, "local_files_only": True, "use_safetensors": True}
        if self.quantise != "none":
            if not torch.cuda.is_available():
                warnings.warn(f"{self.quantise} on a CPU saves memory and costs time", stacklevel=2)
            given["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=self.quantise == "nf4", load_in_8bit=self.quantise == "int8", bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=torch.float32,
            )  # fmt: skip
        model = AutoModelForCausalLM.from_pretrained(str(self.folder), **given)
        if self.adapter != "":
            model = put_on(model, check_adapter(self.adapter, self.adapter_sha256)[0])
        return model.eval(), AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)

    def lean(self, facts: list[Told]) -> Leaning:
        """Score the four answers after the facts: the fixed beginning is read once and kept."""
        import torch

        model, tokenizer = self.parts()
        with self._lock, torch.inference_mode():
            if self._prefix is None:
                ids = tokenizer(PREFIX, return_tensors="pt").input_ids
                self._prefix = model(ids, use_cache=True).past_key_values
            ids = tokenizer(verdict_prompt(facts), return_tensors="pt", add_special_tokens=False).input_ids
            found = model(ids, past_key_values=copy.deepcopy(self._prefix), use_cache=True).logits[0, -1]
            tokens = [tokenizer(word, add_special_tokens=False).input_ids[0] for word in LABELS.values()]
            shares = torch.softmax(found[tokens].float(), dim=-1).tolist()
        by_verdict: dict[Verdict, float] = dict(zip(LABELS, shares, strict=True))
        return Leaning(max(by_verdict, key=lambda v: by_verdict[v]), by_verdict)

    def complete(self, prompt: str, schema: dict[str, Any] | None = None) -> str:
        """What follows the prompt, greedily; with a schema only what fits it can be written.

        Raises ModelError where time or tokens ran out before a schema was fulfilled.
        """
        import torch

        model, tokenizer = self.parts()
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        guide, until = (_Guide(tokenizer, schema) if schema else None), time.monotonic() + self.max_seconds
        said: list[int] = []
        with self._lock, torch.inference_mode():
            past, step = None, ids
            while len(said) < self.max_tokens and time.monotonic() < until:
                out = model(step, past_key_values=past, use_cache=True)
                past, logits = out.past_key_values, out.logits[0, -1]
                token = int((guide.mask(logits) if guide else logits).argmax())
                if token == tokenizer.eos_token_id or (guide and guide.take(token)):
                    said += [] if token == tokenizer.eos_token_id else [token]
                    break
                said.append(token)
                step = torch.tensor([[token]])
            else:
                if guide:
                    raise ModelError(f"no whole answer within {self.max_tokens} tokens and {self.max_seconds:g} s")
        return str(tokenizer.decode(said, skip_special_tokens=True))

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        prompt = "\n".join(str(m.content) for m in messages)
        text = self.complete(prompt, kwargs.get("schema"))
        for word in stop or ():
            text = text.split(word, 1)[0]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


class _Guide:
    """llguidance over one answer: which tokens may come next."""

    def __init__(self, tokenizer: Any, schema: dict[str, Any]) -> None:
        import llguidance
        import llguidance.hf

        self._size = len(tokenizer)
        known = llguidance.hf.from_tokenizer(tokenizer, n_vocab=self._size)
        # Spaces as json.dumps writes them, which is how the adapter learnt; free ones could fill the whole answer.
        spaces: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=spaces)
        self._matcher = llguidance.LLMatcher(known, grammar)
        if self._matcher.is_error():
            raise ModelError(f"the schema can't be followed: {self._matcher.get_error()}")

    def mask(self, logits: Any) -> Any:
        import torch

        allowed = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8).bool()
        return logits[: self._size].masked_fill(~allowed[: self._size], float("-inf"))

    def take(self, token: int) -> bool:
        """Go on with this token; True when the answer is whole."""
        self._matcher.consume_token(token)
        return bool(self._matcher.is_stopped())
